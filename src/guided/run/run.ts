import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure, messageOf, refused } from "../../lib/errors.ts";
import type { PlannedStep } from "../plan/plan.ts";
import type { ChecklistAnswer } from "../report.ts";
import { isRunning } from "../services/units.ts";
import type { Answers } from "./answers.ts";
import type { CheckResult } from "./check.ts";
import { type GuidedRun, unitsOf } from "./guided-run.ts";
import type { RestorePorts, RollbackPorts, RunReporter } from "./ports.ts";
import { progressOf, type RunProgress } from "./progress.ts";
import { STEP_WORK, type StepContext } from "./run-steps.ts";
import { Stager } from "./stager.ts";
import { wasDone } from "./step-status.ts";
import { isDataStep, type StepId } from "./steps.ts";

/** What a run is continued, taken back and finished with: whole commands, for hints. */
export interface RunCommands {
  readonly resume: string;
  readonly rollback: string;
  readonly finish: string;
}

/** What closing a run needs. */
export interface CloseParts {
  readonly ports: RollbackPorts;
  readonly answers: Answers;
  readonly reporter: RunReporter;
  readonly commands: RunCommands;
}

export interface RunParts extends CloseParts {
  readonly ports: RestorePorts;
  readonly now: () => Date;
}

export interface StepResult {
  readonly id: StepId;
  /** `passed`: an earlier try did it, and the host still says so. */
  readonly outcome: "done" | "passed";
  /** Of work, without waiting for a person, over all tries. */
  readonly seconds: number;
  readonly checks: readonly CheckResult[];
  readonly answers: readonly ChecklistAnswer[];
  readonly notes: readonly string[];
}

export interface RunOutcome {
  readonly steps: readonly StepResult[];
  /** From the run's beginning to the moment when everything was started, waiting included; undefined: it was not. */
  readonly secondsToStarted: number | undefined;
}

/**
 * Carry the steps of a run out, or what is left of them: each one is confirmed, done, checked and journalled. What the
 * journal calls done is believed only as far as the host agrees. Call it under the host's lock.
 *
 * @throws DropsError the failure of a step, with what continues it and what takes it back; interrupted when the person says no
 */
export async function runGuided(run: GuidedRun, parts: RunParts, how: Cancel): Promise<RunOutcome> {
  return new Runner(run, parts).run(how);
}

class Runner {
  readonly #run: GuidedRun;
  readonly #parts: RunParts;
  readonly #confirmed = new Set<StepId>();
  #stager: Stager | undefined;
  /** For a person, within steps. */
  #waitedMs = 0;

  constructor(run: GuidedRun, parts: RunParts) {
    this.#run = run;
    this.#parts = parts;
  }

  async run(how: Cancel): Promise<RunOutcome> {
    const { ports, reporter } = this.#parts;
    this.#refuseWhenClosing();
    const results: StepResult[] = [];
    try {
      const wasRunning = await this.#gateAgain(how);
      for (const step of this.#run.steps) results.push(await this.#step(step, wasRunning, how));
    } finally {
      await this.#stager?.[Symbol.asyncDispose]();
    }
    const started = ports.journal.lines.findLast(
      (line) => line.event === "step-done" && line["step"] === "start",
    );
    if (!this.#run.steps.some(({ id }) => id === "start")) {
      reporter.say(
        `the step start is not part of this run: the gate stays closed until ${this.#parts.commands.resume} --steps start`,
      );
    }
    const at = started === undefined ? undefined : Date.parse(started.at);
    const secondsToStarted = at === undefined ? undefined : (at - Date.parse(this.#run.started)) / 1000;
    await ports.journal.append({ event: "run-ended" }, how);
    return { steps: results, secondsToStarted };
  }

  get #progress(): RunProgress {
    return progressOf(this.#parts.ports.journal.lines);
  }

  #refuseWhenClosing(): void {
    const { closed, isRollingBack, isFinishing } = this.#progress;
    const { run } = this.#run;
    const { commands } = this.#parts;
    if (closed !== undefined)
      throw refused(
        `run ${run} is ${closed}: there is nothing to continue`,
        "start a new one: drops restore --date …",
      );
    if (isRollingBack) throw refused(`run ${run} is being rolled back`, commands.rollback);
    if (isFinishing)
      throw refused(`run ${run} is being finished: its old data is being removed`, commands.finish);
  }

  /**
   * Between stop and start nothing may run on half of the data, whatever happened meanwhile: a reboot forgets drop-ins that
   * are not durable. Answers whether something ran that should not have.
   */
  async #gateAgain(how: Cancel): Promise<boolean> {
    const { ports, reporter } = this.#parts;
    const { begun, activeBefore } = this.#progress;
    const units = unitsOf(this.#run);
    if (activeBefore === undefined || begun.has("start") || units.length === 0) return false;
    await ports.gate.close(how);
    const states = await ports.services.states(units, how);
    const running = states.filter(isRunning).map(({ unit }) => unit);
    if (running.length === 0) return false;
    reporter.say(
      `WARNING: ${running.join(", ")} ran while data was being put in place; what is in place is compared again`,
    );
    await ports.services.stop(units.toReversed(), how);
    await ports.journal.append({ event: "ran-too-early", units: running }, how);
    return true;
  }

  async #step(step: PlannedStep, recheck: boolean, how: Cancel): Promise<StepResult> {
    const { ports, reporter, now } = this.#parts;
    const nothing = { checks: [], answers: [], notes: [] };
    if (await wasDone(step, this.#run, ports, { ...how, recheck })) {
      reporter.say(`step ${step.number}, ${step.title}: done before`);
      return {
        id: step.id,
        outcome: "passed",
        seconds: this.#progress.seconds.get(step.id) ?? 0,
        ...nothing,
      };
    }
    await this.#announce(step, how).catch((error: unknown) => {
      throw this.#left(error);
    });
    await ports.journal.append({ event: "step-begun", step: step.id }, how);
    const worked = () => now().getTime() - this.#waitedMs;
    const began = worked();
    const seconds = () => Math.max(0, (worked() - began) / 1000);
    try {
      const found = await STEP_WORK[step.id](this.#context(step, recheck), how);
      await ports.journal.append(
        {
          event: "step-done",
          step: step.id,
          seconds: seconds(),
          checks: found.checks ?? [],
          answers: found.answers ?? [],
        },
        how,
      );
      for (const note of found.notes ?? []) reporter.say(note);
      reporter.say(`step ${step.number} is done, in ${seconds().toFixed(0)} s`);
      return {
        id: step.id,
        outcome: "done",
        seconds: this.#progress.seconds.get(step.id) ?? 0,
        ...nothing,
        ...found,
      };
    } catch (error) {
      throw await this.#failed(step, seconds(), error, how);
    }
  }

  /** Show what will be done, and ask. All that bring data are asked about together: afterwards bars are on the screen. */
  async #announce(step: PlannedStep, how: Cancel): Promise<void> {
    const isData = isDataStep(step.id);
    const steps = isData ? this.#run.steps.filter(({ id }) => isDataStep(id)) : [step];
    for (const each of steps) if (!this.#confirmed.has(each.id)) await this.#confirm(each, how);
    if (isData) this.#beginStaging(steps, how);
  }

  async #confirm(step: PlannedStep, how: Cancel): Promise<void> {
    const { reporter, answers } = this.#parts;
    const name = `step ${step.number}, ${step.title}`;
    reporter.say("");
    reporter.say(`${name}: ${step.does}`);
    for (const { what, command = "" } of step.actions)
      reporter.say(`  ${what}${command === "" ? "" : `:  ${command}`}`);
    if (step.question !== undefined) await answers.confirm(step.question, name, how);
    this.#confirmed.add(step.id);
  }

