import type { ListedSnapshot } from "./catalog.ts";
import type { Repository } from "./repository.ts";

/** What has to be known of a snapshot to choose or keep it, as far as it can be known without a key. */
export interface Candidate {
  readonly id: string;
  readonly key: string;
  readonly sequence: number;
  readonly state: "complete" | "partial" | "checkpoint";
  /** As the record claims. */
  readonly ended: Date;
  /** When the record landed, by the store's clock. */
  readonly landed: Date;
  /** Its signature is that of a trusted key. */
  readonly trusted: boolean;
  /** Every manifest, list and pack that it refers to is listed with its size, and none was found damaged; or nobody looked. */
  readonly whole: boolean;
  /** Names of the sources that it holds. */
  readonly holds: readonly string[];
}

/**
 * Whether a snapshot is taken by its date and fills slots of the rules, and if not, why. A quarantined one is for a person to
 * decide about.
 */
export type Eligibility =
  | { readonly fills: true }
  | {
      readonly fills: false;
      readonly quarantined: boolean;
      readonly why: string;
      /** Believed, but objects that it refers to are gone. */
      readonly incomplete?: true;
    };

/** What a repository allows, in seconds. */
export type ClockLimits = Pick<Repository["constants"], "max_clock_skew" | "commit_within">;

export interface EligibilityContext {
  /** The store's clock. */
  readonly now: Date;
  readonly limits: ClockLimits;
  /** By a note that is believed. */
  readonly withdrawn: (id: string) => boolean;
}

/**
 * A record counts only when it is complete, believed, all there, and landed when it says that it ended: a replayed, forged or
 * half-copied one must not push a good one out, nor be restored in its place.
 */
export function eligibilityOf(
  snapshot: Candidate,
  { now, limits, withdrawn }: EligibilityContext,
): Eligibility {
  if (!snapshot.trusted) return quarantined("no trusted key signed it");
  if (snapshot.ended.getTime() > now.getTime() + limits.max_clock_skew * 1000)
    return quarantined("it claims to be from the future");
  if (!landedInTime(snapshot, limits)) {
    const apart = Math.abs(snapshot.landed.getTime() - snapshot.ended.getTime());
    return quarantined(
      `it landed ${Math.round(apart / 60_000)} minutes away from when it claims to have ended`,
    );
  }
  if (withdrawn(snapshot.id)) return passive("it was withdrawn");
  if (!snapshot.whole && snapshot.state === "complete")
    return { ...quarantined("objects that it refers to are missing or damaged"), incomplete: true };
  if (snapshot.state !== "complete") return passive(`it is a ${snapshot.state}`);
  return { fills: true };
}

/** Whether the store's clock bears out the time that a record claims, as far as a backup may take to commit. */
export function landedInTime(
  { ended, landed }: Pick<Candidate, "ended" | "landed">,
  { max_clock_skew, commit_within }: ClockLimits,
): boolean {
  return Math.abs(landed.getTime() - ended.getTime()) <= (commit_within + max_clock_skew) * 1000;
}

/** From what was read and what is listed to what is judged. */
export function candidateOf(
  { record, key, landed, signer }: ListedSnapshot,
  { whole, trusted = signer !== undefined }: { readonly whole: boolean; readonly trusted?: boolean },
): Candidate {
  const { id, sequence, state, ended, sources } = record;
  const holding = sources.filter(({ manifest, outcome }) => manifest !== undefined && outcome !== "partial");
  const holds = holding.map(({ name }) => name);
  return { id, key, sequence, state, ended: new Date(ended), landed, trusted, whole, holds };
}

function quarantined(why: string): Eligibility & { readonly fills: false } {
  return { fills: false, quarantined: true, why };
}

function passive(why: string): Eligibility {
  return { fills: false, quarantined: false, why };
}
