import { milliseconds } from "../../lib/units.ts";
import { DATA_STEPS, isDataStep, type RestoreStep, STEPS, type StepId } from "../run/steps.ts";
import { bytesOf, namesOf, type ReplacementGroup } from "./groups.ts";
import { actionsOf, type PlannedAction } from "./plan-actions.ts";
import type { PlanFacts } from "./plan-facts.ts";

export interface PlannedStep extends RestoreStep {
  readonly actions: readonly PlannedAction[];
  /** Of content that is brought. */
  readonly bytes: number;
  readonly expectedSeconds: number;
  /** Asked before it is done; undefined: it changes nothing, or asks its own questions. */
  readonly question: string | undefined;
  /** Names of the groups that it replaces. */
  readonly replacements: readonly string[];
}

/** The steps before any of which a restore may not put data in place or start something. */
const ALWAYS: readonly StepId[] = ["fence", "preflight"];
/** Steps that change the host. */
const CHANGING: readonly StepId[] = ["stop", ...DATA_STEPS, "start"];

/** What a guided restore will do, step by step, without doing any of it. Pure. */
export function planSteps(facts: PlanFacts): readonly PlannedStep[] {
  return STEPS.filter(({ id }) => id !== "bootstrap" && isWanted(id, facts)).map((step) =>
    planStep(step, facts),
  );
}

function isWanted(id: StepId, { steps, groups, restore }: PlanFacts): boolean {
  if (id === "login" && restore.appservice === undefined) return false;
  if (isDataStep(id) && !groups.some(({ step }) => step === id)) return false;
  if (steps.length === 0 || steps.includes(id)) return true;
  return ALWAYS.includes(id) && steps.some((step) => CHANGING.includes(step));
}

function planStep(step: RestoreStep, facts: PlanFacts): PlannedStep {
  const groups = facts.groups.filter((group) => group.step === step.id);
  return {
    ...step,
    actions: actionsOf(step.id, facts, groups),
    bytes: groups.reduce((sum, group) => sum + bytesOf(group), 0),
    expectedSeconds: Math.ceil(secondsOf(step.id, facts, groups)),
    question: questionOf(step.id, facts, groups),
    replacements: groups.map(({ name }) => name),
  };
}

function questionOf(
  id: StepId,
  { restore, host }: PlanFacts,
  groups: readonly ReplacementGroup[],
): string | undefined {
  const units = restore.units.map(({ unit }) => unit).join(", ");
  const names = groups.flatMap(namesOf).join(", ");
  switch (id) {
    case "stop":
      return units === ""
        ? "nothing is stopped: is everything that uses the data stopped by hand?"
        : `stop ${units} on ${host}?`;
    case "rocksdb":
    case "postgres":
    case "files":
      return `replace ${names} on ${host}?`;
    case "start":
      return units === "" ? undefined : `start ${units} with the restored data?`;
    default:
      return undefined;
  }
}

function secondsOf(
  id: StepId,
  { restore, rates, groups: all }: PlanFacts,
  groups: readonly ReplacementGroup[],
): number {
  switch (id) {
    case "fence":
      return 10;
    case "preflight":
      return 5 + all.length;
    case "stop":
      return 1 + 3 * restore.units.length;
    case "start":
      return restore.units.reduce(
        (sum, { ready }) =>
          sum + 3 + (ready.active_for === undefined ? 10 : milliseconds(ready.active_for) / 1000),
        1,
      );
    case "messages":
      return 2 * restore.checks.length;
    default:
      return groups.reduce(
        (sum, group) => sum + 2 + bytesOf(group) / (group.kind === "database" ? rates.database : rates.paths),
        0,
      );
  }
}
