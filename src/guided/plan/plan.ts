import { milliseconds } from "../../lib/units.ts";
import type { RestorePolicy } from "../../policy/schema.ts";
import { DATA_STEPS, isDataStep, STEPS, type Step, type StepId } from "../run/steps.ts";
import { bytesOf, type Group, namesOf } from "./groups.ts";
import { actionsOf, type PlannedAction } from "./plan-actions.ts";

/** Bytes a second, as measured; what a plan's times are reckoned with. */
export interface Rates {
  /** Bringing paths beside the live ones, opened, written and compared. */
  readonly paths: number;
  /** Loading a dump, indexes and digests included; of the dump's bytes. */
  readonly database: number;
}

/** Of a small virtual server over a link of 1 Gbit/s. Runs of the same host replace them. */
export const DEFAULT_RATES: Rates = { paths: 60e6, database: 8e6 };

export interface PlannedStep extends Step {
  readonly actions: readonly PlannedAction[];
  /** Of content that is brought. */
  readonly bytes: number;
  readonly expectedSeconds: number;
  /** Asked before it is done; undefined: it changes nothing, or asks its own questions. */
  readonly question: string | undefined;
  /** Names of the groups that it replaces. */
  readonly replacements: readonly string[];
}

export interface PlanFacts {
  readonly run: string;
  readonly restore: RestorePolicy;
  readonly groups: readonly Group[];
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
  readonly rates: Rates;
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

function planStep(step: Step, facts: PlanFacts): PlannedStep {
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

function questionOf(id: StepId, { restore, host }: PlanFacts, groups: readonly Group[]): string | undefined {
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

function secondsOf(id: StepId, { restore, rates, groups: all }: PlanFacts, groups: readonly Group[]): number {
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
