import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { someOf } from "../../lib/words.ts";
import type { PlannedStep } from "../plan/plan.ts";
import type { ReadyUnit } from "../services/stays-up.ts";
import type { UnitState } from "../services/units.ts";
import type { Answer, Answers } from "./answers.ts";
import type { Check } from "./check.ts";
import type { GuidedRun } from "./guided-run.ts";
import type { RestorePorts, RunReporter } from "./ports.ts";
import type { Replacement } from "./replacement.ts";
import { replacementOf } from "./stager.ts";
import type { StepId } from "./steps.ts";

export interface StepContext {
  readonly run: GuidedRun;
  readonly step: PlannedStep;
  readonly world: RestorePorts;
  readonly teller: RunReporter;
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
  readonly checks?: readonly Check[];
  readonly answers?: readonly Answer[];
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

/** Whether a unit has processes, or is about to. */
export function isRunning({ active }: UnitState): boolean {
  return active !== "inactive" && active !== "failed";
}

async function fence({ run, world, answers, teller }: StepContext, how: Cancel): Promise<StepFound> {
  const checks = await world.looks.oldMachine(how);
  for (const check of checks) teller.say(checkInWords(check));
  if (checks.some(({ ok }) => !ok)) teller.say("WARNING: something still answers where the old machine was");
  const word = await answers.fence(run.oldAddresses, how);
  await world.journal.append({ event: "fenced", word }, how);
  return { checks, notes: [`the old machine is off: ${word}`] };
}

async function preflight({ world, teller }: StepContext, how: Cancel): Promise<StepFound> {
  const checks = await world.looks.preflight(how);
  for (const check of checks) teller.say(checkInWords(check));
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length === 0) return { checks };
  const isSpace = failed.every(({ name }) => name.startsWith("space"));
  throw new DropsError(
    isSpace ? "space/low" : "safety/refused",
    `not ready for a restore: ${inOneLine(failed)}`,
    {
      hint: failed.map(({ hint }) => hint ?? "").join("\n"),
    },
  );
}

async function stop({ run, world, activeBefore, teller }: StepContext, how: Cancel): Promise<StepFound> {
  const units = run.restore.units.map(({ unit }) => unit);
  if (units.length === 0) return { notes: ["the policy names no units: nothing was stopped"] };
  if (activeBefore === undefined) {
    // before anything is touched, so that a rollback starts them again after any crash
    const states = await world.services.states(units, how);
    const active = states.filter(isRunning).map(({ unit }) => unit);
    await world.journal.append({ event: "active-before", units: active }, how);
  }
  const { durable, notes } = await world.gate.close(how);
  for (const note of notes) teller.say(note);
  const stopped = await world.services.stop(units.toReversed(), how);
  return {
    notes: [
      ...(stopped.length === 0 ? ["nothing was running"] : [`stopped: ${stopped.join(", ")}`]),
      ...(durable ? [] : ["the gate is forgotten at a reboot: resume closes it again"]),
    ],
  };
}

/** Compare everything that was brought, then swap it. */
async function replace(context: StepContext, how: Cancel): Promise<StepFound> {
  const { step, world } = context;
  for (const name of step.replacements) {
    await context.whenStaged(name);
    await compare(context, replacementOf(world, name), how);
  }
  const checks = step.id === "files" && !context.hasStarted ? await fitTogether(context, how) : [];
  await requireStopped(context, how);
  for (const name of step.replacements) {
    const replacement = replacementOf(world, name);
    if (await isInPlace(replacement, how)) continue;
    await replacement.swap(how);
    await world.journal.append({ event: "swapped", group: name }, how);
    context.teller.say(`${replacement.label} is in place; the old is kept aside`);
  }
  return { checks };
}

/** Throws data/damaged when what was brought differs from the snapshot; it is then removed, so that a resume brings it anew. */
async function compare(context: StepContext, replacement: Replacement, how: Cancel): Promise<void> {
  const state = await replacement.state(how);
  if (state === "finished" || (state === "swapped" && !context.recheck)) return;
  context.teller.say(`comparing ${replacement.label} with the snapshot`);
  let differences = await replacement.check(how);
  if (differences.length > 0 && state === "swapped") {
    context.teller.say(`${replacement.label} was changed since it was put in place: it is brought anew`);
    await replacement.unswap(how);
    await replacement.discard(how);
    await replacement.stage(how);
    differences = await replacement.check(how);
  }
  if (differences.length === 0) return;
  await replacement.discard(how);
  throw new DropsError(
    "data/damaged",
    `${replacement.label} is not as it was captured: ${inShort(differences)}`,
    {
      hint: "it was not swapped in, and what was brought is removed: drops verify --read-data, or try again",
    },
  );
}

