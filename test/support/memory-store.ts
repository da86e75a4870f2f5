import { hash } from "node:crypto";
import type { BlobInfo, BlobStore } from "../../src/store/blob-store.ts";
import {
  assertSafeKey,
  checkSha256,
  locksNothing,
  missing,
  taken,
  tooLarge,
} from "../../src/store/check-bytes.ts";

const LABEL = "memory";

/**
 * A store that is gone with the process. It keeps copies, as a real store would, and no versions.
 *
 * @param clock the store's own; what is put landed when it says
 */
export function openMemoryStore(clock: () => Date = () => new Date()): BlobStore {
  const blobs = new Map<string, { readonly bytes: Uint8Array; readonly modified: Date }>();
  return {
    label: LABEL,
    checksumsFrom: "bytes",
    async checksum(key, { signal }) {
      signal.throwIfAborted();
      assertSafeKey(key);
      const blob = blobs.get(key);
      if (!blob) throw missing(LABEL, key);
      return hash("sha256", blob.bytes, "hex");
    },
    async get(key, { signal, maxSize }) {
      signal.throwIfAborted();
      assertSafeKey(key);
      const blob = blobs.get(key);
      if (!blob) throw missing(LABEL, key);
      if (blob.bytes.length > maxSize) throw tooLarge(LABEL, key, blob.bytes.length, maxSize);
      return blob.bytes.slice();
    },
    async *list(prefix, { signal }): AsyncGenerator<BlobInfo> {
      signal.throwIfAborted();
      const keys = [...blobs.keys()].filter((key) => key.startsWith(prefix)).sort();
      for (const key of keys) {
        signal.throwIfAborted();
        const blob = blobs.get(key);
        if (blob) yield { key, size: blob.bytes.length, modified: blob.modified };
      }
    },
    async now({ signal }) {
      signal.throwIfAborted();
      return clock();
    },
    async put(key, bytes, { signal, sha256, lock }) {
      signal.throwIfAborted();
      assertSafeKey(key);
      if (lock) throw locksNothing(LABEL, key);
      const copy = Uint8Array.from(bytes);
      await checkSha256(key, copy, sha256);
      signal.throwIfAborted();
      if (blobs.has(key)) throw taken(LABEL, key);
      blobs.set(key, { bytes: copy, modified: clock() });
    },
    async remove(key, { signal }) {
      signal.throwIfAborted();
      assertSafeKey(key);
      blobs.delete(key);
    },
    async removeAll(keys, { signal }) {
      signal.throwIfAborted();
      for (const key of keys) assertSafeKey(key);
      for (const key of keys) blobs.delete(key);
    },
    async [Symbol.asyncDispose]() {},
  };
}
