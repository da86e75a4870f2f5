import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { Journal, JournalLine } from "./journal.ts";

/** Where runs are kept on a host. */
export const RUNS = "/var/lib/drops/restore";

/** What a run is of; `run.json` on the host. */
export interface RunMeta {
  /** `20261124T003638-a1b2c3` */
  readonly run: string;
  readonly policy: string;
  /** Id of the snapshot. */
  readonly snapshot: string;
  /** For sentences. */
  readonly host: string;
  /** ISO, UTC. */
  readonly started: string;
  /** Ids of the steps chosen, in order. */
  readonly steps: readonly string[];
  readonly sources: readonly string[];
  readonly [more: string]: unknown;
}

export interface RunsHow extends Cancel {
  /** Where the operator keeps state: `$XDG_STATE_HOME/drops` or `~/.local/state/drops`. */
  readonly state: string;
  /** For tests; default `RUNS`. */
  readonly base?: string;
  readonly now: () => Date;
}

export interface FoundRun {
  readonly meta: RunMeta;
  readonly lines: readonly JournalLine[];
  /** `outcome` of its `closed` line: undefined while it is open. */
  readonly closed: string | undefined;
  readonly notes: readonly string[];
}

/** UTC time to the second and six hex digits. */
export function newRunId(_now: Date, _random: (bytes: number) => Uint8Array): string {
  throw new Error("to come");
}

/** Make a run's directory on the host, durably, and begin its journal with a `created` line. Call it under the lock. The same again does nothing. Throws safety/refused when a different run has that id. */
export async function createRun(_host: Host, _meta: RunMeta, _how: RunsHow): Promise<Journal> {
  throw new Error("to come");
}

/** Runs of a host, newest first, open and closed; of the newest 100. One that cannot be read is named in `unreadable`. */
export async function findRuns(
  _host: Host,
  _how: Omit<RunsHow, "state" | "now">,
): Promise<{ readonly runs: readonly FoundRun[]; readonly unreadable: readonly string[] }> {
  throw new Error("to come");
}

/** Open a run's journal, from any machine. Throws snapshot/missing when the host has no such run. */
export async function openRun(
  _host: Host,
  _run: string,
  _how: RunsHow,
): Promise<{ readonly meta: RunMeta; readonly journal: Journal }> {
  throw new Error("to come");
}
