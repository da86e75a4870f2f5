import { commandFailed } from "../host/expect-success.ts";
import type { Host } from "../host/host.ts";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { inBytes } from "../lib/units.ts";
import { someOf } from "../lib/words.ts";
import type { CommandPolicy, FilesPolicy, SourcePolicy } from "../policy/schema.ts";
import { attributedFiles } from "../source/files/attributed-files.ts";
import { findArguments, findFiles } from "../source/files/find.ts";
import { UNREAD_HINT } from "../source/files/unread-files.ts";
import { overlapsOn, refuseOverlap } from "../source/overlap.ts";
import { idleExcludes } from "./idle-excludes.ts";
import { checkPostgres } from "./source-postgres.ts";
import { checkRocksdb } from "./source-rocksdb.ts";
import { type Check, fail, type Line, type LookedAt, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** Bytes of each source that was looked at, for the estimate. */
export type Sizes = Map<string, number>;

/** A database may take several attempts to freeze, and a listing of millions of files its time. */
const LIMIT_MS = 180_000;

const WHY: Readonly<Record<SourcePolicy["kind"], string>> = {
  rocksdb: "what cannot be frozen tonight is not in tonight's snapshot",
  postgres: "what cannot be dumped tonight is not in tonight's snapshot",
  files: "what cannot be read is not in the backup",
  command: "a program that is not there backs nothing up; it was not run",
};

/** Every source, as a backup would begin with it. `sizes` is filled. */
export function sourceChecks(world: World, sizes: Sizes): Check[] {
  return world.loaded.policy.sources.map((source) => ({
    group: "sources",
    name: source.name,
    needs: "host",
    limitMs: LIMIT_MS,
    why: WHY[source.kind],
    run: async (how) => {
      const { lines, bytes } = await look(world, source, how).catch((error: unknown) =>
        refused(source, error),
      );
      if (bytes !== undefined) sizes.set(source.name, bytes);
      return lines;
    },
  }));
}

/** Whatever a backup would fail with, under the name of the source. */
function refused({ name }: SourcePolicy, error: unknown): LookedAt {
  if (!isFailure(error) || isFailure(error, "host/unreachable")) throw error;
  return { lines: [fail(`${name}: ${error.message}`, error.hint ?? "put right what the message names")] };
}

async function look(world: World, source: SourcePolicy, how: Cancel): Promise<LookedAt> {
  refuseOverlap(source, await overlapsOn(await world.host, world.loaded.policy.sources, how));
  switch (source.kind) {
    case "rocksdb":
      return checkRocksdb(world, source, how);
    case "postgres":
      return checkPostgres(world, source, how);
    case "files":
      return checkFiles(world, source, how);
    case "command":
      return checkCommand(world, source, how);
  }
}

async function checkFiles(world: World, source: FilesPolicy, how: Cancel): Promise<LookedAt> {
  const host = await world.host;
  const found = await findFiles(host, source, how);
  const { resolved, listing, unread, mounts, notes } = found;
  let bytes = 0;
  for (let at = 0; at < listing.length; at++) if (listing.kind(at) === "f") bytes += listing.size(at);
  const denied = [
    ...unread.sentences,
    ...(host.user.uid === 0 ? [] : await unreadableFiles(host, resolved, how)),
  ];
  const size = `${listing.length.toLocaleString("en")} entries, ${inBytes(bytes)}`;
  const lines: Line[] = notes.map((note) =>
    warn(`${source.name}: ${note}`, "correct the path in the policy"),
  );
  lines.push(...(await idleExcludes(host, source, found, how)));
  if (mounts.length > 0) {
    const some = someOf(mounts.map(({ path, kind }) => `${path} (${kind})`));
    lines.push({
      ...warn(
        `${source.name}: other file systems are mounted inside, and are not backed up: ${some}`,
        "name them in `paths`, or under `exclude` what need not be backed up; `one_file_system: false` takes all",
      ),
      why: "a restore brings back an empty directory in the place of each",
    });
  }
  const attributed = await attributedFiles(host, resolved, how);
  if (attributed.count > 0) {
    const what = `immutable or append-only, which a restore does not bring back: ${attributed}`;
    lines.push({
      ...warn(`${source.name}: ${what}`, "note them in the runbook: chattr +i or +a after a restore"),
      why: "their content is backed up, and after a restore anybody who may write can change or remove them",
    });
  }
  if (denied.length > 0) {
    const what = `${source.name}: ${host.user.name} cannot read ${someOf(denied, { most: 3, between: "; " })}`;
    lines.push(fail(what, UNREAD_HINT));
  } else if (listing.length === 0 || bytes === 0) {
    lines.push(warn(`${source.name}: there is nothing in it (${size})`, "correct its paths in the policy"));
  } else lines.push(ok(`${source.name}: ${size}`));
  return { lines, bytes };
}

/** find lists what its directories let it see, whether or not the files can be read. At most 1000 are named. */
async function unreadableFiles(host: Host, source: FilesPolicy, how: Cancel): Promise<string[]> {
  if (source.paths.length === 0) return [];
  const then = ["-type", "f", "!", "-readable", "-printf", "%p\\0"];
  const argv = ["find", ...findArguments(source, then)];
  const script = 'LC_ALL=C "$@" 2>/dev/null | head -z -n 1000';
  const { stdout } = await host.run(["sh", "-c", script, "drops-doctor", ...argv], how);
  return stdout
    .toString()
    .split("\0")
    .filter((path) => path !== "");
}

async function checkCommand(world: World, source: CommandPolicy, how: Cancel): Promise<LookedAt> {
  const host = await world.host;
  const [program = ""] = source.argv;
  const argv = ["sh", "-c", 'command -v -- "$1" >/dev/null', "drops-doctor", program];
  try {
    const { exit, ...ended } = await host.run(argv, { ...how, as: source.run_as, okExits: ANY_EXIT });
    if (exit === 0)
      return { lines: [ok(`${source.name}: ${program} is there; its output has no known size`)] };
    if (/\b(sudo|setpriv): /.test(ended.stderr)) {
      throw commandFailed(`becoming ${source.run_as ?? ""} on ${host.label}`, { exit, ...ended });
    }
  } catch (error) {
    if (isFailure(error, "host/command-failed")) {
      return {
        lines: [fail(`${source.name}: ${error.message}`, error.hint ?? "correct run_as in the policy")],
      };
    }
    throw error;
  }
  const what = `${source.name}: ${program} is not on the host`;
  return { lines: [fail(what, "install it there, or give its whole path in argv of the policy")] };
}
