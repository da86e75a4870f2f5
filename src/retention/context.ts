import type { EligibilityContext } from "../snapshot/eligibility.ts";
import type { KeepRules } from "./keep.ts";
import type { Calendar } from "./periods.ts";

export interface RetentionContext extends EligibilityContext {
  readonly rules: KeepRules;
  readonly calendar: Calendar;
  readonly pinned: (id: string) => boolean;
  /** Ids of snapshots that a drill has proven. */
  readonly proven: (id: string) => boolean;
  /** Say when each will go; default: yes. */
  readonly foresee?: boolean;
}