  #beginStaging(steps: readonly PlannedStep[], how: Cancel): void {
    if (this.#stager) return;
    const names = new Set(steps.flatMap(({ replacements }) => replacements));
    this.#stager = new Stager(this.#parts);
    this.#stager.begin(
      this.#run.groups.filter(({ name }) => names.has(name)),
      how,
    );
  }

  #context(step: PlannedStep, recheck: boolean): StepContext {
    const { ports, reporter, answers } = this.#parts;
    return {
      run: this.#run,
      step,
      ports,
      reporter,
      answers: {
        fence: (addresses, how) => this.#waiting(() => answers.fence(addresses, how)),
        check: (item, how) => this.#waiting(() => answers.check(item, how)),
      },
      recheck: recheck && !this.#progress.begun.has("start"),
      hasStarted: this.#progress.begun.has("start"),
      activeBefore: this.#progress.activeBefore,
      whenStaged: async (name) => this.#stager?.whenStaged(name),
    };
  }

  async #waiting<Said>(ask: () => Promise<Said>): Promise<Said> {
    const { now } = this.#parts;
    const asked = now().getTime();
    try {
      return await ask();
    } finally {
      this.#waitedMs += now().getTime() - asked;
    }
  }

  /** A person said no, or left, at a question: how things stand, and what can be done about it. */
  #left(error: unknown): unknown {
    if (!isFailure(error, "interrupted")) return error;
    const { commands } = this.#parts;
    const { activeBefore, begun } = this.#progress;
    const isClosed = activeBefore !== undefined && !begun.has("start");
    const state = isClosed ? "; the gate is closed, and the services are stopped" : "";
    const hint = `go on: ${commands.resume}\nback: ${commands.rollback}`;
    return new DropsError("interrupted", `${error.message}${state}`, { hint, cause: error });
  }

  /** The failure with what can be done about it. The journal is told when the host can still be reached. */
  async #failed(step: PlannedStep, seconds: number, error: unknown, how: Cancel): Promise<unknown> {
    const { ports, commands } = this.#parts;
    const code = isFailure(error) ? error.code : "bug";
    const event = {
      event: "step-failed",
      step: step.id,
      seconds,
      code,
      message: messageOf(error).slice(0, 2000),
    };
    // the failure of the step is the one to tell: one of the journal would hide it
    if (!how.signal.aborted) await ports.journal.append(event, how).catch(() => {});
    if (!isFailure(error)) return error;
    const hint = [
      ...(error.hint === undefined ? [step.otherwise] : [error.hint]),
      ...(isFailure(error, "format/unsupported") ? [] : [commands.resume]), // which would end the same way
      `or back: ${commands.rollback}`,
    ];
    return new DropsError(error.code, `step ${step.number}, ${step.title}: ${error.message}`, {
      hint: hint.join("\n"),
      cause: error,
    });
  }
}
