import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { progressOf } from "../run/progress.ts";
import type { StepId } from "../run/steps.ts";
import type { JournalLine } from "./journal-lines.ts";
import { type FoundRun, findRuns, openRun, type RunsHow } from "./runs.ts";

/** Of which policy, when that is known. */
type Which = Cancel & { readonly policy: string | undefined };

/**
 * The run that is meant: the one of that id, or the only open one.
 *
 * @throws DropsError snapshot/missing when there is none, usage/invalid when several are open
 */
export async function findOpenRun(host: Host, run: string | undefined, how: Which): Promise<FoundRun> {
  const { runs, unreadable } = await ofPolicy(host, how);
  const open = runs.filter(({ closed }) => closed === undefined);
  if (run !== undefined) {
    const found = runs.find(({ meta }) => meta.run === run);
    if (found) return found;
    throw new DropsError("snapshot/missing", `there is no restore ${run} on ${host.label}`, {
      hint: known(open, unreadable),
    });
  }
  const [only, ...others] = open;
  if (only && others.length === 0) return only;
  if (!only)
    throw new DropsError("snapshot/missing", `there is no unfinished restore on ${host.label}`, {
      hint: known(open, unreadable),
    });
  throw new DropsError("usage/invalid", `several unfinished restores on ${host.label}: no run given`, {
    hint: open.map(({ meta }) => meta.run).join("  or  "),
  });
}

/**
 * A host takes one restore at a time: what one has swapped, another must not. One that stopped before it changed anything
 * is in nobody's way. Throws safety/refused.
 */
export async function refuseOpenRun(
  host: Host,
  commands: (run: string) => { readonly resume: string; readonly rollback: string; readonly finish: string },
  how: Cancel,
): Promise<void> {
  const { runs } = await findRuns(host, how);
  const open = runs.find((run) => run.closed === undefined && !isUntouched(run.lines));
  if (!open) return;
  const { resume, rollback, finish } = commands(open.meta.run);
  throw new DropsError(
    "safety/refused",
    `restore ${open.meta.run} (snapshot ${open.meta.snapshot}) is not finished on ${host.label}`,
    { hint: `continue: ${resume}\nundo: ${rollback}\nfinish: ${finish}` },
  );
}

/** Close the runs that stopped before they changed anything. Call it under the lock. */
export async function abandonUntouched(host: Host, how: RunsHow): Promise<void> {
  const { runs } = await findRuns(host, how);
  for (const { meta, lines } of runs.filter(({ closed }) => closed === undefined)) {
    if (!isUntouched(lines)) continue;
    const { journal } = await openRun(host, meta.run, how);
    await journal.append({ event: "closed", outcome: "abandoned" }, how);
  }
}

const LOOKING: readonly StepId[] = ["fence", "preflight", "stop"];

/** `stop` notes what was active before it touches anything. Pure. */
function isUntouched(lines: readonly JournalLine[]): boolean {
  const { begun, activeBefore, isRollingBack, isFinishing } = progressOf(lines);
  if (activeBefore !== undefined || isRollingBack || isFinishing) return false;
  return [...begun].every((step) => LOOKING.includes(step));
}

async function ofPolicy(host: Host, how: Which): ReturnType<typeof findRuns> {
  const found = await findRuns(host, how);
  const runs = found.runs.filter(({ meta }) => how.policy === undefined || meta.policy === how.policy);
  return { runs, unreadable: found.unreadable };
}

function known(open: readonly FoundRun[], unreadable: readonly string[]): string {
  const names = open.map(({ meta }) => meta.run);
  if (names.length > 0) return `open: ${names.join(", ")}`;
  return unreadable.length > 0
    ? `cannot be read: ${unreadable.join(", ")}`
    : "drops restore --date …  starts one; --host selects the machine";
}
