import { hash } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import type { PackTable } from "../pack/pack-table.ts";
import { open } from "../seal/age-stream.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { listKey, manifestKey } from "../store/keys.ts";
import { decodeList, MAX_LIST } from "./list.ts";
import { MAX_MANIFEST, type OpenManifest, openManifest } from "./manifest-reader.ts";
import type { SourceRecord } from "./record.ts";

/**
 * Fetch, authenticate and open the manifest that a trusted record names for one source: list and manifest must have the
 * hashes and sizes in the record before a byte of them is used. Packs are numbered in `packs`.
 *
 * @throws DropsError data/missing when the record names no manifest; store/missing, data/damaged, key/wrong
 */
export async function openSourceManifest(
  store: BlobReader,
  policy: string,
  source: SourceRecord,
  keys: { readonly identities: readonly string[]; readonly packs: PackTable },
  how: Cancel,
): Promise<OpenManifest> {
  if (!source.manifest || !source.list) {
    throw new DropsError(
      "data/missing",
      `this snapshot holds nothing of source ${source.name}: its capture failed`,
    );
  }
  const list = await getExactly(store, listKey(policy, source.list.sha256), source.list, MAX_LIST, how);
  const numbers = decodeList(list, source.list.sha256).map((pack) => keys.packs.intern(pack));
  const sealed = await getExactly(
    store,
    manifestKey(policy, source.manifest.sha256),
    source.manifest,
    MAX_MANIFEST,
    how,
  );
  const compressed = await open(keys.identities, sealed);
  return openManifest(compressed, (index) => numbers[index], source.manifest.sha256, how);
}

/** The blob whose size and hash are already known from something authentic. Throws data/damaged when it is another. */
export async function getExactly(
  store: BlobReader,
  key: string,
  expected: { readonly sha256: string; readonly size: number },
  bound: number,
  how: Cancel,
): Promise<Uint8Array> {
  const bytes = await store.get(key, { ...how, maxSize: Math.min(expected.size, bound) });
  if (bytes.length !== expected.size || hash("sha256", bytes, "hex") !== expected.sha256) {
    throw new DropsError(
      "data/damaged",
      `${key} in ${store.label} does not hold the bytes that its name promises`,
    );
  }
  return bytes;
}
