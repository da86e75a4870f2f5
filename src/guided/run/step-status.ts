import type { Cancel } from "../../lib/cancel.ts";
import type { PlannedStep } from "../plan/plan.ts";
import { isRunning } from "../services/units.ts";
import { type GuidedRun, unitsOf } from "./guided-run.ts";
import type { RestorePorts } from "./ports.ts";
import { progressOf } from "./progress.ts";
import { isInPlace, replacementOf } from "./replacement.ts";
import { isDataStep } from "./steps.ts";

/**
 * Whether an earlier try did a step: the journal says so, and so does the host.
 *
 * @param how `recheck`: something ran on data that had been put in place
 */
export async function wasDone(
  step: PlannedStep,
  run: GuidedRun,
  ports: RestorePorts,
  how: Cancel & { readonly recheck: boolean },
): Promise<boolean> {
  const { done, begun } = progressOf(ports.journal.lines);
  if (!done.has(step.id)) return false;
  if (step.id === "stop") {
    const all = run.steps.flatMap(({ replacements }) => replacements);
    return (begun.has("start") && (await areInPlace(all, ports, how))) || isStill(run, ports, how);
  }
  if (!isDataStep(step.id)) return true;
  if (how.recheck && !begun.has("start")) return false;
  return areInPlace(step.replacements, ports, how);
}

/** Nothing runs, and nothing can. */
async function isStill(run: GuidedRun, { gate, services }: RestorePorts, how: Cancel): Promise<boolean> {
  const units = unitsOf(run);
  if (units.length === 0) return true;
  if (!(await gate.isClosed(how))) return false;
  return !(await services.states(units, how)).some(isRunning);
}

async function areInPlace(names: readonly string[], ports: RestorePorts, how: Cancel): Promise<boolean> {
  for (const name of names) {
    if (!(await isInPlace(replacementOf(ports, name), how))) return false;
  }
  return true;
}
