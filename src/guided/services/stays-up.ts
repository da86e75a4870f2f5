import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { probe, type ReadyRule } from "./ready.ts";
import { lastLines } from "./ready-log.ts";
import { isUp, type UnitState, unitStates } from "./units.ts";
import { showUnits } from "./units-show.ts";

/** A unit that was ready, and which start of it that was. */
export interface ReadyUnit {
  readonly rule: ReadyRule;
  readonly invocation: string;
}

/** How long units were watched, and the first that did not stay up. */
export interface StayedUp {
  readonly seconds: number;
  readonly fallen?: {
    readonly unit: string;
    /** In words. */
    readonly found: string;
    /** Its last lines in the host's journal: to be shown, not kept. */
    readonly log: readonly string[];
  };
}

const SHORTEST_MS = 10_000;
const LONGEST_MS = 120_000;
/** Beyond the longest pause that systemd makes before it starts one of them again. */
const MARGIN_MS = 5000;
const LOOK_EVERY_MS = 500;

/**
 * Watch units that are ready for longer than systemd waits before it starts one again, and ask their addresses and commands once more at
 * the end: a service that answers and then crashes in a loop is not one that lives. Ends at the first that was started anew or does not run
 * any more. Not staying up is an answer, not a failure.
 */
export async function watchUnits(host: Host, units: readonly ReadyUnit[], how: Cancel): Promise<StayedUp> {
  const began = performance.now();
  const until = began + (await windowOf(host, units, how));
  let fallen: Fallen | undefined;
  do {
    await sleep(LOOK_EVERY_MS, undefined, how);
    fallen = await fallenOf(host, units, how);
  } while (fallen === undefined && performance.now() < until);
  fallen ??= await silentOf(host, units, how);
  const seconds = Math.round((performance.now() - began) / 1000);
  if (fallen === undefined) return { seconds };
  return { seconds, fallen: { ...fallen, log: await lastLines(host, fallen.unit, how) } };
}

type Fallen = Pick<NonNullable<StayedUp["fallen"]>, "unit" | "found">;

async function fallenOf(host: Host, units: readonly ReadyUnit[], how: Cancel): Promise<Fallen | undefined> {
  const names = units.map(({ rule }) => rule.unit);
  for (const [at, state] of (await unitStates(host, names, how)).entries()) {
    const found = whyFallen(state, units[at]?.invocation ?? "");
    if (found !== undefined) return { unit: state.unit, found };
  }
  return undefined;
}

async function silentOf(host: Host, units: readonly ReadyUnit[], how: Cancel): Promise<Fallen | undefined> {
  for (const { rule } of units)
    for (const { isReady, found } of await probe(host, rule, how))
      if (!isReady) return { unit: rule.unit, found: `it was ready, and is not any more: ${found}` };
  return undefined;
}

function whyFallen(state: UnitState, invocation: string): string | undefined {
  if (state.oneshot && state.result === "success") return undefined;
  const exit = state.exit === undefined ? "" : `, last with exit status ${state.exit}`;
  if (!isUp(state)) return `it was ready, and is ${state.active} (${state.sub}) now${exit}`;
  // Nothing to compare with where systemd told of none.
  if (invocation === "" || state.invocation === invocation) return undefined;
  return `it was ready, and was started again since: restarted ${state.restarts} times${exit}`;
}

async function windowOf(host: Host, units: readonly ReadyUnit[], how: Cancel): Promise<number> {
  const names = units.map(({ rule }) => rule.unit);
  const shown = await showUnits(host, names, ["RestartUSec"], how);
  const pauses = shown.map((properties) => timeSpan(properties.get("RestartUSec") ?? ""));
  return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, ...pauses.map((pause) => pause + MARGIN_MS)));
}

const SPANS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `1min 30s` as systemd.time(7) prints it, in milliseconds; 0 for what is shorter than one, or is none. */
function timeSpan(text: string): number {
  let sum = 0;
  for (const [, count, unit = ""] of text.matchAll(/\b(\d{1,9}(?:\.\d+)?)(ms|s|min|h|d)\b/g))
    sum += Number(count) * (SPANS[unit] ?? 0);
  return sum;
}
