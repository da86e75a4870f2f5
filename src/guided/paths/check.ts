import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { checkHostRocksdb } from "./check-rocksdb.ts";
import { HostTree } from "./listing.ts";
import { hostPath, type PathPart, type PathRecord } from "./record.ts";
import type { PathTree } from "./tree.ts";

const MOST = 20;

export interface CheckParts {
  readonly host: Host;
  readonly tree: PathTree;
  readonly record: PathRecord;
  /** Where each part is now: beside, or in place. */
  readonly places: ReadonlyMap<PathPart, string>;
  /** Names of the sources that are databases. */
  readonly databases: ReadonlySet<string>;
  /** A directory of this machine. */
  readonly scratch: string;
}

/**
 * Compare what lies on the host with the manifests: every path, with type, size, mode, time, owner and links; then, of
 * databases, whether they are one state. Differences in words, a bounded number of them.
 */
export async function checkPaths(parts: CheckParts, how: Cancel): Promise<readonly string[]> {
  const trees = new Map<PathPart, HostTree>();
  for (const part of parts.record.parts)
    trees.set(part, await HostTree.list(parts.host, parts.places.get(part) ?? part.real, how));
  const differences = await compareAll(parts, trees, how);
  return differences.length > 0 ? differences : checkDatabases(parts, trees, how);
}

async function compareAll(
  { tree }: CheckParts,
  trees: ReadonlyMap<PathPart, HostTree>,
  how: Cancel,
): Promise<readonly string[]> {
  const first: string[] = [];
  let count = 0;
  const add = (words: string) => {
    if (count++ < MOST) first.push(words);
  };
  for (const source of tree.sources)
    for await (const { part, entry } of tree.entries(source, how))
      trees.get(part)?.compare(entry).forEach(add);
  for (const [part, its] of trees) for (const words of its.strangers(tree.scope(part))) add(words);
  return count > first.length ? [...first, `and ${count - first.length} more differences`] : first;
}

async function checkDatabases(
  parts: CheckParts,
  trees: ReadonlyMap<PathPart, HostTree>,
  how: Cancel,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const [part, its] of trees) {
    for (const { at } of part.pieces.filter(({ source }) => parts.databases.has(source))) {
      const directory = at === "" ? its.top : `${its.top}${hostPath(at)}`;
      const { scratch } = parts;
      wrong.push(...(await checkHostRocksdb(parts.host, directory, its.filesIn(at), { ...how, scratch })));
    }
  }
  return wrong;
}
