import type { JournalLine } from "../../src/guided/journal/journal-lines.ts";
import type { ReplacementGroup } from "../../src/guided/plan/groups.ts";
import type { CheckResult } from "../../src/guided/run/check.ts";
import type { RestorePorts, RunReporter } from "../../src/guided/run/ports.ts";
import type { Replacement, ReplacementState } from "../../src/guided/run/replacement.ts";
import type { RestorePolicy, UnitPolicy } from "../../src/policy/schema.ts";

/** Thrown by every call of a process that was killed. */
export class Killed extends Error {}

interface Slot {
  /** What is in place, beside it as new, and kept aside. */
  live: "old" | "new" | "gone";
  staged: "nothing" | "half" | "whole";
  aside: "nothing" | "old";
  /** A service wrote into what is in place. */
  dirty: boolean;
}

/**
 * A host as a guided restore sees it: it outlives the processes that work on it. Every call of a port is counted, and
 * `process` may be told to die at one of them, before or after its effect.
 */
export class FakeHost {
  readonly slots = new Map<string, Slot>();
  readonly running = new Set<string>();
  readonly lines: JournalLine[] = [];
  gated = false;
  /** Whether the gate holds over a reboot. */
  durable = true;
  /** What services saw when they were started: one entry each. */
  readonly seen: string[] = [];
  readonly units: readonly string[];
  answers: {
    readonly preflight?: readonly CheckResult[];
    readonly appservice?: readonly CheckResult[];
    readonly service?: readonly CheckResult[];
  } = {};
  /** Units that do not become ready. */
  readonly broken = new Set<string>();
  /** Units that become ready, and crash again and again. */
  readonly crashing = new Set<string>();
  /** Groups whose staged data is not as captured, so many times. */
  readonly wrong = new Map<string, number>();
  /** What the old data that is kept aside of a group holds alone. */
  readonly onlyOld = new Map<string, string>();

  constructor(groups: readonly ReplacementGroup[], restore: RestorePolicy) {
    for (const { name } of groups)
      this.slots.set(name, { live: "old", staged: "nothing", aside: "nothing", dirty: false });
    this.units = restore.units.map(({ unit }) => unit);
    for (const unit of this.units) this.running.add(unit);
  }

  /** Everything ends; a gate that is not durable is forgotten, and units start by themselves. */
  reboot(): void {
    this.running.clear();
    if (!this.durable) this.gated = false;
    if (this.gated) return;
    for (const unit of this.units) this.#begin(unit);
  }

  /** One process that works on the host. */
  process(how: { dieAt?: number; afterEffect?: boolean } = {}): FakeProcess {
    return new FakeProcess(this, how, (unit) => this.#begin(unit));
  }

  #begin(unit: string): void {
    if (this.running.has(unit)) return;
    this.running.add(unit);
    const lives = [...this.slots.values()].map(({ live }) => live);
    this.seen.push(new Set(lives).size === 1 ? `${lives[0]}` : lives.join("+"));
    for (const slot of this.slots.values()) slot.dirty = true;
  }
}

export class FakeProcess {
  readonly #host: FakeHost;
  readonly #how: { readonly dieAt?: number; readonly afterEffect?: boolean };
  readonly #start: (unit: string) => void;
  #calls = 0;
  #dead = false;

  constructor(host: FakeHost, how: { dieAt?: number; afterEffect?: boolean }, start: (unit: string) => void) {
    this.#host = host;
    this.#how = how;
    this.#start = start;
  }

  /** How many calls of ports were made. */
  get calls(): number {
    return this.#calls;
  }

