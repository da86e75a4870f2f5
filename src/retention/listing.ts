import type { Cancel } from "../lib/cancel.ts";
import type { BlobInfo, BlobReader } from "../store/blob-store.ts";
import {
  isHash,
  listKey,
  listsPrefix,
  manifestKey,
  manifestsPrefix,
  packKey,
  packsPrefix,
  parseRecordKey,
  signatureKey,
  snapshotsPrefix,
} from "../store/keys.ts";
import { objectKey, type StoredObject, type SweptKind } from "./sweep.ts";

export interface Listing {
  /** Packs, lists, manifests, and signatures beside which there is no record; by `objectKey`. */
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** Keys of the records. */
  readonly records: readonly string[];
  /** Keys below snapshots/ that are neither a record nor a signature of one. */
  readonly strangers: readonly string[];
}

/** What of a policy's lies in the store, by names, sizes and times alone. Objects with other names are not looked at. */
export async function listObjects(store: BlobReader, policyName: string, how: Cancel): Promise<Listing> {
  const objects = new Map<string, StoredObject>();
  const around = await listRecords(store, policyName, objects, how);
  for (const [kind, prefix, keyOf] of HASHED) {
    for await (const blob of store.list(prefix(policyName), how)) {
      const name = blob.key.slice(blob.key.lastIndexOf("/") + 1);
      if (isHash(name) && keyOf(policyName, name) === blob.key) add(objects, kind, name, blob);
    }
  }
  return { objects, ...around };
}

async function listRecords(
  store: BlobReader,
  policyName: string,
  objects: Map<string, StoredObject>,
  how: Cancel,
): Promise<Omit<Listing, "objects">> {
  const blobs: BlobInfo[] = [];
  for await (const blob of store.list(snapshotsPrefix(policyName), how)) blobs.push(blob);
  const records = blobs.map(({ key }) => key).filter((key) => parseRecordKey(policyName, key));
  const taken = new Set([...records, ...records.map(signatureKey)]);
  const strangers: string[] = [];
  for (const blob of blobs.filter(({ key }) => !taken.has(key))) {
    const record = blob.key.replace(/\.sig$/, "");
    if (parseRecordKey(policyName, record))
      add(objects, "signature", record.slice(snapshotsPrefix(policyName).length), blob);
    else strangers.push(blob.key);
  }
  return { records, strangers };
}

/** Where an object lies: built from its kind and name, so that nothing else can be meant by a mark. */
export function storedKey(policyName: string, { kind, name }: Pick<StoredObject, "kind" | "name">): string {
  if (kind === "pack") return packKey(policyName, name);
  if (kind === "list") return listKey(policyName, name);
  if (kind === "manifest") return manifestKey(policyName, name);
  const record = `${snapshotsPrefix(policyName)}${name}`;
  if (!parseRecordKey(policyName, record)) throw new TypeError(`not a record's name: ${name.slice(0, 80)}`);
  return signatureKey(record);
}

const HASHED: readonly (readonly [
  kind: SweptKind,
  prefix: (policy: string) => string,
  keyOf: (policy: string, sha256: string) => string,
])[] = [
  ["pack", packsPrefix, packKey],
  ["list", listsPrefix, listKey],
  ["manifest", manifestsPrefix, manifestKey],
];

function add(
  objects: Map<string, StoredObject>,
  kind: SweptKind,
  name: string,
  { size, modified }: BlobInfo,
): void {
  objects.set(objectKey({ kind, name }), { kind, name, size, modified });
}
