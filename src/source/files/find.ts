import { commandFailed } from "../../host/expect-success.ts";
import type { CommandExit, Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { FilesPolicy } from "../../policy/schema.ts";
import { FIND_FORMAT, readFindOutput } from "./find-output.ts";
import { PLAIN } from "./gnu-tools.ts";
import { Listing } from "./listing.ts";
import { shownPath } from "./shown-path.ts";
import { toldOf } from "./told.ts";

export interface FoundFiles {
  readonly listing: Listing;
  /** What could not be looked into: the source is not whole. */
  readonly unreadable: readonly string[];
  readonly notes: readonly string[];
}

/**
 * List what the policy names, sorted by path bytes. A path that is a symlink stands for itself and for what it leads to.
 *
 * @throws DropsError source/failed when a path is missing and the source is not optional; host/command-failed
 */
export async function findFiles(host: Host, source: FilesPolicy, how: Cancel): Promise<FoundFiles> {
  const { paths, notes } = await startingPaths(host, source, how);
  const listing = new Listing();
  if (paths.length === 0) return { listing, unreadable: [], notes };
  await using find = await host.start(["find", ...findArguments(paths, source)], { ...how, env: PLAIN });
  find.stdin.end();
  let damage: unknown;
  try {
    await readFindOutput(find.stdout, listing);
  } catch (error) {
    damage = error;
  }
  const ended = await find.ended;
  how.signal.throwIfAborted();
  const { gone, bad } = judge(ended, `listing the files of ${source.name} on ${host.label}`);
  if (damage !== undefined) throw damage;
  listing.sort();
  return { listing, unreadable: bad, notes: [...notes, ...gone.map((line) => `while listing: ${line}`)] };
}

/** Of drops itself, beside what it restores or freezes; never captured. */
const OWN = ["-type", "d", "(", "-name", ".drops-restore-*", "-o", "-name", ".drops-staging-*", ")"];

/** Arguments of find for these absolute paths: excluded directories are not even entered. */
export function findArguments(paths: readonly string[], source: FilesPolicy): string[] {
  const tests = source.exclude.flatMap((pattern) => ["-o", "-path", findPattern(pattern)]);
  const prune = ["(", ...OWN, ...tests, ")", "-prune", "-o"];
  return ["-P", ...paths, ...(source.one_file_system ? ["-xdev"] : []), ...prune, "-printf", FIND_FORMAT];
}

/** `*` and `?` are find's own; what else means something to find is taken as it stands. */
function findPattern(pattern: string): string {
  return (pattern.startsWith("/") ? tidy(pattern) : pattern).replace(/[\\[]/g, "\\$&");
}

/** Without doubled slashes, `.` segments and a slash at the end. */
function tidy(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return `/${parts.join("/")}`;
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
  const { bad } = judge(ended, `looking for the files of ${source.name} on ${host.label}`);
  const [denied] = bad;
  if (denied !== undefined)
    throw new DropsError(
      "source/failed",
      `a path of source ${source.name} cannot be read on ${host.label}: ${denied}`,
    );
  const missing = asked.filter((path) => !kinds.has(path));
  if (missing.length > 0 && !source.optional) throw missingPath(missing, source, host);
  const links = asked.filter((path) => kinds.get(path) === "l");
  const targets = await Promise.all(links.map((path) => linkTarget(host, path, source, how)));
  return {
    paths: [...new Set([...asked.filter((path) => kinds.has(path)), ...targets])],
    notes: missing.map((path) => `${shownPath(Buffer.from(path.slice(1)))} does not exist`),
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
    `the symlink ${path} of source ${source.name} leads to nothing on ${host.label}`,
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
function judge(ended: CommandExit, what: string) {
  if (ended.exit === 0) return { gone: [], bad: [] };
  if (ended.exit !== 1) throw commandFailed(what, ended);
  return toldOf(ended.stderr, what);
}
