import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { someOf } from "../lib/words.ts";
import type { Policy } from "../policy/schema.ts";
import { pathsOf } from "./scope.ts";

/** Where distributions keep the data of PostgreSQL, whose place a policy does not say. */
const SERVERS = ["/var/lib/postgresql", "/var/lib/pgsql"];

export const SAME_DISK_HINT =
  "a store on another disk, or better on another machine: s3://BUCKET/PREFIX?endpoint=https://…";

/**
 * One sentence when a store lies on the file system that holds the data: then one broken disk takes both. Undefined when it does
 * not, for a server, and for a policy of another machine, whose disks are not here.
 */
export async function sameDisk({
  host,
  store,
  sources,
}: Pick<Policy, "host" | "store" | "sources">): Promise<string | undefined> {
  if (host !== "local" || !("directory" in store)) return undefined;
  const isOfServer = sources.some(
    (source) => source.kind === "postgres" && !source.container && !/^[^/]/.test(source.host ?? ""),
  );
  const paths = [...sources.flatMap(pathsOf), ...(isOfServer ? SERVERS : [])];
  const device = await deviceAbove(store.directory);
  const devices = await Promise.all(paths.map(deviceOf));
  const same = paths.filter((_, index) => device !== undefined && devices[index] === device);
  if (same.length === 0) return undefined;
  return `the store ${store.directory} lies on the same disk as ${someOf(same)}: a disk that breaks takes the data and its backups`;
}

async function deviceOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ dev }) => dev,
    () => undefined,
  );
}

/** Of what will hold a directory that is not made yet. */
async function deviceAbove(path: string): Promise<number | undefined> {
  const device = await deviceOf(path);
  return device !== undefined || path === dirname(path) ? device : deviceAbove(dirname(path));
}
