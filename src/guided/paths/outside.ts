import { inBytes } from "../../lib/units.ts";
import { Few } from "../../source/files/few.ts";
import type { FileListing } from "../../source/files/listing.ts";
import { ancestorsOf, type Outside, type TreeEntry } from "../../source/scope.ts";
import { databaseOf } from "../../source/sqlite/candidates.ts";
import type { PartScope } from "./scope.ts";

/** Beside the old, the new is reached by a name that is as long. Bytes. */
const LONGEST_MOVED = 3500;

export const ONLY_HINT = "move it to its place, or remove it if nobody needs it, then drops restore --finish";

/**
 * What is in the old of a part and not in its place, although it was there when an incomplete source was captured: it may be
 * what could not be read then.
 *
 * @param capturedAt of the incomplete sources of the part, by name, in nanoseconds
 */
export function unreadIn(
  scope: PartScope,
  listings: { readonly old: FileListing; readonly place: FileListing },
  capturedAt: ReadonlyMap<string, bigint>,
): readonly Outside[] {
  const { old, place } = listings;
  const there = new Set(Array.from(entriesOf(place), ({ path }) => path));
  const bytes = new Map<string, number>();
  let at = 0;
  for (const { path, isDirectory, bytes: own } of entriesOf(old)) {
    const mtime = old.mtime(at++);
    const top = ancestorsOf(path).find((above) => bytes.has(above));
    const taken = scope.taker(path, isDirectory)?.policy.name ?? "";
    if (top !== undefined) bytes.set(top, (bytes.get(top) ?? 0) + own);
    else if (!there.has(path) && mtime < (capturedAt.get(taken) ?? mtime)) bytes.set(path, own);
  }
  return [...bytes].map(([path, total]) => ({ path, bytes: total }));
}

/** What there is in the old of a part that no source takes: a swap does not replace it, and finish must not remove it. */
export class OutsideOfPart {
  readonly #found: readonly Outside[];
  readonly #long: Few;

  /** @param listing sorted; paths begin at the part */
  constructor(scope: PartScope, listing: FileListing, long: Few) {
    const files = new Set<string>();
    for (const { path, isDirectory } of entriesOf(listing)) if (!isDirectory) files.add(path);
    this.#found = scope.outside(entriesOf(listing)).filter(({ path }) => !isOldLog(path, files, scope));
    this.#long = long;
  }

  /** Raw paths that a swap can move on. */
  movable(): readonly string[] {
    return this.#found.map(({ path }) => path).filter((path) => path.length <= LONGEST_MOVED);
  }

  /** What it is, and what the snapshot lacks of incomplete sources, in words; undefined when there is nothing. */
  words(unread: readonly Outside[]): string | undefined {
    const all = [
      ...(this.#found.length > 0 ? [`in no source: ${inWords(this.#found)}`] : []),
      ...(this.#long.count > 0 ? [`paths that are too long: ${this.#long}`] : []),
      ...(unread.length > 0 ? [`not in the snapshot, which is incomplete: ${inWords(unread)}`] : []),
    ];
    return all.length === 0 ? undefined : `holds what is nowhere else: ${all.join("; ")}`;
  }
}

/** A log or journal of SQLite beside a file that is replaced: it would be played back into a database that it was not written for. */
function isOldLog(path: string, files: ReadonlySet<string>, scope: PartScope): boolean {
  const database = databaseOf(path);
  if (database === undefined || !files.has(path) || !files.has(database)) return false;
  return scope.taker(database, false) !== undefined;
}

function inWords(found: readonly Outside[]): string {
  const few = new Few();
  for (const { path } of found) few.add(Buffer.from(path, "latin1"));
  return `${few} (${inBytes(found.reduce((sum, each) => sum + each.bytes, 0))})`;
}

function* entriesOf(listing: FileListing): Generator<TreeEntry> {
  for (let at = 0; at < listing.length; at++) {
    const kind = listing.kind(at);
    const bytes = kind === "f" ? listing.size(at) : 0;
    yield { path: listing.path(at).toString("latin1"), isDirectory: kind === "d", bytes };
  }
}
