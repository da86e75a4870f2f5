import type { ChunkRef, EntryHead, EntryType, ManifestEntry } from "../../snapshot/entry.ts";
import type { FileListing } from "./listing.ts";
import type { TarEntry } from "./tar-stream.ts";

/** Names of the host's users and groups by their numbers. */
export interface OwnerNames {
  readonly users: ReadonlyMap<number, string>;
  readonly groups: ReadonlyMap<number, string>;
}

/** An entry as it was listed, for what tar is not asked about. */
export function listedHead(
  listing: FileListing,
  position: number,
  type: EntryType,
  names: OwnerNames,
): EntryHead {
  return {
    path: listing.path(position),
    type,
    mode: listing.mode(position),
    uid: listing.uid(position),
    gid: listing.gid(position),
    user: names.users.get(listing.uid(position)),
    group: names.groups.get(listing.gid(position)),
    mtime: listing.mtime(position),
  };
}

/** An entry as it was read, with the identity that was listed: a change in between shows the next time. */
export function readHead(
  entry: TarEntry,
  path: Buffer,
  type: EntryType,
  same: string | undefined,
): EntryHead {
  const { mode, uid, gid, user, group, mtime, target, xattrs, holes } = entry;
  const sparse = entry.sparse ? true : undefined;
  return { path, type, mode, uid, gid, user, group, mtime, same, sparse, target, xattrs, holes };
}

/** An unchanged entry: what a change of the time of change would have shown stays; who its numbers are may have changed. */
export function keptEntry(previous: ManifestEntry, names: OwnerNames): ManifestEntry {
  const user = names.users.get(previous.uid);
  const group = names.groups.get(previous.gid);
  return user === previous.user && group === previous.group ? previous : { ...previous, user, group };
}

/** Whether a file that nothing shows to have changed reads differently than it did. */
export function isOtherContent(
  previous: ManifestEntry,
  entry: TarEntry,
  chunks: readonly ChunkRef[],
): boolean {
  if (previous.mtime !== entry.mtime || previous.size !== entry.size) return false; // it changed after the listing
  if (JSON.stringify(previous.holes) !== JSON.stringify(entry.holes)) return false; // a file system may dig them
  return (
    previous.chunks.length !== chunks.length ||
    previous.chunks.some((chunk, index) => chunk.id !== chunks[index]?.id)
  );
}

export function withoutContent({ chunks: _chunks, size: _size, ...head }: ManifestEntry): EntryHead {
  return head;
}
