import type { Host } from "../../../host/host.ts";
import { ANY_EXIT } from "../../../host/run-to-end.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { inBytes } from "../../../lib/units.ts";
import type { RocksdbPolicy, SourcePolicy } from "../../../policy/schema.ts";
import { Few } from "../../files/few.ts";
import { PLAIN } from "../../files/gnu-tools.ts";
import { ancestorsOf, below, rawPath, Scope, tidy } from "../../scope.ts";

/** Names whose sizes are asked for. */
const MOST = 1000;
/** Seconds that their sizes may take. */
const COUNTING = 40;
const MAX_LISTING = 64 * 1024 * 1024;

/** Where a source of files begins, and by which names it may be reached. Raw. */
interface Start {
  readonly at: string;
  readonly scopes: readonly Scope[];
}

/**
 * What lies in the directory of a database, is not RocksDB's and is in no source, in words with its size; undefined when there
 * is nothing. What a source of files excludes below that directory was left out knowingly.
 *
 * @param sources of the whole policy
 * @throws DropsError host/command-failed when the host cannot tell
 */
export async function besideDatabase(
  host: Host,
  source: RocksdbPolicy,
  sources: readonly SourcePolicy[],
  how: Cancel,
): Promise<string | undefined> {
  const { at, starts } = await placesOf(host, source, sources, how);
  const own = new Scope([{ at, captured: "", policy: source }]);
  const isReached = (path: string) =>
    starts.some(
      (start) =>
        below(path, start.at) !== undefined &&
        (below(start.at, at) !== undefined || start.scopes.every((scope) => scope.taker(at, true))),
    );
  const inner = starts.flatMap((start) => ancestorsOf(start.at)).filter((above) => below(above, at));
  const found = (await list(host, [at, ...new Set(inner)], how)).filter(({ path, isDirectory }) => {
    if (own.taker(path, isDirectory) || isReached(path)) return false;
    return !(isDirectory && starts.some((start) => below(start.at, path) !== undefined));
  });
  if (found.length === 0) return undefined;
  const few = new Few();
  for (const { path } of found) few.add(Buffer.from(path, "latin1"));
  const paths = found.slice(0, MOST).map(({ path }) => `/${path}\0`);
  return `${few} (${await sizeOf(host, paths, how)})`;
}

/** Symlinks followed. */
async function placesOf(
  host: Host,
  source: RocksdbPolicy,
  sources: readonly SourcePolicy[],
  how: Cancel,
): Promise<{ readonly at: string; readonly starts: readonly Start[] }> {
  const asked = sources.flatMap((policy) =>
    policy.kind === "files" ? policy.paths.map((path) => ({ policy, path })) : [],
  );
  const argv = ["readlink", "-m", "-z", "--", source.path, ...asked.map(({ path }) => path)];
  const { stdout } = await host.run(argv, { ...how, env: PLAIN });
  const [at = "", ...leads] = stdout
    .toString("latin1")
    .replaceAll(/(^|\0)\//g, "$1")
    .split("\0");
  const starts = asked.map(({ policy, path }, index) => {
    const real = leads[index] ?? "";
    const names = new Set([real, rawPath(tidy(path))]);
    return { at: real, scopes: [...names].map((captured) => new Scope([{ at: real, captured, policy }])) };
  });
  return { at, starts };
}

/** What lies right in these directories. A database comes and goes meanwhile. */
async function list(
  host: Host,
  directories: readonly string[],
  how: Cancel,
): Promise<readonly { readonly path: string; readonly isDirectory: boolean }[]> {
  const paths = directories.map((path) => `/${Buffer.from(path, "latin1")}`);
  const argv = ["find", "-P", ...paths, "-mindepth", "1", "-maxdepth", "1", "-printf", "%y%p\\0"];
  const { stdout } = await host.run(argv, { ...how, env: PLAIN, okExits: [0, 1], maxStdout: MAX_LISTING });
  return stdout
    .toString("latin1")
    .split("\0")
    .slice(0, -1)
    .sort((a, b) => (a.slice(1) < b.slice(1) ? -1 : 1))
    .map((field) => ({ path: field.slice(2), isDirectory: field.startsWith("d") }));
}

async function sizeOf(host: Host, paths: readonly string[], how: Cancel): Promise<string> {
  const argv = ["timeout", String(COUNTING), "du", "-0sbx", "--files0-from=-"];
  const stdin = Buffer.from(paths.join(""), "latin1");
  const { stdout, exit } = await host.run(argv, { ...how, env: PLAIN, stdin, okExits: ANY_EXIT });
  const lines = stdout.toString("latin1").split("\0");
  const bytes = lines.reduce((sum, line) => sum + Number(/^(\d{1,15})\t/.exec(line)?.[1] ?? 0), 0);
  return exit === 0 && paths.length < MOST ? inBytes(bytes) : `at least ${inBytes(bytes)}`;
}
