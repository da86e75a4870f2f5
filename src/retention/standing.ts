import type { ListedSnapshot } from "../snapshot/catalog.ts";

/** What a planner needs to know of a snapshot, as far as it can be known without a key. */
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
  /** Every manifest, list and pack that it refers to is listed with its size, and none was found damaged. */
  readonly whole: boolean;
  /** Names of the sources that it holds. */
  readonly holds: readonly string[];
}

/** Whether a snapshot fills slots of the rules, and if not, why. A quarantined one is for a person to decide about. */
export type Standing =
  | { readonly fills: true }
  | {
      readonly fills: false;
      readonly quarantined: boolean;
      readonly why: string;
      /** Believed, but objects that it refers to are gone. */
      readonly incomplete?: true;
    };

export interface StandingContext {
  /** The store's clock. */
  readonly now: Date;
  /** How far a record's end and its landing may be apart, and how far ahead of the store's clock it may be. Seconds. */
  readonly maxSkew: number;
  readonly commitWithin: number;
  /** A signed note of the operator says that the bucket was copied: when records landed says nothing then. */
  readonly copied?: (id: string) => boolean;
  readonly withdrawn: (id: string) => boolean;
}

/**
 * A record fills a slot only when it is complete, believed, all there, and landed when it says that it ended: a replayed,
 * forged or half-copied one must not push a good one out.
 */
export function standingOf(snapshot: Candidate, context: StandingContext): Standing {
  const { now, maxSkew, commitWithin } = context;
  const ended = snapshot.ended.getTime();
  if (!snapshot.trusted) return quarantined("no trusted key signed it");
  if (ended > now.getTime() + maxSkew * 1000) return quarantined("it claims to be from the future");
  const apart = Math.abs(snapshot.landed.getTime() - ended);
  if (apart > (commitWithin + maxSkew) * 1000 && !context.copied?.(snapshot.id)) {
    return quarantined(
      `it landed ${Math.round(apart / 60_000)} minutes away from when it claims to have ended`,
    );
  }
  if (context.withdrawn(snapshot.id)) return passive("it was withdrawn");
  if (!snapshot.whole && snapshot.state === "complete")
    return { ...quarantined("objects that it refers to are missing or damaged"), incomplete: true };
  if (snapshot.state !== "complete") return passive(`it is a ${snapshot.state}`);
  return { fills: true };
}

/** From what was read and what is listed to what the planner works on. */
export function candidateOf(
  { record, key, landed, signer }: ListedSnapshot,
  isListed: (kind: "manifest" | "list", sha256: string, size: number) => boolean,
  hasPacks: (list: string) => boolean,
): Candidate {
  const holding = record.sources.filter(({ manifest }) => manifest !== undefined);
  const whole = holding.every(
    ({ manifest, list }) =>
      manifest !== undefined &&
      list !== undefined &&
      isListed("manifest", manifest.sha256, manifest.size) &&
      isListed("list", list.sha256, list.size) &&
      hasPacks(list.sha256),
  );
  return {
    id: record.id,
    key,
    sequence: record.sequence,
    state: record.state,
    ended: new Date(record.ended),
    landed,
    trusted: signer !== undefined,
    whole,
    holds: holding.filter(({ outcome }) => outcome !== "partial").map(({ name }) => name),
  };
}

function quarantined(why: string): Standing & { readonly fills: false } {
  return { fills: false, quarantined: true, why };
}

function passive(why: string): Standing {
  return { fills: false, quarantined: false, why };
}
