import { commandFailed } from "../../host/expect-success.ts";
import type { CommandExit, Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure } from "../../lib/errors.ts";
import type { FilesPolicy } from "../../policy/schema.ts";
import { MAX_PATH } from "../../snapshot/entry.ts";
import { excludesAsCaptured } from "../excludes.ts";
import { realPaths } from "../real-paths.ts";
import { tidy } from "../scope.ts";
import { FIND_FORMAT, readFindOutput, type UnlistedFiles } from "./find-output.ts";
import { PLAIN } from "./gnu-tools.ts";
import { FileListing } from "./listing.ts";
import { type MountInside, mountsInside } from "./mounts-inside.ts";
import { shownHostPath } from "./shown-path.ts";
import { judged, judgedExit, PASSED_ON, type StderrLines, sortedStderr } from "./stderr-lines.ts";
import { UnreadFiles } from "./unread-files.ts";

export interface FoundFiles {
  /** The source by the paths that find begins at, symlinks followed, and its patterns as they are there. */
  readonly resolved: FilesPolicy;
  /** Where the paths of the policy lead to, of those that are reached through symlinks. */
  readonly leadsTo: Readonly<Record<string, string>>;
  readonly listing: FileListing;
  /** What could not be looked into, or is too large. */
  readonly unread: UnreadFiles;
  /** Directories on which another file system is mounted, which `one_file_system` leaves out; and its kind. */
  readonly mounts: readonly MountInside[];
  readonly notes: readonly string[];
}

/**
 * List what the policy names, sorted by path bytes. A path that is a symlink stands for itself and for what it leads to.
 *
 * @throws DropsError source/failed when a path is missing and the source is not optional; host/command-failed
 */
export async function findFiles(host: Host, source: FilesPolicy, how: Cancel): Promise<FoundFiles> {
  const { resolved, leadsTo, notes } = await startingPaths(host, source, how);
  const { paths } = resolved;
  const listing = new FileListing();
  const unread = new UnreadFiles(paths);
  if (paths.length === 0) return { resolved, leadsTo, listing, unread, mounts: [], notes };
  const argv = judged(["find", ...findArguments(resolved, ["-printf", FIND_FORMAT])]);
  await using find = await host.start(argv, { ...how, env: PLAIN });
  find.stdin.end();
  let leftOut: UnlistedFiles | undefined;
  let damage: unknown;
  try {
    leftOut = await readFindOutput(find.stdout, listing);
  } catch (error) {
    if (isFailure(error, "source/failed")) throw error; // find goes on: nothing is waited for
    damage = error;
  }
  const ended = judgedExit(await find.ended);
  how.signal.throwIfAborted();
  const {
    gone,
    unread: closed,
    strange,
  } = judge(ended, `listing the files of ${source.name} on ${host.label}`);
  if (leftOut === undefined) throw damage;
  await listing.sort();
  for (const one of closed) unread.add(one);
  unread.addStrange(strange);
  const { large } = leftOut;
  for (const path of large.first) unread.add({ path, why: "too large, 8 PiB or more" });
  unread.count += large.count - large.first.length;
  return {
    resolved,
    leadsTo,
    listing,
    unread,
    mounts: source.one_file_system ? await mountsInside(host, listing, paths, how) : [],
    notes: [...notes, ...vanished(gone), ...longPaths(leftOut)],
  };
}

/** The first of them were passed on, see `judged`. */
function vanished(gone: readonly string[]): string[] {
  const more = gone.length < PASSED_ON ? [] : ["while listing: others vanished as well"];
  return [...gone.map((line) => `while listing: ${line}`), ...more];
}

function longPaths({ long }: UnlistedFiles): string[] {
  if (long.count === 0) return [];
  return [`not backed up, since the path has ${MAX_PATH} bytes or more: ${long}, and whatever is below`];
}

/** Of drops itself, beside what it restores or freezes; never captured. */
const OWN = ["-type", "d", "(", "-name", ".drops-restore-*", "-o", "-name", ".drops-staging-*", ")"];

