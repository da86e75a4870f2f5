import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, type FailureCode, refused } from "../../lib/errors.ts";
import { someOf } from "../../lib/words.ts";
import type { PlannedStep } from "../plan/plan.ts";
import type { ChecklistAnswer } from "../report.ts";
import type { ReadyUnit } from "../services/stays-up.ts";
import { isRunning } from "../services/units.ts";
import type { Answers } from "./answers.ts";
import { type CheckResult, checked, passed } from "./check.ts";
import { type GuidedRun, unitsOf } from "./guided-run.ts";
import type { RestorePorts, RunReporter } from "./ports.ts";
import { isInPlace, type Replacement, replacementOf } from "./replacement.ts";
import type { StepId } from "./steps.ts";

export interface StepContext {
  readonly run: GuidedRun;
  readonly step: PlannedStep;
  readonly ports: RestorePorts;
  readonly reporter: RunReporter;
  readonly answers: Pick<Answers, "fence" | "check">;
  /** Something ran meanwhile: what is in place is compared again. */
  readonly recheck: boolean;
  /** Services have been started on the restored data: it is theirs now. */
  readonly hasStarted: boolean;
  readonly activeBefore: readonly string[] | undefined;
  /** Throws what the staging threw. */
  readonly whenStaged: (group: string) => Promise<void>;
}

export interface StepFound {
  readonly checks?: readonly CheckResult[];
  readonly answers?: readonly ChecklistAnswer[];
  readonly notes?: readonly string[];
}

type Work = (context: StepContext, how: Cancel) => Promise<StepFound>;

/** What each step does. All of them may be done again after any crash. */
export const STEP_WORK: Readonly<Record<StepId, Work>> = {
  bootstrap: async () => ({}),
  fence,
  preflight,
  stop,
  rocksdb: replace,
  postgres: replace,
  files: replace,
  start,
  login: async () => ({}), // its actions were shown: they are for the person
  messages,
};

async function fence({ run, ports, answers, reporter }: StepContext, how: Cancel): Promise<StepFound> {
  const checks = await ports.probes.oldMachine(how);
  if (tell(checks, reporter).length > 0)
    reporter.say("WARNING: something still answers where the old machine was");
  const word = await answers.fence(run.oldAddresses, how);
  await ports.journal.append({ event: "fenced", word }, how);
  return { checks, notes: [`the old machine is off: ${word}`] };
}

async function preflight({ ports, reporter }: StepContext, how: Cancel): Promise<StepFound> {
  const checks = await ports.probes.preflight(how);
  const failed = tell(checks, reporter);
  if (failed.length === 0) return { checks };
  const isSpace = failed.every(({ name }) => name.startsWith("space"));
  throw because(isSpace ? "space/low" : "safety/refused", "not ready for a restore", failed);
}

async function stop({ run, ports, activeBefore, reporter }: StepContext, how: Cancel): Promise<StepFound> {
  const units = unitsOf(run);
  if (units.length === 0) return { notes: ["the policy names no units: nothing was stopped"] };
  if (activeBefore === undefined) {
    // before anything is touched, so that a rollback starts them again after any crash
    const states = await ports.services.states(units, how);
    const active = states.filter(isRunning).map(({ unit }) => unit);
    await ports.journal.append({ event: "active-before", units: active }, how);
  }
  const { durable, notes } = await ports.gate.close(how);
  for (const note of notes) reporter.say(note);
  const stopped = await ports.services.stop(units.toReversed(), how);
  return {
    notes: [
      ...(stopped.length === 0 ? ["nothing was running"] : [`stopped: ${stopped.join(", ")}`]),
      ...(durable ? [] : ["the gate is forgotten at a reboot: resume closes it again"]),
    ],
  };
}

/** Compare everything that was brought, then swap it. */
async function replace(context: StepContext, how: Cancel): Promise<StepFound> {
  const { step, ports } = context;
  for (const name of step.replacements) {
    await context.whenStaged(name);
    await compare(context, replacementOf(ports, name), how);
  }
  const checks = step.id === "files" && !context.hasStarted ? await fitTogether(context, how) : [];
  await requireStopped(context, how);
  for (const name of step.replacements) {
    const replacement = replacementOf(ports, name);
    if (await isInPlace(replacement, how)) continue;
    await replacement.swap(how);
    await ports.journal.append({ event: "swapped", group: name }, how);
    context.reporter.say(`${replacement.label} is in place; the old is kept aside`);
  }
  return { checks };
}

/** Throws data/damaged when what was brought differs from the snapshot; it is then removed, so that a resume brings it anew. */
async function compare(context: StepContext, replacement: Replacement, how: Cancel): Promise<void> {
  const state = await replacement.state(how);
  if (state === "finished" || (state === "swapped" && !context.recheck)) return;
  context.reporter.say(`comparing ${replacement.label} with the snapshot`);
  let differences = await replacement.check(how);
  if (differences.length > 0 && state === "swapped") {
    context.reporter.say(`${replacement.label} was changed since it was put in place: it is brought anew`);
    await replacement.unswap(how);
    await replacement.discard(how);
    await replacement.stage(how);
    differences = await replacement.check(how);
  }
  if (differences.length === 0) return;
  await replacement.discard(how);
  const hint =
    "the old data is still in place, the restored copy was removed: drops verify --read-data, or try again";
  const differing = `${replacement.label} is not as it was captured: ${inShort(differences)}`;
  throw new DropsError("data/damaged", differing, { hint });
}

