import { setTimeout as sleep } from "node:timers/promises";
import { nameOf } from "../../host/expect-success.ts";
import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { milliseconds } from "../../lib/units.ts";
import { askHttp, loopbackUrl } from "./ready-http.ts";
import { lastLines } from "./ready-log.ts";
import { type UnitState, unitStates } from "./units.ts";

/** `restore.units` of the policy: what must hold before a unit counts as ready. Everything that is given must. */
export interface ReadyRule {
  readonly unit: string;
  readonly ready?:
    | {
        /** A loopback address, asked on the host; 2xx is ready. */
        readonly http?: string | undefined;
        /** Active for that long without a restart; `20s`. */
        readonly active_for?: string | undefined;
        /** Run on the host; exit status 0 is ready. */
        readonly command?: readonly string[] | undefined;
        /** How long to wait at most; default `5m`. */
        readonly within?: string | undefined;
      }
    | undefined;
  /** What an exit status of the unit means. */
  readonly exits?: Readonly<Record<number, string>> | undefined;
}

export interface Readiness {
  readonly ready: boolean;
  readonly seconds: number;
  /** In words. */
  readonly found: string;
  readonly hint?: string;
  /** Which start of the unit it was that is ready. */
  readonly invocation?: string;
  /** The unit's last lines in the host's journal when it is not ready: to be shown, not kept, since a service may log secrets. */
  readonly log: readonly string[];
}

const WITHIN = "5m";
const ACTIVE_FOR = "2s";
const LOOK_EVERY_MS = 250;
const COMMAND_WITHIN_MS = 30_000;
/** A status with a known meaning may pass (the homeserver is not up yet); after as many in a row it will not. */
const KNOWN_EXITS = 3;

/** One look at a unit: what to wait for, or the end of waiting. */
interface Look {
  readonly verdict: "ready" | "wait" | "failed";
  readonly found: string;
  readonly hint?: string;
  readonly invocation?: string;
}

/**
 * Wait for a started unit. Ends early when it failed for good, or ended three times with a status that is in
 * `exits`. Not being ready is an answer, not a failure. Throws policy/invalid when `http` is not a loopback address.
 */
export async function waitReady(host: Host, rule: ReadyRule, how: Cancel): Promise<Readiness> {
  const began = performance.now();
  const within = milliseconds(rule.ready?.within ?? WITHIN);
  const watch = new Watch(host, rule);
  for (;;) {
    const look = await watch.look(how);
    const elapsed = performance.now() - began;
    const seconds = Math.round(elapsed / 100) / 10;
    if (look.verdict === "ready") {
      const { found, invocation = "" } = look;
      return { ready: true, seconds, found, invocation, log: [] };
    }
    const isLate = elapsed >= within;
    if (look.verdict === "failed" || isLate) {
      const found =
        isLate && look.verdict === "wait" ? `${look.found}, after ${Math.round(seconds)} s` : look.found;
      const hint = look.hint ?? `journalctl -u ${rule.unit}`;
      return { ready: false, seconds, found, hint, log: await lastLines(host, rule.unit, how) };
    }
    await sleep(Math.min(LOOK_EVERY_MS, Math.max(1, within - elapsed)), undefined, how);
  }
}

/** What the unit's address and its command say now; empty when the rule names neither. */
export async function probe(
  host: Host,
  { ready }: ReadyRule,
  how: Cancel,
): Promise<readonly { readonly isReady: boolean; readonly found: string }[]> {
  const answers: { isReady: boolean; found: string }[] = [];
  if (ready?.http !== undefined) answers.push(await askHttp(host, loopbackUrl(ready.http), how));
  if (ready?.command !== undefined) answers.push(await askCommand(host, ready.command, how));
  return answers;
}

async function askCommand(host: Host, command: readonly string[], how: Cancel) {
  const late = AbortSignal.timeout(COMMAND_WITHIN_MS);
  const name = nameOf(command);
  try {
    const signal = AbortSignal.any([how.signal, late]);
    const { exit } = await host.run(command, { signal, okExits: ANY_EXIT });
    return { isReady: exit === 0, found: `${name} ends with ${exit ?? "a signal"}` };
  } catch (error) {
    if (how.signal.aborted || !late.aborted) throw error;
    return { isReady: false, found: `${name} does not end within ${COMMAND_WITHIN_MS / 1000} s` };
  }
}

