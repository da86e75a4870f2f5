import type { Cancel } from "../../lib/cancel.ts";
import type { UnitPolicy } from "../../policy/schema.ts";
import type { Journal } from "../journal/journal.ts";
import type { Gate } from "../services/gate.ts";
import type { Readiness } from "../services/ready.ts";
import type { ReadyUnit, StayedUp } from "../services/stays-up.ts";
import type { UnitState } from "../services/units.ts";
import type { CheckResult } from "./check.ts";
import type { Replacement } from "./replacement.ts";

/** What a guided restore works on: the host's services and data, and the run's journal there. Made in app/guided-world.ts. */
export interface RestorePorts extends RollbackPorts {
  readonly probes: Probes;
}

/** What a rollback needs of it: nothing is read from the store. */
export interface RollbackPorts {
  readonly journal: Pick<Journal, "lines" | "append">;
  readonly gate: Pick<Gate, "isClosed" | "close" | "open">;
  readonly services: Services;
  /** By the name of their group. */
  readonly replacements: ReadonlyMap<string, Replacement>;
}

export interface Services {
  states(units: readonly string[], how: Cancel): Promise<readonly UnitState[]>;
  /** In the order given. */
  stop(units: readonly string[], how: Cancel): Promise<readonly string[]>;
  start(unit: string, how: Cancel): Promise<void>;
  waitReady(unit: UnitPolicy, how: Cancel): Promise<Readiness>;
  watch(units: readonly ReadyUnit[], how: Cancel): Promise<StayedUp>;
}

/** What is looked at and not changed. */
export interface Probes {
  oldMachine(how: Cancel): Promise<readonly CheckResult[]>;
  preflight(how: Cancel): Promise<readonly CheckResult[]>;
  /** Whether the tokens that are about to be swapped in fit together; empty when the policy names no appservice. */
  appservice(how: Cancel): Promise<readonly CheckResult[]>;
  /** The policy's checks. */
  service(how: Cancel): Promise<readonly CheckResult[]>;
}

/** How a run tells what it is doing. */
export interface RunReporter {
  say(line: string): void;
  progress(title: string): { update(done: number, total?: number, note?: string): void; done(): void };
}
