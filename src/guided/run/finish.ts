import type { Cancel } from "../../lib/cancel.ts";
import { refused } from "../../lib/errors.ts";
import { ONLY_HINT } from "../paths/outside.ts";
import { isRunning, type UnitState } from "../services/units.ts";
import { type GuidedRun, unitsOf } from "./guided-run.ts";
import { progressOf } from "./progress.ts";
import { isInPlace, replacementOf } from "./replacement.ts";
import type { CloseParts } from "./run.ts";

/**
 * Remove the old data, after everything was started on the new. May be called again after any crash.
 *
 * @throws DropsError safety/refused before start succeeded, when the run is closed, or when old data holds what is nowhere else
 */
export async function finishRun(
  run: GuidedRun,
  parts: CloseParts,
  how: Cancel,
): Promise<{ readonly removed: readonly string[] }> {
  const { ports, reporter, answers, commands } = parts;
  const { done, closed, isRollingBack } = progressOf(ports.journal.lines);
  if (closed !== undefined) throw refused(`run ${run.run} is ${closed} already`);
  if (isRollingBack) throw refused(`run ${run.run} is being rolled back`, commands.rollback);
  if (!done.has("start"))
    throw refused(
      `run ${run.run} has not started the services: its old data may still be needed`,
      commands.resume,
    );
  const units = unitsOf(run);
  const states = units.length === 0 ? [] : await ports.services.states(units, how);
  const down = states.filter((state) => !isRunning(state)).map(({ unit }) => unit);
  for (const unit of down) reporter.say(`WARNING: ${unit} is not running`);
  refuseFallen(states, commands.rollback);
  for (const { name } of run.groups) {
    const [only] = await replacementOf(ports, name).onlyInOld(how);
    if (only !== undefined) throw refused(only, ONLY_HINT);
  }
  await answers.confirm(
    `remove the old data that run ${run.run} kept on ${run.host}? Afterwards there is no rollback`,
    "removing anything",
    how,
  );
  await ports.journal.append({ event: "finish-begun" }, how);
  const removed: string[] = [];
  for (const { name } of run.groups) {
    const replacement = replacementOf(ports, name);
    if (!(await isInPlace(replacement, how))) {
      await replacement.discard(how); // its step was not part of the run
      continue;
    }
    await replacement.finish(how);
    removed.push(replacement.label);
    await ports.journal.append({ event: "old-removed", group: name }, how);
  }
  await ports.journal.append({ event: "closed", outcome: "finished" }, how);
  return { removed };
}

/** Throws safety/refused while a unit has failed, or waits to be started again. */
function refuseFallen(states: readonly UnitState[], rollback: string): void {
  const fallen = states.find(({ active, sub }) => active === "failed" || sub === "auto-restart");
  if (fallen === undefined) return;
  const { unit, active, sub } = fallen;
  throw refused(
    `${unit} does not stay up (${active}, ${sub}): the old data may still be needed`,
    `journalctl -u ${unit} says why; or back: ${rollback}`,
  );
}
