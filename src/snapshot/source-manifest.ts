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

/** A manifest whose bytes are authentic; its entries can be read any number of times. */
export interface LoadedManifest {
  /** The run's pack numbers, in the order of the manifest's list. */
  readonly numbers: readonly number[];
  /** From the first line on. Throws data/damaged. */
  entries(how: Cancel): Promise<OpenManifest>;
}

/**
 * Fetch, authenticate and decrypt the manifest that a trusted record names for one source: list and manifest must have
 * the hashes and sizes in the record before a byte of them is used. Packs are numbered in `packs`.
 *
 * @throws DropsError data/missing when the record names no manifest; store/missing, data/damaged, key/wrong
 */
export async function loadSourceManifest(
  store: BlobReader,
  policy: string,
  source: SourceRecord,
  keys: { readonly identities: readonly string[]; readonly packs: PackTable },
  how: Cancel,
): Promise<LoadedManifest> {
  if (!source.manifest || !source.list) {
    throw new DropsError(
      "data/missing",
      `this snapshot has no data of source ${source.name}: its backup failed`,
    );
  }
  const { sha256 } = source.manifest;
  const list = await getExactly(store, listKey(policy, source.list.sha256), source.list, MAX_LIST, how);
  const numbers = decodeList(list, source.list.sha256).map((pack) => keys.packs.intern(pack));
  const sealed = await getExactly(store, manifestKey(policy, sha256), source.manifest, MAX_MANIFEST, how);
  const compressed = await open(keys.identities, sealed);
  return { numbers, entries: (again) => openManifest(compressed, (index) => numbers[index], sha256, again) };
}

/**
 * A manifest whose list is lost: authentic like any other, but where its chunks lie is not known any more. All of them
 * are said to lie in pack `nowhere`.
 *
 * @throws DropsError as `loadSourceManifest`
 */
export async function loadManifestAlone(
  store: BlobReader,
  policy: string,
  source: SourceRecord,
  keys: { readonly identities: readonly string[]; readonly nowhere: number },
  how: Cancel,
): Promise<LoadedManifest> {
  if (!source.manifest) throw new DropsError("data/missing", `source ${source.name} has no manifest`);
  const { sha256 } = source.manifest;
  const sealed = await getExactly(store, manifestKey(policy, sha256), source.manifest, MAX_MANIFEST, how);
  const compressed = await open(keys.identities, sealed);
  const { nowhere } = keys;
  return { numbers: [nowhere], entries: (again) => openManifest(compressed, () => nowhere, sha256, again) };
}

/** As `loadSourceManifest`, for who reads it once. */
export async function openSourceManifest(
  ...request: Parameters<typeof loadSourceManifest>
): Promise<OpenManifest> {
  const manifest = await loadSourceManifest(...request);
  return manifest.entries(request[4]);
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
    throw new DropsError("data/damaged", `${key} in ${store.label} does not match the hash in its name`);
  }
  return bytes;
}
