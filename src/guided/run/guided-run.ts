import type { RestorePolicy } from "../../policy/restore-schema.ts";
import type { ReplacementGroup } from "../plan/groups.ts";
import type { PlannedStep } from "../plan/plan.ts";
/** A run as it was planned; the same after a crash, from any machine. */
export interface GuidedRun {
  readonly run: string;
  /** For sentences. */
  readonly host: string;
  /** ISO, UTC. */
  readonly started: string;
  readonly restore: RestorePolicy;
  readonly oldAddresses: readonly string[];
  readonly groups: readonly ReplacementGroup[];
  readonly steps: readonly PlannedStep[];
}

/** In the order of starting. */
export function unitsOf({ restore }: Pick<GuidedRun, "restore">): readonly string[] {
  return restore.units.map(({ unit }) => unit);
}
