import type { Cancel } from "../lib/cancel.ts";

export interface BlobInfo {
  /** Relative to the repository's prefix, `/`-separated; always one that `isSafeKey` accepts. */
  readonly key: string;
  readonly size: number;
  /** When it landed, by the store's clock. */
  readonly modified: Date;
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
   * the store where it can. A put of a name that is not its own hash is not retried after an unclear answer.
   */
  put(key: string, bytes: Uint8Array, how: Cancel & { readonly sha256?: string }): Promise<void>;
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

/** What an adapter implements. Verbs are handed the narrowest part that they need: backup no remover, restore no writer. */
export interface BlobStore extends BlobReader, BlobWriter, BlobRemover, AsyncDisposable {}
