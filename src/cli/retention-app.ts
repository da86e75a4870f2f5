import type { Cancel } from "../lib/cancel.ts";
import type { KeeperReport } from "./keeper-outputs.ts";
import type { NoteReport, PlanReport, PruneReport } from "./retention-outputs.ts";

/** What is kept and what goes. Needs no identity. */
export interface Retention extends AsyncDisposable {
  /** Changes nothing. Never throws for what speaks against a prune: that is in the report. */
  plan(how: PlanOptions & Cancel): Promise<PlanReport>;
  /** Never throws for what speaks against it: that is in the report, and nothing was done. */
  prune(how: PruneOptions & Cancel): Promise<PruneReport>;
  /**
   * Extend the locks of what is kept. Never throws for what it finds: that is in the report, and whatever could be locked
   * is. Throws policy/invalid without object_lock, clock/skewed, and store/refused for a bucket without Object Lock.
   */
  keeper(how: { readonly dryRun: boolean } & Cancel): Promise<KeeperReport>;
  /** Throws safety/refused when it is pinned already, snapshot/missing when there is no such snapshot. */
  pin(how: NoteOptions & { readonly until: string | undefined } & Cancel): Promise<NoteReport>;
  /** Throws snapshot/missing when it is not pinned. */
  unpin(how: Pick<NoteOptions, "snapshot"> & Cancel): Promise<NoteReport>;
  withdraw(how: NoteOptions & Cancel): Promise<NoteReport>;
}

/** Rules to try instead of the policy's; one that is not given is the policy's. */
export interface TriedRules {
  readonly rules?: "sequential" | "independent" | undefined;
  readonly last?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  readonly yearly?: number | undefined;
}

export interface PlanOptions {
  /** A date ahead, in the operator's words. */
  readonly at?: string | undefined;
  readonly tried?: TriedRules;
  readonly accept?: number | undefined;
}

export interface PruneOptions {
  /** As many as this are expected to be forgotten. */
  readonly accept: number | undefined;
  /** Ids of those that a person was shown and agreed to; refused when the plan has become another. */
  readonly agreed: readonly string[] | undefined;
}

export interface NoteOptions {
  /** An id, or a date in the operator's words. */
  readonly snapshot: string;
  readonly why: string;
}
