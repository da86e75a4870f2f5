import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";

/** One unit as systemd tells of it. */
export interface UnitState {
  /** As it was asked for. */
  readonly unit: string;
  /** What systemd calls it: differs when `unit` is an alias. */
  readonly id: string;
  /** `loaded`, `not-found`, `masked`, `bad-setting`, `error`. */
  readonly load: string;
  /** `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`. */
  readonly active: string;
  /** `running`, `exited`, `dead`, `auto-restart`, … */
  readonly sub: string;
  /** `success`, `exit-code`, `signal`, `timeout`, … of the last run; empty for kinds of units without. */
  readonly result: string;
  /** Exit status of the last main process that exited by itself. */
  readonly exit: number | undefined;
  readonly restarts: number;
  /** One id for each time it was started; empty when it was not since boot. */
  readonly invocation: string;
  readonly activeSince: Date | undefined;
  readonly oneshot: boolean;
  /** Sockets, timers and paths that start it. */
  readonly triggeredBy: readonly string[];
}

/** States in the order asked for. Throws policy/invalid for a template, host/command-failed on a host without systemd. */
export async function unitStates(
  _host: Host,
  _units: readonly string[],
  _how: Cancel,
): Promise<readonly UnitState[]> {
  throw new Error("to come");
}

/**
 * Stop units one after the other, in the order given (the caller reverses the order of starting), each after what would
 * start it (sockets, timers). Resolves when no process of them is left, with the names of all that were active before.
 * Units that do not exist are passed over. Throws host/command-failed when one does not stop, safety/refused when a process
 * of it outlives it.
 */
export async function stopUnits(
  _host: Host,
  _units: readonly string[],
  _how: Cancel,
): Promise<readonly string[]> {
  throw new Error("to come");
}

/**
 * Start a unit, and before it what is enabled to start it (sockets, timers). Forgets earlier failures first, so that no start limit
 * is in the way. Starting what runs does nothing. Resolves when systemd says that it was started; it may
 * end right after: see `waitReady`. Never throws for a unit that failed to start, since `waitReady` tells why; throws
 * host/command-failed when there is no such unit.
 */
export async function startUnit(_host: Host, _unit: string, _how: Cancel): Promise<void> {
  throw new Error("to come");
}
