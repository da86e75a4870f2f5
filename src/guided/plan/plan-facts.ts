import type { RestorePolicy } from "../../policy/restore-schema.ts";
import type { StepId } from "../run/steps.ts";
import type { ReplacementGroup } from "./groups.ts";
import type { RestoreRates } from "./rates.ts";
export interface PlanFacts {
  readonly run: string;
  readonly restore: RestorePolicy;
  readonly groups: readonly ReplacementGroup[];
  /** For sentences. */
  readonly host: string;
  /** What the machine of the snapshot calls itself, when it is another one. */
  readonly oldMachine?: string | undefined;
  /** What the old machine answered to; empty when the policy's host is this very machine. */
  readonly oldAddresses: readonly string[];
  /** Ids; empty means all that make sense. */
  readonly steps: readonly StepId[];
  /** What a path is when symlinks are followed, where that is known. */
  readonly realPath: (path: string) => string;
  readonly rates: RestoreRates;
}
