import type { Cancel } from "../lib/cancel.ts";

export interface BlobInfo {
  /** Relative to the repository's prefix, `/`-separated; always one that `isSafeKey` accepts. */
  readonly key: string;
  readonly size: number;
  /** When it landed, by the store's clock. */
  readonly modified: Date;
}

/** Until then a version can be neither removed nor replaced: in compliance mode by nobody at all. */
export interface Lock {
  readonly mode: LockMode;
  /** Whole seconds. */
  readonly until: Date;
}

export type LockMode = "governance" | "compliance";

/** One of the blobs that have had a name, in a store that keeps them. */
export interface BlobVersion extends BlobInfo {
  /** What the store calls it. In a store that keeps no versions all have the same. */
  readonly version: string;
  /** No blob, and empty: it hides those that landed before it, so that the name looks free. */
  readonly isMarker: boolean;
  /** Whoever asks for the name alone gets this one. */
  readonly isLatest: boolean;
}

export interface BlobReader {
  /** For sentences: `s3://bucket/prefix` or a directory. Never holds a credential. */
  readonly label: string;
  /**
   * The whole blob. Throws store/missing when it is not there; never a short answer. `maxSize` (bytes) bounds what is
   * read: a longer blob throws data/damaged before its body is held in memory. `into` is memory that the body may be
   * read into when it fits; the answer is then a view of its beginning.
   */
  get(
    key: string,
    how: Cancel & { readonly maxSize: number; readonly into?: Uint8Array },
  ): Promise<Uint8Array>;
  /** Every blob whose key starts with `prefix`, in key order. Keys that are not safe are skipped. */
  list(prefix: string, how: Cancel): AsyncIterable<BlobInfo>;
  /** The store's own clock, for skew checks. */
  now(how: Cancel): Promise<Date>;
}

export interface BlobWriter {
  /**
   * Visible whole or not at all, and durable when this returns. Throws store/exists when the key is taken and the store
   * can tell; nothing is ever overwritten knowingly. `sha256` (lower-case hex of `bytes`), when given, is checked by
   * the store where it can. A put of a name that is not its own hash is not retried after an unclear answer. With `lock`
   * it is locked as it lands, and the lock is read back before this returns: throws store/refused when it is not there.
   */
  put(key: string, bytes: Uint8Array, how: Cancel & PutHow): Promise<void>;
}

/** `sha256`: lower-case hex of the bytes. `lock`: until when the blob cannot be removed. */
export interface PutHow {
  readonly sha256?: string | undefined;
  readonly lock?: Lock | undefined;
}

export interface BlobRemover {
  /** Gone already? That is success. */
  remove(key: string, how: Cancel): Promise<void>;
  /**
   * Many at once, in as few requests as the store allows; none that is not in `keys`. When one cannot be removed the
   * others may be gone already: then the first failure is thrown, and calling again finishes the job.
   */
  removeAll(keys: readonly string[], how: Cancel): Promise<void>;
}

export interface BlobChecker {
  /**
   * Where checksums come from. `bytes`: the store is a disk of this machine, whose bytes are hashed now. `upload`: the
   * server computed them when a blob was put and answers what it noted: another blob in its place shows, a bit that
   * flipped on the server's disks need not.
   */
  readonly checksumsFrom: "bytes" | "upload";
  /**
   * SHA-256 of a blob as lower-case hex, without its bytes coming here from a server; undefined where the server keeps
   * none. Throws store/missing; store/refused where the credential may not ask.
   */
  checksum(key: string, how: Cancel): Promise<string | undefined>;
}

/** What an adapter implements. Verbs are handed the narrowest part that they need: backup no remover, restore no writer. */
export interface BlobStore extends BlobReader, BlobChecker, BlobWriter, BlobRemover, AsyncDisposable {}

export interface VersionReader {
  /**
   * Every version of every blob whose key starts with `prefix`, and the markers that hide some: in key order, and of one
   * key those that landed last first. Keys that are not safe are skipped.
   */
  listVersions(prefix: string, how: Cancel): AsyncIterable<BlobVersion>;
  /** As `get`, of one version. */
  getVersion(
    key: string,
    version: string,
    how: Cancel & { readonly maxSize: number; readonly into?: Uint8Array },
  ): Promise<Uint8Array>;
}

export interface BlobLocker {
  /** Undefined: it was never locked. A lock may be over. Throws store/missing when there is no such version. */
  lockOf(key: string, version: string, how: Cancel): Promise<Lock | undefined>;
  /** Throws store/refused for one that would end earlier than the one that is there. Doing it twice is doing it once. */
  extendLock(key: string, version: string, lock: Lock, how: Cancel): Promise<void>;
}

/** A store in which what is removed or put over may be there still. */
export interface VersionedStore extends BlobStore, VersionReader, BlobLocker {}
