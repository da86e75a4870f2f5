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

/** Kinds of objects that records refer to, and signatures that are left over. */
export type ObjectKind = "pack" | "list" | "manifest" | "signature";

export interface StoredObject {
  readonly kind: ObjectKind;
  /** A hash; of a signature, the file name of its record. */
  readonly name: string;
  readonly size: number;
  /** When it landed, by the store's clock. */
  readonly modified: Date;
}

export type ObjectName = Pick<StoredObject, "kind" | "name">;

export interface StoredObjects {
  /** Packs, lists, manifests, and signatures beside which there is no record; by `objectKey`. */
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** Keys of the records. */
  readonly records: readonly string[];
  /** Keys below snapshots/ that are neither a record nor a signature of one. */
  readonly strangers: readonly string[];
}

/** What of a policy's lies in the store, by names, sizes and times alone. Objects with other names are not looked at. */
export async function listObjects(
  store: BlobReader,
  policyName: string,
  how: Cancel,
): Promise<StoredObjects> {
  const objects = new Map<string, StoredObject>();
  const listHashed = async ([kind, prefix, keyOf]: (typeof HASHED)[number]) => {
    for await (const blob of store.list(prefix(policyName), how)) {
      const name = blob.key.slice(blob.key.lastIndexOf("/") + 1);
      if (isHash(name) && keyOf(policyName, name) === blob.key) add(objects, kind, name, blob);
    }
  };
  const around = await listRecords(store, policyName, objects, how);
  await Promise.all(HASHED.map(listHashed));
  return { objects, ...around };
}

/** Names an object among all kinds. */
export function objectKey({ kind, name }: ObjectName): string {
  return `${kind} ${name}`;
}

async function listRecords(
  store: BlobReader,
  policyName: string,
  objects: Map<string, StoredObject>,
  how: Cancel,
): Promise<Omit<StoredObjects, "objects">> {
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
export function storedKey(policyName: string, { kind, name }: ObjectName): string {
  if (kind === "pack") return packKey(policyName, name);
  if (kind === "list") return listKey(policyName, name);
  if (kind === "manifest") return manifestKey(policyName, name);
  const record = `${snapshotsPrefix(policyName)}${name}`;
  if (!parseRecordKey(policyName, record)) throw new TypeError(`not a record's name: ${name.slice(0, 80)}`);
  return signatureKey(record);
}

const HASHED: readonly (readonly [
  kind: ObjectKind,
  prefix: (policy: string) => string,
  keyOf: (policy: string, sha256: string) => string,
])[] = [
  ["pack", packsPrefix, packKey],
  ["list", listsPrefix, listKey],
  ["manifest", manifestsPrefix, manifestKey],
];

function add(
  objects: Map<string, StoredObject>,
  kind: ObjectKind,
  name: string,
  { size, modified }: BlobInfo,
): void {
  objects.set(objectKey({ kind, name }), { kind, name, size, modified });
}
