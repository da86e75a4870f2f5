import type { BlobReader, BlobWriter, Lock } from "./blob-store.ts";

/** What is put through this is locked until then; without a lock it is the store itself. */
export function locking<Store extends BlobReader & BlobWriter>(
  store: Store,
  lock: Lock | undefined,
): BlobReader & BlobWriter {
  if (!lock) return store;
  return {
    label: store.label,
    get: (key, how) => store.get(key, how),
    list: (prefix, how) => store.list(prefix, how),
    now: (how) => store.now(how),
    put: (key, bytes, how) => store.put(key, bytes, { ...how, lock }),
  };
}