async function fitTogether({ world, teller }: StepContext, how: Cancel): Promise<readonly Check[]> {
  const checks = await world.looks.appservice(how);
  for (const check of checks) teller.say(checkInWords(check));
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length === 0) return checks;
  throw new DropsError("safety/refused", `bridge and homeserver do not fit together: ${inOneLine(failed)}`, {
    hint: failed.map(({ hint }) => hint ?? "").join("\n"),
  });
}

/** Throws safety/refused when something runs that uses the data. */
async function requireStopped({ run, world, step }: StepContext, how: Cancel): Promise<void> {
  const units = run.restore.units.map(({ unit }) => unit);
  if (units.length === 0) return;
  const pending: Replacement[] = [];
  for (const name of step.replacements) {
    const replacement = replacementOf(world, name);
    if (!(await isInPlace(replacement, how))) pending.push(replacement);
  }
  if (pending.length === 0) return;
  const states = await world.services.states(units, how);
  const running = states.filter(isRunning).map(({ unit }) => unit);
  const isOpen = !(await world.gate.isClosed(how));
  if (running.length === 0 && !isOpen) return;
  const why = running.length > 0 ? `${running.join(", ")} is running` : "the gate is open";
  throw new DropsError("safety/refused", `${why}: nothing is swapped under a running service`, {
    hint: "the step stop comes first: add it to --steps, or leave --steps out",
  });
}

async function start({ run, world, teller }: StepContext, how: Cancel): Promise<StepFound> {
  await requireWhole(run, world, how);
  const { units } = run.restore;
  if (units.length === 0) return { notes: ["the policy names no units: nothing was started"] };
  await world.gate.open(how);
  const checks: Check[] = [];
  const started: ReadyUnit[] = [];
  for (const unit of units) {
    teller.say(`starting ${unit.unit}`);
    await world.services.start(unit.unit, how);
    const { ready, seconds, found, hint, log, invocation = "" } = await world.services.waitReady(unit, how);
    started.push({ rule: unit, invocation });
    checks.push({ name: unit.unit, ok: ready, found, ...(hint === undefined ? {} : { hint }) });
    if (ready) {
      teller.say(`${unit.unit}: ${found} (${seconds.toFixed(0)} s)`);
      continue;
    }
    for (const line of log) teller.say(`  ${line}`);
    throw new DropsError("source/failed", `${unit.unit} is not ready: ${found}`, {
      hint: hint ?? `journalctl -u ${unit.unit}`,
    });
  }
  teller.say("all are ready; watching whether they stay up");
  const { seconds, fallen } = await world.services.watch(started, how);
  if (fallen === undefined)
    return { checks: [...checks, { name: "units", ok: true, found: `all stayed up for ${seconds} s` }] };
  for (const line of fallen.log) teller.say(`  ${line}`);
  throw new DropsError("source/failed", `${fallen.unit} does not stay up: ${fallen.found}`, {
    hint: `journalctl -u ${fallen.unit}`,
  });
}

/** Services never see half a swap. */
async function requireWhole(run: GuidedRun, world: RestorePorts, how: Cancel): Promise<void> {
  const missing: string[] = [];
  const planned = new Set(run.steps.flatMap(({ replacements }) => replacements));
  for (const { name } of run.groups.filter((group) => planned.has(group.name))) {
    const replacement = replacementOf(world, name);
    if (!(await isInPlace(replacement, how))) missing.push(replacement.label);
  }
  if (missing.length === 0) return;
  throw new DropsError(
    "safety/refused",
    `nothing is started before everything is in place: ${missing.join(", ")}`,
    {
      hint: "the steps that put it in place come first: leave --steps out",
    },
  );
}

async function messages({ run, world, answers, teller }: StepContext, how: Cancel): Promise<StepFound> {
  const checks = await world.looks.service(how);
  for (const check of checks) teller.say(checkInWords(check));
  const said: Answer[] = [];
  for (const item of run.restore.checklist) said.push(await answers.check(item, how));
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length > 0)
    throw new DropsError(
      "source/failed",
      `the service runs, and does not hold what it should: ${inOneLine(failed)}`,
      {
        hint: failed.map(({ hint }) => hint ?? "").join("\n"),
      },
    );
  const open = said.filter(({ answer }) => answer !== "yes");
  return {
    checks,
    answers: said,
    notes: open.map(({ item, answer, note }) => `${answer}: ${item}${note === "" ? "" : ` (${note})`}`),
  };
}

/** The new is in place, whatever is left of the old. */
export async function isInPlace(replacement: Replacement, how: Cancel): Promise<boolean> {
  const state = await replacement.state(how);
  return state === "swapped" || state === "finished";
}

function checkInWords({ name, ok, found }: Check): string {
  return `  ${ok ? "ok" : "NOT OK"}  ${name}: ${found}`;
}

function inOneLine(checks: readonly Check[]): string {
  return inShort(checks.map(({ name, found }) => `${name}: ${found}`));
}

function inShort(lines: readonly string[]): string {
  return someOf(lines, { between: "; " });
}