class Watch {
  readonly #host: Host;
  readonly #rule: ReadyRule;
  #invocation = "";
  #activeFrom = 0;
  /** How often it ended with a status whose meaning is known, each run counted once. */
  readonly #knownExits = new Set<string>();
  #lastExit: number | undefined;

  constructor(host: Host, rule: ReadyRule) {
    this.#host = host;
    this.#rule = rule;
    if (rule.ready?.http !== undefined) loopbackUrl(rule.ready.http); // refused before anything is waited for
  }

  async look(how: Cancel): Promise<Look> {
    const [state] = await unitStates(this.#host, [this.#rule.unit], how);
    if (state === undefined || state.load !== "loaded")
      return failed(`${this.#rule.unit} is ${state?.load ?? "not there"}`);
    switch (state.active) {
      case "active":
      case "reloading":
        return this.#whenActive(state, how);
      case "failed":
        return failed(`failed (${state.result})${this.#ended(state)}`);
      case "inactive":
        return this.#whenInactive(state);
      default:
        return this.#whenStarting(state);
    }
  }

  async #whenActive(state: UnitState, how: Cancel): Promise<Look> {
    const now = performance.now();
    if (state.invocation !== this.#invocation) [this.#invocation, this.#activeFrom] = [state.invocation, now];
    const { active_for, http, command } = this.#rule.ready ?? {};
    const isAlone = http === undefined && command === undefined;
    const wanted = active_for ?? (isAlone && !state.oneshot ? ACTIVE_FOR : "0s");
    const found = [`active for ${Math.round((now - this.#activeFrom) / 1000)} s${this.#restarts(state)}`];
    let isReady = now - this.#activeFrom >= milliseconds(wanted);
    for (const answer of await probe(this.#host, this.#rule, how)) {
      found.push(answer.found);
      isReady &&= answer.isReady;
    }
    return {
      verdict: isReady ? "ready" : "wait",
      found: found.join("; "),
      invocation: state.invocation,
    };
  }

  #whenInactive(state: UnitState): Look {
    if (!state.conditionsMet)
      return failed(
        "not started, since a condition of the unit does not hold",
        `systemctl status ${state.unit}: is the gate still closed?`,
      );
    // systemd forgets how a unit ended that nothing refers to, but never that it failed
    if (state.oneshot && state.result === "success") return { verdict: "ready", found: "ran to its end" };
    if (state.invocation === "") return failed("not running: it was not started, or ended by itself");
    return failed(`stopped by itself or by someone (${state.result})${this.#ended(state)}`);
  }

  #whenStarting(state: UnitState): Look {
    if (state.sub !== "auto-restart" || state.exit === undefined)
      return { verdict: "wait", found: `still ${state.active} (${state.sub})${this.#restarts(state)}` };
    this.#lastExit = state.exit;
    const found = `ended${this.#ended(state)}; systemd starts it again and again`;
    if (this.#rule.exits?.[state.exit] !== undefined) this.#knownExits.add(state.invocation);
    return { verdict: this.#knownExits.size >= KNOWN_EXITS ? "failed" : "wait", found };
  }

  #ended(state: UnitState): string {
    if (state.exit === undefined) return "";
    const meaning = this.#rule.exits?.[state.exit];
    return ` with exit status ${state.exit}${meaning === undefined ? "" : `: ${meaning}`}`;
  }

  #restarts({ restarts }: UnitState): string {
    if (restarts === 0) return "";
    const last = this.#lastExit === undefined ? undefined : this.#rule.exits?.[this.#lastExit];
    const ended = this.#lastExit === undefined ? "" : `, last with exit status ${this.#lastExit}`;
    return `, restarted ${restarts} times${ended}${last === undefined ? "" : `: ${last}`}`;
  }
}

function failed(found: string, hint?: string): Look {
  return { verdict: "failed", found, ...(hint === undefined ? {} : { hint }) };
}
