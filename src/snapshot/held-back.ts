import type { Cancel } from "../lib/cancel.ts";
import type { BlobReader } from "../store/blob-store.ts";
import type { Trust } from "../trust/trust.ts";
import type { ListedSnapshot } from "./catalog.ts";
import { candidateOf, type Eligibility, eligibilityOf, landedInTime } from "./eligibility.ts";
import { type Notes, readNotes } from "./pin.ts";
import type { Repository } from "./repository.ts";

/** All that is listed of a policy. */
export interface Listed {
  readonly snapshots: readonly ListedSnapshot[];
  readonly repository: Repository;
  readonly policyName: string;
}

/** Whether a snapshot may be taken by its date, and what operators wrote about all of them. */
export interface HeldBack {
  /** Whether all of it is there is for the caller to know; default: taken for granted. */
  readonly of: (snapshot: ListedSnapshot, whole?: boolean) => Eligibility;
  /** Why a snapshot is taken by its id alone, whatever its state; undefined when it is not held back. */
  readonly why: (snapshot: ListedSnapshot) => string | undefined;
  readonly withdrawn: Notes;
}

/**
 * What a plan holds in quarantine and what was withdrawn, for everybody who chooses by date. Where nobody is known, no signature
 * holds anything back.
 */
export async function heldBack(
  { store, trust }: { readonly store: BlobReader; readonly trust: Trust },
  { snapshots, repository, policyName }: Listed,
  how: Cancel,
): Promise<HeldBack> {
  const { signal } = how;
  const place = { repository: repository.id, policy: policyName };
  const now = await store.now({ signal });
  const withdrawn = await readNotes(store, place, "withdrawn", trust, { signal });
  const ids = new Set(withdrawn.notes.filter(({ trusted }) => trusted).map(({ note }) => note.snapshot));
  const context = { now, limits: repository.constants, withdrawn: (id: string) => ids.has(id) };
  const isAnybody = trust.allowUnsigned || !snapshots.some(({ signer }) => signer !== undefined);
  const of = (snapshot: ListedSnapshot, whole = true) => {
    const trusted = isAnybody || snapshot.signer !== undefined;
    return eligibilityOf(candidateOf(snapshot, { whole, trusted }), context);
  };
  const why = (snapshot: ListedSnapshot) => {
    const found = of(snapshot);
    const isHeld = !found.fills && (found.quarantined || ids.has(snapshot.record.id));
    return isHeld ? found.why : undefined;
  };
  return { of, why, withdrawn };
}

/** The newest whose time the store's clock bears out; where it bears out none, the newest of all. */
export function newestInTime({
  snapshots,
  repository,
}: Pick<Listed, "snapshots" | "repository">): ListedSnapshot | undefined {
  return snapshots.findLast((one) => isInTime(one, repository)) ?? snapshots.at(-1);
}

export function isInTime(
  { record: { ended }, landed }: ListedSnapshot,
  { constants }: Pick<Repository, "constants">,
): boolean {
  return landedInTime({ ended: new Date(ended), landed }, constants);
}
