import { isInForce } from "../snapshot/pin.ts";
import type { StoredObject } from "../snapshot/stored-objects.ts";
import type { RetentionContext } from "./context.ts";
import { type Decision, decide } from "./decide.ts";
import type { KeepRules } from "./keep.ts";
import type { Calendar } from "./periods.ts";
import { type Limits, refusalsOf } from "./refusals.ts";
import type { Refusal } from "./report.ts";
import type { SnapshotSurvey, Survey, SurveyedSnapshot } from "./survey.ts";
import { type SweepPlan, sweep } from "./sweep.ts";

export interface PlanHow {
  readonly rules: KeepRules;
  readonly calendar: Calendar;
  readonly limits: Limits;
  /** The operator has seen that so many will be forgotten, and wants it. */
  readonly accept?: number | undefined;
  /** Say when each snapshot will go; default: yes. */
  readonly foresee?: boolean;
}

/** What one prune would do now, and why. */
export interface PrunePlan {
  /** One per snapshot, oldest first. */
  readonly decisions: readonly Decision[];
  /** Those that are not kept, oldest first. */
  readonly forget: readonly SurveyedSnapshot[];
  /** Bytes that no other snapshot refers to, by key. */
  readonly alone: ReadonlyMap<string, number>;
  readonly sweep: SweepPlan;
  /** Why nothing of this may be done. */
  readonly refusals: readonly Refusal[];
}

/** Pure: everything that it depends on is in the survey. */
export function planPrune(survey: Survey, how: PlanHow): PrunePlan {
  const decisions = decide(
    survey.snapshots.map(({ candidate }) => candidate),
    { ...contextOf(survey, how), foresee: how.foresee ?? true },
  );
  const kept = new Set(decisions.filter(({ keep }) => keep).map(({ snapshot }) => snapshot.key));
  const forget = survey.snapshots.filter(({ candidate }) => !kept.has(candidate.key));
  return {
    decisions,
    forget,
    alone: bytesAlone(survey),
    sweep: planSweep(survey, kept),
    refusals: refusalsOf(survey, decisions, how.limits, how.accept),
  };
}

/** What the pure planner works by, now or at a later time. */
export function contextOf(
  survey: SnapshotSurvey,
  how: Pick<PlanHow, "rules" | "calendar">,
  now: Date = survey.now,
): RetentionContext {
  const { repository, proven } = survey;
  const pins = new Set(
    survey.pins.filter(({ note }) => isInForce(note, now)).map(({ note }) => note.snapshot),
  );
  const withdrawn = new Set(survey.withdrawn.map(({ note }) => note.snapshot));
  return {
    rules: how.rules,
    calendar: how.calendar,
    now,
    limits: repository.constants,
    pinned: (id) => pins.has(id),
    withdrawn: (id) => withdrawn.has(id),
    proven: (id) => proven.has(id),
  };
}

/** What happens to the objects once only the snapshots with these keys are left. */
function planSweep(survey: Survey, kept: ReadonlySet<string>): SweepPlan {
  const { references, stored, marks, now, repository } = survey;
  const records = survey.snapshots.filter(({ candidate }) => kept.has(candidate.key));
  return sweep({
    objects: [...stored.objects.values()],
    referenced: references.keysOf(records.map(({ listed }) => listed.record)),
    marks: marks.marks,
    now,
    condemnAfter: repository.constants.condemn_after,
    deleteAfter: repository.constants.delete_after,
  });
}

function bytesAlone({ snapshots, references }: Survey): ReadonlyMap<string, number> {
  const alone = snapshots.map(({ listed }) => ({ ...listed, bytes: 0 }));
  const holders = new Map<StoredObject, { bytes: number } | undefined>();
  for (const one of alone) {
    for (const object of references.objectsOf(one.record)) {
      holders.set(object, holders.has(object) ? undefined : one); // undefined: several
    }
  }
  for (const [{ size }, holder] of holders) if (holder) holder.bytes += size;
  return new Map(alone.map(({ key, bytes }) => [key, bytes]));
}
