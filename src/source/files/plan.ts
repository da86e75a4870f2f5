import { breathe, mayBreathe } from "../../lib/breathe.ts";
import type { EntryType, ManifestEntry } from "../../snapshot/entry.ts";
import type { SqliteCopies } from "../sqlite/copies.ts";
import type { FileListing } from "./listing.ts";

/** What happens to the file at a position of the listing. */
export type FileDecision = { readonly position: number } & (
  | { readonly act: "keep"; readonly previous: ManifestEntry }
  /** Same as before by all that is known, and read all the same to see whether that is so. */
  | { readonly act: "reread"; readonly previous: ManifestEntry }
  | { readonly act: "read" }
  /** Another name of the inode whose content stands under the path at `first`. */
  | { readonly act: "link"; readonly first: number }
  | { readonly act: "record" }
  /** A database in use, of which a copy is read instead. */
  | { readonly act: "copy" }
  /** A part of such a database, which the copy holds. */
  | { readonly act: "leave" }
  | { readonly act: "skip" }
);

/** On file systems with whole-second times a file may change twice within one of them; elsewhere within a clock tick. */
const COARSE_DOUBT = 2_000_000_000n;
const FINE_DOUBT = 20_000_000n;

/**
 * Decide for each file of the listing, in its order, beside the previous entries in theirs: only as far as is pulled.
 *
 * @param reread says of each unchanged file whether it is read all the same
 * @param listedAt the host's time before the listing began: what changed at that moment may change again unseen
 */
export async function* planFiles(
  listing: FileListing,
  previous: AsyncIterable<ManifestEntry>,
  how: {
    readonly reread: () => boolean;
    readonly listedAt: bigint;
    readonly databases?: Pick<SqliteCopies, "at" | "isCompanion"> | undefined;
  },
): AsyncGenerator<FileDecision> {
  const entries = previous[Symbol.asyncIterator]();
  const links = new Map<string, number>();
  try {
    let next = await entries.next();
    for (let position = 0; position < listing.length; position++) {
      while (!next.done && listing.comparePath(position, next.value.path) > 0) next = await entries.next();
      const old = !next.done && listing.comparePath(position, next.value.path) === 0 ? next.value : undefined;
      if (mayBreathe(position)) await breathe();
      yield decide(listing, position, { ...how, old, links });
    }
    while (!next.done) next = await entries.next(); // whoever reads them compares the whole
  } finally {
    await entries.return?.();
  }
}

/** Tells a file from what it was: device, inode and time of its last change. Undefined when that is too recent to tell. */
export function identityOf(listing: FileListing, position: number, listedAt: bigint): string | undefined {
  const ctime = listing.ctime(position);
  const doubt = ctime % 1_000_000_000n === 0n ? COARSE_DOUBT : FINE_DOUBT;
  return ctime + doubt > listedAt ? undefined : `${listing.inode(position)}:${ctime}`;
}

function decide(
  listing: FileListing,
  position: number,
  how: {
    readonly old: ManifestEntry | undefined;
    readonly links: Map<string, number>;
    readonly reread: () => boolean;
    readonly listedAt: bigint;
    readonly databases?: Pick<SqliteCopies, "at" | "isCompanion"> | undefined;
  },
): FileDecision {
  const type = entryType(listing, position);
  if (type === undefined) return { position, act: "skip" };
  if (how.databases?.isCompanion(position)) return { position, act: "leave" };
  if (type !== "dir" && listing.links(position) > 1) {
    const inode = listing.inode(position);
    const first = how.links.get(inode);
    if (first !== undefined) return { position, act: "link", first };
    how.links.set(inode, position);
  }
  if (how.databases?.at(position)) return { position, act: "copy" };
  if (type === "fifo") return { position, act: "record" };
  const { old } = how;
  if (!old || old.type !== type || !isUnchanged(listing, position, old, how.listedAt))
    return { position, act: "read" };
  return { position, act: type === "file" && how.reread() ? "reread" : "keep", previous: old };
}

function isUnchanged(listing: FileListing, position: number, old: ManifestEntry, listedAt: bigint): boolean {
  return (
    old.same !== undefined &&
    old.mtime === listing.mtime(position) &&
    (old.type !== "file" || old.size === listing.size(position)) &&
    old.same === identityOf(listing, position, listedAt)
  );
}

function entryType(listing: FileListing, position: number): EntryType | undefined {
  switch (listing.kind(position)) {
    case "f":
      return "file";
    case "d":
      return "dir";
    case "l":
      return "symlink";
    case "p":
      return "fifo";
    default:
      return undefined;
  }
}
