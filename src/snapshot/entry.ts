/** One piece of a file's content. `pack` numbers a pack in the run's PackTable; `id` is the SHA-256 of the plaintext, hex. */
export interface ChunkRef {
  readonly pack: number;
  readonly id: string;
  readonly size: number;
}

/** A part of a file that reads as zeros and is stored nowhere. Bytes. */
export interface Hole {
  readonly offset: number;
  readonly size: number;
}

export type EntryType = "file" | "dir" | "symlink" | "hardlink" | "fifo";

/**
 * One file of a source as the manifest holds it.
 *
 * `path` is raw bytes relative to the source (see `isSafePath`), `mtime` nanoseconds since 1970. `target` is what a
 * symlink says, or the path of the entry that a hardlink shares its inode with. `same` is an opaque token of whoever
 * captured it: when path, size, mtime and token are all equal, the content has not changed and is not read again.
 */
export interface ManifestEntry {
  readonly path: Buffer;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly mtime: bigint;
  readonly size: number;
  readonly same?: string | undefined;
  readonly sparse?: boolean | undefined;
  readonly target?: Buffer | undefined;
  /** Extended attributes: name to raw value. */
  readonly xattrs?: Readonly<Record<string, Buffer>> | undefined;
  /** What of a file is in no chunk, in ascending order. The chunks lie one after the other in what is left. */
  readonly holes?: readonly Hole[] | undefined;
  readonly chunks: readonly ChunkRef[];
}

/** An entry before its content was read. */
export type EntryHead = Omit<ManifestEntry, "chunks" | "size">;

/** Bytes of a path. */
export const MAX_PATH = 4096;
const BAD_SEGMENT = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** Relative, no empty, `.` or `..` segment, no NUL: joined to a directory it stays inside. */
export function isSafePath(path: Buffer): boolean {
  if (path.length === 0 || path.length > MAX_PATH || path.includes(0)) return false;
  return !BAD_SEGMENT.test(path.toString("latin1"));
}
