import type { Cancel } from "../../lib/cancel.ts";
import { refused } from "../../lib/errors.ts";
import type { UnitPolicy } from "../../policy/schema.ts";
import { type GuidedRun, unitsOf } from "./guided-run.ts";
import type { RollbackPorts } from "./ports.ts";
import { progressOf } from "./progress.ts";
import { replacementOf } from "./replacement.ts";
import type { CloseParts } from "./run.ts";

export interface RolledBack {
  /** What was put back, in words, in the order in which it was. */
  readonly putBack: readonly string[];
  /** Units that are active again, as they were before the restore. */
  readonly started: readonly string[];
  /** Units that were active before and are not ready now; what is known of each. */
  readonly notReady: readonly string[];
}

/**
 * Put everything back as it was before the run: gate, stop, swap back in the reverse order, remove what was brought, open
 * the gate, start what was active. May be called again after any crash. Needs nothing from the store.
 *
 * @throws DropsError safety/refused when old data is gone already, or the run is closed
 */
export async function rollbackRun(run: GuidedRun, parts: CloseParts, how: Cancel): Promise<RolledBack> {
  const { ports, answers } = parts;
  const { activeBefore } = progressOf(ports.journal.lines);
  await refuseWhenGone(run, ports, how);
  await answers.confirm(
    `put ${run.host} back as it was before run ${run.run}? What the services wrote since goes away`,
    "the rollback",
    how,
  );
  await ports.journal.append({ event: "rollback-begun" }, how);
  const units = unitsOf(run);
  const wasStopped = units.length > 0 && activeBefore !== undefined; // noted before anything is touched
  if (wasStopped) {
    await ports.gate.close(how);
    await ports.services.stop(units.toReversed(), how);
  }
  const putBack = await putAllBack(run, parts, how);
  if (wasStopped) await ports.gate.open(how);
  const active = run.restore.units.filter(({ unit }) => wasStopped && activeBefore?.includes(unit));
  const { started, notReady } = await startAgain(active, parts, how);
  await ports.journal.append({ event: "closed", outcome: "rolled-back", not_ready: notReady }, how);
  return { putBack, started, notReady };
}

/** Before anything is touched: half a way back is none. */
async function refuseWhenGone({ run, groups }: GuidedRun, ports: RollbackPorts, how: Cancel): Promise<void> {
  const { closed, isFinishing } = progressOf(ports.journal.lines);
  if (closed !== undefined) throw refused(`run ${run} is ${closed} already`);
  if (isFinishing) throw refused(`run ${run} is being finished: old data is going away or gone`);
  for (const { name } of groups) {
    const replacement = replacementOf(ports, name);
    if ((await replacement.state(how)) === "finished")
      throw refused(`the old data of ${replacement.label} is gone`);
  }
}

async function putAllBack(
  { groups }: GuidedRun,
  { ports, reporter }: Pick<CloseParts, "ports" | "reporter">,
  how: Cancel,
): Promise<string[]> {
  const putBack: string[] = [];
  for (const { name } of groups.toReversed()) {
    const replacement = replacementOf(ports, name);
    if ((await replacement.state(how)) === "swapped") {
      await replacement.unswap(how);
      putBack.push(replacement.label);
      reporter.say(`${replacement.label}: the old is back in place`);
    }
    await replacement.discard(how);
    await ports.journal.append({ event: "put-back", group: name }, how);
  }
  return putBack;
}

async function startAgain(
  units: readonly UnitPolicy[],
  { ports, reporter }: Pick<CloseParts, "ports" | "reporter">,
  how: Cancel,
): Promise<Pick<RolledBack, "started" | "notReady">> {
  const started: string[] = [];
  const notReady: string[] = [];
  for (const unit of units) {
    await ports.services.start(unit.unit, how);
    const { ready, found } = await ports.services.waitReady(unit, how);
    reporter.say(`${unit.unit}: ${found}`);
    if (ready) started.push(unit.unit);
    else notReady.push(`${unit.unit}: ${found}`);
  }
  return { started, notReady };
}