async function fitTogether({ ports, reporter }: StepContext, how: Cancel): Promise<readonly CheckResult[]> {
  const checks = await ports.probes.appservice(how);
  const failed = tell(checks, reporter);
  if (failed.length === 0) return checks;
  throw because("safety/refused", "bridge and homeserver do not match", failed);
}

/** Throws safety/refused when something runs that uses the data. */
async function requireStopped({ run, ports, step }: StepContext, how: Cancel): Promise<void> {
  const units = unitsOf(run);
  if (units.length === 0) return;
  const pending: Replacement[] = [];
  for (const name of step.replacements) {
    const replacement = replacementOf(ports, name);
    if (!(await isInPlace(replacement, how))) pending.push(replacement);
  }
  if (pending.length === 0) return;
  const states = await ports.services.states(units, how);
  const running = states.filter(isRunning).map(({ unit }) => unit);
  const isOpen = !(await ports.gate.isClosed(how));
  if (running.length === 0 && !isOpen) return;
  const why = running.length > 0 ? `${running.join(", ")} is running` : "the gate is open";
  throw refused(
    `${why}: drops does not swap data under a running service`,
    "do the step stop first: add it to --steps, or leave out --steps",
  );
}

async function start({ run, ports, reporter }: StepContext, how: Cancel): Promise<StepFound> {
  await requireWhole(run, ports, how);
  const { units } = run.restore;
  if (units.length === 0) return { notes: ["the policy names no units: nothing was started"] };
  await ports.gate.open(how);
  const checks: CheckResult[] = [];
  const started: ReadyUnit[] = [];
  for (const unit of units) {
    reporter.say(`starting ${unit.unit}`);
    await ports.services.start(unit.unit, how);
    const { ready, seconds, found, hint, log, invocation = "" } = await ports.services.waitReady(unit, how);
    started.push({ rule: unit, invocation });
    checks.push(checked(ready, unit.unit, found, hint ?? `journalctl -u ${unit.unit}`));
    if (ready) {
      reporter.say(`${unit.unit}: ${found} (${seconds.toFixed(0)} s)`);
      continue;
    }
    for (const line of log) reporter.say(`  ${line}`);
    throw new DropsError("source/failed", `${unit.unit} is not ready: ${found}`, {
      hint: hint ?? `journalctl -u ${unit.unit}`,
    });
  }
  reporter.say("all are ready; watching whether they stay up");
  const { seconds, fallen } = await ports.services.watch(started, how);
  if (fallen === undefined) return { checks: [...checks, passed("units", `all stayed up for ${seconds} s`)] };
  for (const line of fallen.log) reporter.say(`  ${line}`);
  throw new DropsError("source/failed", `${fallen.unit} does not stay up: ${fallen.found}`, {
    hint: `journalctl -u ${fallen.unit}`,
  });
}

/** Services never see half a swap. */
async function requireWhole(run: GuidedRun, ports: RestorePorts, how: Cancel): Promise<void> {
  const missing: string[] = [];
  const planned = new Set(run.steps.flatMap(({ replacements }) => replacements));
  for (const { name } of run.groups.filter((group) => planned.has(group.name))) {
    const replacement = replacementOf(ports, name);
    if (!(await isInPlace(replacement, how))) missing.push(replacement.label);
  }
  if (missing.length === 0) return;
  throw refused(
    `services do not start before all data is in place: ${missing.join(", ")}`,
    "do the steps that restore it first: leave out --steps",
  );
}

async function messages({ run, ports, answers, reporter }: StepContext, how: Cancel): Promise<StepFound> {
  const checks = await ports.probes.service(how);
  const failed = tell(checks, reporter);
  const said: ChecklistAnswer[] = [];
  for (const item of run.restore.checklist) said.push(await answers.check(item, how));
  if (failed.length > 0)
    throw because("source/failed", "the service runs, but its data is not as expected", failed);
  const open = said.filter(({ answer }) => answer !== "yes");
  return {
    checks,
    answers: said,
    notes: open.map(({ item, answer, note }) => `${answer}: ${item}${note === "" ? "" : ` (${note})`}`),
  };
}

/** Tells of every check, and answers those that failed. */
function tell(checks: readonly CheckResult[], reporter: RunReporter): readonly CheckResult[] {
  for (const { name, ok, found } of checks) reporter.say(`  ${ok ? "ok" : "NOT OK"}  ${name}: ${found}`);
  return checks.filter(({ ok }) => !ok);
}

/** With what each check that failed found, and what to do about it. */
function because(code: FailureCode, what: string, failed: readonly CheckResult[]): DropsError {
  const found = inShort(failed.map(({ name, found }) => `${name}: ${found}`));
  const hint = failed.map(({ hint }) => hint ?? "").join("\n");
  return new DropsError(code, `${what}: ${found}`, { hint });
}

function inShort(lines: readonly string[]): string {
  return someOf(lines, { between: "; " });
}