  /** `effect` happens at once, as far as others can see. */
  async #call<Result>(effect: () => Result): Promise<Result> {
    await Promise.resolve();
    if (this.#dead) throw new Killed();
    this.#calls++;
    const dies = this.#calls === this.#how.dieAt;
    if (dies) this.#dead = true;
    if (dies && this.#how.afterEffect !== true) throw new Killed();
    const result = effect();
    if (dies) throw new Killed();
    return result;
  }

  ports(): RestorePorts {
    const host = this.#host;
    const call = <Result>(effect: () => Result) => this.#call(effect);
    return {
      journal: {
        lines: host.lines,
        append: (event) =>
          call(() => {
            const line = {
              n: host.lines.length,
              at: new Date(1e12 + host.lines.length * 1000).toISOString(),
              ...event,
            };
            host.lines.push(line);
            return line;
          }),
      },
      gate: {
        isClosed: () => call(() => host.gated),
        close: () =>
          call(() => {
            host.gated = true;
            return { durable: host.durable, notes: [] };
          }),
        open: () =>
          call(() => {
            host.gated = false;
          }),
      },
      services: {
        states: (units) => call(() => units.map((unit) => stateOf(unit, host.running.has(unit)))),
        stop: (units) =>
          call(() => {
            const stopped = units.filter((unit) => host.running.has(unit));
            for (const unit of stopped) host.running.delete(unit);
            return stopped;
          }),
        start: (unit) =>
          call(() => {
            if (!host.gated && !host.broken.has(unit)) this.#start(unit);
          }),
        waitReady: ({ unit }: UnitPolicy) =>
          call(() => {
            const ready = host.running.has(unit);
            const found = ready ? "active" : "exit status 16";
            return { ready, seconds: 1, found, log: [], ...(ready ? {} : { hint: `journalctl -u ${unit}` }) };
          }),
        watch: (units) =>
          call(() => {
            const crashing = units.find(({ rule }) => host.crashing.has(rule.unit));
            if (crashing === undefined) return { seconds: 12 };
            const found = "it was ready, and was started again since: restarted 1 times";
            return { seconds: 3, fallen: { unit: crashing.rule.unit, found, log: ["thread main panicked"] } };
          }),
      },
      replacements: new Map([...host.slots.keys()].map((name) => [name, this.#replacement(name)])),
      probes: {
        oldMachine: () => call(() => []),
        preflight: () => call(() => host.answers.preflight ?? []),
        appservice: () => call(() => host.answers.appservice ?? []),
        service: () => call(() => host.answers.service ?? []),
      },
    };
  }

  #replacement(name: string): Replacement {
    const slot = this.#host.slots.get(name) as Slot;
    const call = <Result>(effect: () => Result) => this.#call(effect);
    return {
      label: name,
      source: name,
      state: () => call(() => stateOfSlot(slot)),
      stage: async ({ onBytes }) => {
        await call(() => {
          if (slot.live === "new") throw new Error(`${name} is in place already`);
          slot.staged = "half";
        });
        onBytes?.(1);
        await call(() => {
          slot.staged = "whole";
        });
        return { files: 1, bytes: 1, notes: [] };
      },
      check: () =>
        call(() => {
          const wrong = this.#host.wrong.get(name) ?? 0;
          this.#host.wrong.set(name, wrong - 1);
          const isDirty = slot.live === "new" && slot.dirty;
          return wrong > 0 || isDirty ? [`${name} differs`] : [];
        }),
      swap: () =>
        call(() => {
          if (slot.live === "new") return;
          if (slot.staged !== "whole") throw new Error(`${name} is not staged`);
          if (this.#host.running.size > 0) throw new Error(`${name} was swapped under running services`);
          Object.assign(slot, { live: "new", staged: "nothing", aside: "old", dirty: false });
        }),
      unswap: () =>
        call(() => {
          if (slot.live === "old") return;
          if (slot.aside !== "old") throw new Error(`the old ${name} is gone`);
          Object.assign(slot, { live: "old", staged: "whole", aside: "nothing" });
        }),
      discard: () =>
        call(() => {
          if (slot.live === "new") throw new Error(`${name} is in place`);
          slot.staged = "nothing";
        }),
      onlyInOld: () =>
        call(() => [...this.#host.onlyOld].flatMap(([group, what]) => (group === name ? [what] : []))),
      finish: () =>
        call(() => {
          if (slot.live !== "new") throw new Error(`${name} is not in place`);
          slot.aside = "nothing";
        }),
    };
  }
}

function stateOfSlot({ live, staged, aside }: Slot): ReplacementState {
  if (live === "new") return aside === "old" ? "swapped" : "finished";
  if (staged === "whole") return "staged";
  return staged === "half" ? "staging" : "untouched";
}

function stateOf(unit: string, isActive: boolean) {
  return {
    unit,
    id: unit,
    load: "loaded",
    active: isActive ? "active" : "inactive",
    sub: isActive ? "running" : "dead",
    result: "success",
    exit: undefined,
    restarts: 0,
    invocation: "",
    activeSince: undefined,
    oneshot: false,
    conditionsMet: true,
    triggeredBy: [],
  };
}

/** A reporter that remembers. */
export function fakeReporter(said: string[] = []): RunReporter {
  return { say: (line) => void said.push(line), progress: () => ({ update: () => {}, done: () => {} }) };
}
