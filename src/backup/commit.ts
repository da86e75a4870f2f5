import { hash } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { freeMemory } from "../lib/free-memory.ts";
import type { PackInfo, PackTable } from "../pack/pack-table.ts";
import { seal } from "../seal/age-stream.ts";
import { type Signer, SNAPSHOT_NAMESPACE } from "../seal/sshsig.ts";
import type { ManifestEntry } from "../snapshot/entry.ts";
import { encodeList } from "../snapshot/list.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { ManifestWriter } from "../snapshot/manifest-writer.ts";
import { encodeRecord, recordDigest, type SnapshotRecord } from "../snapshot/record.ts";
import type { BlobReader, BlobWriter, Lock } from "../store/blob-store.ts";
import {
  keyTime,
  listKey,
  listsPrefix,
  manifestKey,
  manifestsPrefix,
  packKey,
  packsPrefix,
  recordKey,
  signatureKey,
} from "../store/keys.ts";

/** What one source's part of a record refers to. */
export interface StoredSource {
  readonly manifest: { readonly sha256: string; readonly size: number };
  readonly list: { readonly sha256: string; readonly size: number };
  readonly packs: readonly PackInfo[];
}

/**
 * Put a source's list and manifest. Every pack it refers to must be in the store already, so flush the shipper first.
 *
 * @param recipients age recipients of the manifest
 */
export async function storeSource(
  store: BlobWriter,
  policyName: string,
  what: {
    writer: ManifestWriter;
    head: ManifestHead;
    packs: PackTable;
    recipients: readonly string[];
    /** As of `ManifestWriter.compressed`. */
    unfinished?: { readonly file: ManifestEntry | undefined } | undefined;
    /** Names of objects that nothing new may refer to. */
    unusable?: ReadonlySet<string>;
    locks?: { readonly list: Lock | undefined; readonly manifest: Lock | undefined };
  },
  how: Cancel,
): Promise<StoredSource> {
  const compressed = await what.writer.compressed(what.head, what.unfinished);
  const sealed = await seal(what.recipients, compressed);
  const isAlone = compressed.length === compressed.buffer.byteLength; // small ones share a pool
  if (isAlone) freeMemory(compressed); // 100 MiB for a million files
  const packs = what.writer.packs().map((number) => namedPack(what.packs, number));
  const list = freshList(packs, what.unusable ?? new Set());
  const stored = { manifest: described(sealed), list: described(list), packs };
  await putHashed(store, listKey(policyName, stored.list.sha256), list, stored.list.sha256, {
    ...how,
    lock: what.locks?.list,
  });
  await putHashed(store, manifestKey(policyName, stored.manifest.sha256), sealed, stored.manifest.sha256, {
    ...how,
    lock: what.locks?.manifest,
  });
  return stored;
}

/**
 * A list is the same bytes again when a source is as it once was. While those are on their way out of the store, or
 * damaged there, the last pack is named once more: nothing refers to that line, and the list has another name.
 */
function freshList(packs: readonly PackInfo[], unusable: ReadonlySet<string>): Buffer {
  const last = packs.slice(-1);
  for (let more: readonly PackInfo[] = packs; ; more = [...more, ...last]) {
    const list = encodeList(more);
    if (last.length === 0 || !unusable.has(described(list).sha256)) return list;
  }
}

/** Every pack, list and manifest of a policy that the store lists, name to size. */
export async function listStored(
  store: BlobReader,
  policyName: string,
  how: Cancel,
): Promise<Map<string, number>> {
  const stored = await listPacks(store, policyName, how);
  for (const prefix of [listsPrefix(policyName), manifestsPrefix(policyName)]) {
    for await (const { key, size } of store.list(prefix, how)) stored.set(key.slice(prefix.length), size);
  }
  return stored;
}

/** Every pack of a policy that the store lists, name to size. */
export async function listPacks(
  store: BlobReader,
  policyName: string,
  how: Cancel,
): Promise<Map<string, number>> {
  const packs = new Map<string, number>();
  for await (const { key, size } of store.list(packsPrefix(policyName), how)) {
    const name = key.slice(key.lastIndexOf("/") + 1);
    if (packKey(policyName, name.padStart(64, "0")) === key) packs.set(name, size);
  }
  return packs;
}

/** Throws data/missing when an object that the new snapshot needs is not listed with its size, or was condemned meanwhile. */
export function checkListed(
  needed: Iterable<PackInfo>,
  listed: ReadonlyMap<string, number>,
  condemned: ReadonlySet<string>,
): void {
  for (const { sha256, size } of needed) {
    if (listed.get(sha256) === size && !condemned.has(sha256)) continue;
    throw new DropsError(
      "data/missing",
      `object ${sha256} vanished from the store while this backup was made`,
      {
        hint: "run drops backup again: it stores missing data again",
      },
    );
  }
}

/**
 * Put the signature, then the record: the commit. Never retried blindly: after an unclear answer the record is read back
 * and compared.
 *
 * @param how `mayCommit`: asked right before the record is put; when it throws, a lone signature is left, which a prune removes
 * @returns the record's key
 */
export async function commitRecord(
  store: BlobReader & BlobWriter,
  record: SnapshotRecord,
  signer: Signer,
  how: Cancel & { readonly mayCommit?: () => void },
): Promise<string> {
  const bytes = encodeRecord(record);
  const key = recordKey(record.policy, keyTime(new Date(record.ended)), record.id);
  await putOnce(store, signatureKey(key), signer.sign(SNAPSHOT_NAMESPACE, bytes), how);
  how.mayCommit?.();
  await putOnce(store, key, bytes, how);
  return key;
}

async function putOnce(
  store: BlobReader & BlobWriter,
  key: string,
  bytes: Uint8Array,
  how: Cancel,
): Promise<void> {
  try {
    await store.put(key, bytes, how);
  } catch (error) {
    if (!isFailure(error, "store/unavailable", "store/exists")) throw error;
    const there = await store.get(key, { ...how, maxSize: bytes.length }).catch(() => undefined);
    if (!there || recordDigest(there) !== recordDigest(bytes)) throw error;
  }
}

/** An object named by its hash that is there already is the same object. */
async function putHashed(
  store: BlobWriter,
  key: string,
  bytes: Uint8Array,
  sha256: string,
  how: Cancel & { readonly lock: Lock | undefined },
): Promise<void> {
  try {
    await store.put(key, bytes, { ...how, sha256 });
  } catch (error) {
    if (!isFailure(error, "store/exists")) throw error;
  }
}

function described(bytes: Uint8Array): { sha256: string; size: number } {
  return { sha256: hash("sha256", bytes, "hex"), size: bytes.length };
}

function namedPack(packs: PackTable, number: number): PackInfo {
  const pack = packs.get(number);
  if (!pack) throw new Error(`pack ${number} is referred to before it was stored`);
  return pack;
}