/** A directory below which no path can be asked for. */
const TOO_DEEP = ["-type", "d", "-path", `${"?".repeat(MAX_PATH)}*`, "-prune"];

/**
 * Arguments of find for the paths of a source as `findFiles` resolved it: excluded directories are not even entered. `then` is
 * done with each file; when it is true of a directory whose path is too long, that is not entered either.
 */
export function findArguments(
  { paths, exclude, one_file_system }: Pick<FilesPolicy, "paths" | "exclude" | "one_file_system">,
  then: readonly string[],
): string[] {
  const tests = exclude.flatMap((pattern) => ["-o", "-path", findPattern(pattern)]);
  const prune = ["(", ...OWN, ...tests, ")", "-prune", "-o"];
  return ["-P", ...paths, ...(one_file_system ? ["-xdev"] : []), ...prune, ...then, ...TOO_DEEP];
}

/** `*` and `?` are find's own; what else means something to find is taken as it stands. */
export function findPattern(pattern: string): string {
  return (pattern.startsWith("/") ? tidy(pattern) : pattern).replace(/[\\[]/g, "\\$&");
}

async function startingPaths(host: Host, source: FilesPolicy, how: Cancel) {
  const asked = [...new Set(source.paths.map(tidy))];
  const argv = ["find", "-P", ...asked, "-maxdepth", "0", "-printf", "%y%p\\0"];
  const { stdout, ...ended } = await host.run(argv, { ...how, env: PLAIN, okExits: ANY_EXIT });
  const kinds = new Map(
    stdout
      .toString()
      .split("\0")
      .filter((line) => line !== "")
      .map((line) => [line.slice(1), line.slice(0, 1)]),
  );
  const { unread, strange } = judge(ended, `looking for the files of ${source.name} on ${host.label}`);
  const [denied] = [
    ...unread.map(({ path, why }) => (path ? `${shownHostPath(path)}: ${why}` : why)),
    ...strange,
  ];
  if (denied !== undefined)
    throw new DropsError(
      "source/failed",
      `a path of source ${source.name} cannot be read on ${host.label}: ${denied}`,
    );
  const missing = asked.filter((path) => !kinds.has(path));
  if (missing.length > 0 && !source.optional) throw missingPath(missing, source, host);
  const links = asked.filter((path) => kinds.get(path) === "l");
  const targets = await Promise.all(links.map((path) => linkTarget(host, path, source, how)));
  const there = asked.filter((path) => kinds.has(path));
  const real = await realPaths(host, there, how);
  const exclude = excludesAsCaptured({ ...source, paths: there }, (path) => real[path] ?? path);
  return {
    resolved: { ...source, paths: [...new Set([...there, ...targets])], exclude },
    leadsTo: Object.fromEntries(Object.entries(real).filter(([path, leads]) => path !== leads)),
    notes: missing.map((path) => `${shownHostPath(Buffer.from(path.slice(1)))} does not exist`),
  };
}

/** Where a symlink that the policy names leads to in the end. */
async function linkTarget(host: Host, path: string, source: FilesPolicy, how: Cancel): Promise<string> {
  const { stdout, exit } = await host.run(["readlink", "-e", "-n", path], {
    ...how,
    env: PLAIN,
    okExits: ANY_EXIT,
  });
  const target = stdout.toString();
  if (exit === 0 && target.startsWith("/")) return target;
  throw new DropsError(
    "source/failed",
    `the symlink ${path} of source ${source.name} has no target on ${host.label}`,
    { hint: "correct the path in the policy" },
  );
}

function missingPath(missing: readonly string[], source: FilesPolicy, host: Host): DropsError {
  return new DropsError(
    "source/failed",
    `${missing.join(", ")} of source ${source.name} does not exist on ${host.label}`,
    { hint: "correct the path in the policy, or set `optional: true` for this source" },
  );
}

/** What find complained about: 1 means that something could not be listed, more that it did not work. */
function judge(ended: CommandExit, what: string): StderrLines {
  if (ended.exit === 0) return { gone: [], changed: [], unread: [], strange: [] };
  if (ended.exit !== 1) throw commandFailed(what, ended);
  return sortedStderr(ended.stderr);
}
