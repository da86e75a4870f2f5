import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { controlGroup, untilEmpty } from "./units-processes.ts";
import { showUnits, systemctl, type UnitProperties } from "./units-show.ts";

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
  /** Exit status of the last main process, when it exited by itself. */
  readonly exit: number | undefined;
  readonly restarts: number;
  /** One id for each time it was started; empty when it was not since boot. */
  readonly invocation: string;
  readonly activeSince: Date | undefined;
  readonly oneshot: boolean;
  /** Whether its conditions held when it was last to be started; true when it never was. */
  readonly conditionsMet: boolean;
  /** Sockets, timers and paths that start it. */
  readonly triggeredBy: readonly string[];
}

const PROPERTIES = [
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "ExecMainCode",
  "ExecMainStatus",
  "NRestarts",
  "InvocationID",
  "ActiveEnterTimestamp",
  "ConditionResult",
  "ConditionTimestamp",
  "Type",
  "TriggeredBy",
];
const EXITED = "1"; // CLD_EXITED of waitid(2)

/** States in the order asked for. Throws policy/invalid for a template, host/command-failed on a host without systemd. */
export async function unitStates(
  host: Host,
  units: readonly string[],
  how: Cancel,
): Promise<readonly UnitState[]> {
  const shown = await showUnits(host, units, PROPERTIES, how);
  return shown.map((properties, index) => stateOf(units[index] ?? "", properties));
}

/**
 * Stop units one after the other, in the order given (the caller reverses the order of starting), each after what would
 * start it (sockets, timers). Resolves when no process of them is left, with the names of all that were active before.
 * Units that do not exist are passed over. Throws host/command-failed when one does not stop, safety/refused when a
 * process of it outlives it.
 */
export async function stopUnits(
  host: Host,
  units: readonly string[],
  how: Cancel,
): Promise<readonly string[]> {
  const stopped: string[] = [];
  for (const state of await unitStates(host, units, how)) {
    const triggers = await unitStates(host, state.triggeredBy, how);
    for (const each of [...triggers, state]) {
      if (isRunning(each)) stopped.push(each.unit);
      await stop(host, each, how);
    }
  }
  return stopped;
}

async function stop(host: Host, { unit }: UnitState, how: Cancel): Promise<void> {
  const group = await controlGroup(host, unit, how); // systemd forgets it when it is empty
  const [before] = await unitStates(host, [unit], how); // what starts it may just have started it
  if (before !== undefined && isRunning(before)) {
    await systemctl(host, ["stop", "--", unit], how);
    const [after] = await unitStates(host, [unit], how);
    if (after === undefined || isRunning(after))
      throw new DropsError(
        "host/command-failed",
        `${unit} does not stop: it is ${after?.active} (${after?.sub})`,
        { hint: `systemctl status ${unit}; journalctl -u ${unit}` },
      );
  }
  await untilEmpty(host, unit, group, how);
}

/**
 * Start a unit, and before it what is enabled to start it (sockets, timers). Forgets earlier failures first, so that no
 * start limit is in the way. Starting what runs does nothing. Resolves when systemd has done what it can; that a unit
 * failed is no failure here, since `waitReady` tells why. Throws host/command-failed when there is no such unit.
 */
export async function startUnit(host: Host, unit: string, how: Cancel): Promise<void> {
  const [state] = await unitStates(host, [unit], how);
  if (state?.load !== "loaded")
    throw new DropsError(
      "host/command-failed",
      `${unit} cannot be started: it is ${state?.load} on ${host.label}`,
      { hint: `systemctl status ${unit}` },
    );
  if (isUp(state)) return;
  const anyExit = { ...how, okExits: ANY_EXIT };
  for (const trigger of await dormantTriggers(host, state, how)) {
    await systemctl(host, ["reset-failed", "--", trigger], anyExit);
    await systemctl(host, ["start", "--", trigger], anyExit); // before the unit: a socket refuses to once that is up
  }
  await systemctl(host, ["reset-failed", "--", unit], anyExit);
  await systemctl(host, ["start", "--", unit], anyExit);
}

/** Of what starts the unit: what a boot would start, and is not up. */
async function dormantTriggers(host: Host, state: UnitState, how: Cancel): Promise<readonly string[]> {
  const shown = await showUnits(host, state.triggeredBy, ["UnitFileState", "ActiveState"], how);
  return state.triggeredBy.filter((_, index) => {
    const properties = shown[index];
    return (
      /^enabled/.test(properties?.get("UnitFileState") ?? "") && properties?.get("ActiveState") !== "active"
    );
  });
}

/** Whether it does what it is for. */
export function isUp({ active }: UnitState): boolean {
  return active === "active" || active === "reloading";
}

/** Whether a unit has processes, or is about to. */
export function isRunning({ active }: UnitState): boolean {
  return active !== "inactive" && active !== "failed";
}

/** Kinds of units that count nothing print nothing. */
function count(text: string, unit: string): number {
  if (/^\d{0,9}$/.test(text)) return Number(text);
  throw new DropsError("host/command-failed", `systemd reported an invalid number for ${unit}`);
}

function stateOf(unit: string, shown: UnitProperties): UnitState {
  const get = (property: string) => shown.get(property) ?? "";
  const since = Date.parse(get("ActiveEnterTimestamp").replace(/^[A-Z][a-z]+ (.*) UTC$/, "$1Z"));
  return {
    unit,
    id: get("Id"),
    load: get("LoadState"),
    active: get("ActiveState"),
    sub: get("SubState"),
    result: get("Result"),
    exit: get("ExecMainCode") === EXITED ? count(get("ExecMainStatus"), unit) : undefined,
    restarts: count(get("NRestarts"), unit),
    invocation: get("InvocationID"),
    activeSince: Number.isNaN(since) ? undefined : new Date(since),
    oneshot: get("Type") === "oneshot",
    conditionsMet: get("ConditionResult") !== "no" || get("ConditionTimestamp") === "",
    triggeredBy: get("TriggeredBy").split(" ").filter(Boolean),
  };
}
