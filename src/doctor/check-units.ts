import { probe, type ReadyRule } from "../guided/services/ready.ts";
import { type UnitState, unitStates } from "../guided/services/units.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { milliseconds } from "../lib/units.ts";
import { type Check, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** An address has ten seconds to answer, a command thirty to end. */
const LIMIT_MS = 180_000;

/** `restore.units`: what a restore waits for at its end must hold on the server as it runs now. */
export function unitChecks(world: World): Check[] {
  const rules: readonly ReadyRule[] = world.loaded.policy.restore.units;
  if (rules.length === 0) return [];
  return [
    {
      group: "host",
      name: "units",
      needs: "host",
      limitMs: LIMIT_MS,
      why: "a restore waits until every unit is ready: where that never comes true, a good restore is called a failed one",
      run: async (how) => tryUnits(await world.host, rules, world.now(), how),
    },
  ];
}

async function tryUnits(host: Host, rules: readonly ReadyRule[], now: Date, how: Cancel): Promise<Line[]> {
  const names = rules.map(({ unit }) => unit);
  let states: readonly UnitState[];
  try {
    states = await unitStates(host, names, how);
  } catch (error) {
    if (!isFailure(error, "host/command-failed")) throw error;
    return [
      warn(`the units of restore.units could not be looked at: ${error.message}`, error.hint ?? "systemctl"),
    ];
  }
  const lines: Line[] = [];
  const ready: string[] = [];
  for (const [at, rule] of rules.entries()) {
    const { why, found } = await tryUnit(host, rule, states[at], now, how);
    if (why === undefined) ready.push([rule.unit, ...found].join(": "));
    else lines.push(notReady(rule, why));
  }
  return ready.length > 0 ? [...lines, ok(`ready as restore.units tells: ${ready.join(", ")}`)] : lines;
}

interface Tried {
  /** Why it is not ready, in words. */
  readonly why?: string;
  /** What its probes found. */
  readonly found: readonly string[];
}

async function tryUnit(
  host: Host,
  rule: ReadyRule,
  state: UnitState | undefined,
  now: Date,
  how: Cancel,
): Promise<Tried> {
  const trouble = runs(rule, state, now);
  if (trouble !== undefined) return { why: trouble, found: [] };
  const answers = await probe(host, rule, how);
  const found = answers.map((answer) => answer.found);
  const bad = answers.filter(({ isReady }) => !isReady).map((answer) => answer.found);
  return bad.length > 0 ? { why: `it runs, but ${bad.join("; ")}`, found } : { found };
}

function notReady({ unit }: ReadyRule, why: string): Line {
  const fix = `journalctl -u ${unit}; where the service is well, correct its name or \`ready\` in restore.units`;
  return warn(`${unit} is not ready as restore.units tells: ${why}`, fix);
}

/** Why a unit does not run as the rule wants it, in words; undefined when it does. */
function runs({ ready }: ReadyRule, state: UnitState | undefined, now: Date): string | undefined {
  if (state?.load !== "loaded") return `systemd says ${state?.load ?? "nothing"} of it`;
  if (state.oneshot && state.result === "success") return undefined;
  if (state.active !== "active" && state.active !== "reloading")
    return `it is ${state.active} (${state.sub})`;
  if (ready?.active_for === undefined || state.restarts === 0) return undefined;
  const ms = now.getTime() - (state.activeSince?.getTime() ?? 0);
  if (ms < 0 || ms >= milliseconds(ready.active_for)) return undefined;
  return `it was restarted ${state.restarts} times, the last time ${Math.round(ms / 1000)} s ago (active_for ${ready.active_for})`;
}
