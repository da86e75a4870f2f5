import * as z from "zod";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, refused } from "../../lib/errors.ts";
import { Journal } from "./journal.ts";
import { copyPath, JournalCopy } from "./journal-copy.ts";
import { journalOnHost, NO_SUCH_RUN, SOMETHING_ELSE } from "./journal-host.ts";
import { type JournalLine, type ReadLines, readLines } from "./journal-lines.ts";

/** Where runs are kept on a host. */
export const RUNS = "/var/lib/drops/restore";

const RUN_ID = /^\d{8}T\d{6}-[0-9a-f]{6}$/;
const NEWEST = 100;

/** What a run is of; `run.json` on the host. */
const RunMeta = z.looseObject({
  /** `20261124T003638-a1b2c3` */
  run: z.string().regex(RUN_ID),
  policy: z.string().regex(/^[a-z][a-z0-9-]*$/),
  /** Id of the snapshot. */
  snapshot: z.string(),
  /** For sentences. */
  host: z.string(),
  started: z.iso.datetime(),
  /** Ids of the steps chosen, in order. */
  steps: z.array(z.string()).readonly(),
  sources: z.array(z.string()).readonly(),
});
export type RunMeta = Readonly<z.infer<typeof RunMeta>>;

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
export function newRunId(now: Date, random: (bytes: number) => Uint8Array): string {
  const time = now.toISOString().replaceAll(/[-:]|\..*$/g, "");
  return `${time}-${Buffer.from(random(3)).toString("hex")}`;
}

/**
 * Make a run's directory on the host, durably, and begin its journal with a `created` line that says where. Call it
 * under the lock. The same again does nothing. Throws safety/refused when a different run has that id.
 */
export async function createRun(host: Host, meta: RunMeta, how: RunsHow): Promise<Journal> {
  RunMeta.parse(meta);
  const { base = RUNS } = how;
  const text = `${JSON.stringify(meta, null, 2)}\n`;
  const { exit } = await journalOnHost(host, ["create", base, meta.run, String(Buffer.byteLength(text))], {
    signal: how.signal,
    stdin: text,
    what: "making the run's directory",
    answers: [SOMETHING_ELSE],
  });
  if (exit === SOMETHING_ELSE)
    throw refused(
      `another run ${meta.run} is on ${host.label} already`,
      "start again: each restore gets a new id",
    );
  const { journal } = await openRun(host, meta.run, how);
  if (!journal.lines.some(({ event }) => event === "created"))
    await journal.append({ event: "created", ...whereabouts(meta) }, how);
  return journal;
}

/** What finds the host again: a whole policy may be larger than a line. */
function whereabouts({ run, policy, snapshot, host, started, target }: RunMeta) {
  return { run, policy, snapshot, host, started, target };
}

/**
 * Runs of a host, newest first, open and closed; of the newest 100. One that cannot be read is named in `unreadable`; a
 * directory without run.json is what is left of one that was never begun, and is passed over.
 */
export async function findRuns(
  host: Host,
  how: Omit<RunsHow, "state" | "now">,
): Promise<{ readonly runs: readonly FoundRun[]; readonly unreadable: readonly string[] }> {
  const { base = RUNS } = how;
  const listed = await journalOnHost(host, ["list", base], { signal: how.signal, what: `listing ${base}` });
  const names = listed.stdout
    .toString("utf8")
    .split("\n")
    .filter((name) => RUN_ID.test(name));
  const runs: FoundRun[] = [];
  const unreadable: string[] = [];
  for (const run of names.toSorted().reverse().slice(0, NEWEST)) {
    const found = await readRun(host, run, { signal: how.signal, base });
    if (found === undefined) continue;
    if (found.meta === undefined) unreadable.push(`${base}/${run}/run.json`);
    else runs.push({ meta: found.meta, ...found.read, closed: closedOf(found.read.lines) });
  }
  return { runs, unreadable };
}

/** Open a run's journal, from any machine. Throws snapshot/missing when the host has no such run, data/damaged when its run.json is none. */
export async function openRun(
  host: Host,
  run: string,
  how: RunsHow,
): Promise<{ readonly meta: RunMeta; readonly journal: Journal }> {
  const { base = RUNS, now } = how;
  const found = RUN_ID.test(run) ? await readRun(host, run, { signal: how.signal, base }) : undefined;
  if (found === undefined)
    throw new DropsError("snapshot/missing", `there is no run ${run} on ${host.label}`, {
      hint: "without an id, the newest unfinished restore is used",
    });
  if (found.meta === undefined)
    throw new DropsError("data/damaged", `${base}/${run}/run.json on ${host.label} cannot be read`, {
      hint: "drops rollback",
    });
  const copy = new JournalCopy(copyPath(how.state, found.meta));
  const file = `${base}/${run}/journal.jsonl`;
  return { meta: found.meta, journal: await Journal.open({ host, file, copy, now }, found.read) };
}

async function readRun(
  host: Host,
  run: string,
  how: Cancel & { readonly base: string },
): Promise<{ readonly meta: RunMeta | undefined; readonly read: ReadLines } | undefined> {
  const { exit, stdout } = await journalOnHost(host, ["read", how.base, run], {
    signal: how.signal,
    what: `reading run ${run}`,
    answers: [NO_SUCH_RUN],
  });
  if (exit === NO_SUCH_RUN) return undefined;
  const end = stdout.indexOf(0);
  const read = readLines(stdout.subarray(end + 1).toString("utf8"), `journal ${run} on ${host.label}`);
  return { meta: metaOf(stdout.subarray(0, end).toString("utf8"), run), read };
}

function metaOf(text: string, run: string): RunMeta | undefined {
  try {
    const meta = RunMeta.parse(JSON.parse(text));
    return meta.run === run ? meta : undefined;
  } catch {
    return undefined;
  }
}

function closedOf(lines: readonly JournalLine[]): string | undefined {
  const line = lines.findLast(({ event }) => event === "closed");
  return line && String(line["outcome"] ?? "closed");
}
