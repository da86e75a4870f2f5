import { DropsError } from "../../src/lib/errors.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { faultyStore } from "./faulty-store.ts";

/** A store in which what was listed under these names is gone when somebody asks for it: another run removed it in between. */
export function goneSince(store: BlobStore, key: RegExp): BlobStore {
  const error = (_call: string, name: string) =>
    new DropsError("store/missing", `${name} is not there any more`);
  return faultyStore(store, [{ nth: 1, stays: true, call: "get", key, when: "before", error }]);
}

/** A store whose answers for these names do not come. */
export function unreachable(store: BlobStore, key: RegExp): BlobStore {
  return faultyStore(store, [{ nth: 1, stays: true, key, when: "before" }]);
}
