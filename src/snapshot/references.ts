import { hash } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { SMALL_READS_AT_ONCE } from "../lib/limits.ts";
import { mapLimit } from "../lib/map-limit.ts";
import type { PackInfo } from "../pack/pack-table.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { listKey } from "../store/keys.ts";
import { damagedNames } from "./damaged.ts";
import { decodeList, encodeList, MAX_LIST } from "./list.ts";
import type { SnapshotRecord } from "./record.ts";
import { listObjects, objectKey, type StoredObject, type StoredObjects } from "./stored-objects.ts";

/** The list of a source without content: the same bytes for ever, so it is never on its way out. */
const EMPTY_LIST = hash("sha256", encodeList([]), "hex");

/** What one list needs. */
export type ReadList =
  /** `packs`: as the list names them, whatever is stored under their names. */
  | { readonly state: "read"; readonly packs: readonly PackInfo[] }
  | { readonly state: "missing" }
  | { readonly state: "unreadable"; readonly why: string };

/** A policy's objects in a store, and what records need of them, as far as can be known without a key and without a pack. */
export interface Inventory {
  readonly stored: StoredObjects;
  /** Hashes of objects that a verify found damaged, whoever says so. */
  readonly damaged: ReadonlySet<string>;
  readonly references: References;
}

/** List a policy's objects, and read the lists of these records. Throws failures of the store. */
export async function takeInventory(
  store: BlobReader,
  policyName: string,
  records: readonly SnapshotRecord[],
  how: Cancel,
): Promise<Inventory> {
  const [stored, damaged] = await Promise.all([
    listObjects(store, policyName, how),
    damagedNames(store, policyName, how),
  ]);
  const references = new References(stored.objects, damaged);
  await references.read(store, policyName, records, how);
  return { stored, damaged, references };
}

/** Everything that records refer to, as far as it is listed. */
export class References {
  readonly #listed: ReadonlyMap<string, StoredObject>;
  readonly #damaged: ReadonlySet<string>;
  readonly #lists = new Map<string, ReadList>();

  /**
   * @param listed by `objectKey`
   * @param damaged hashes of what a verify found damaged: it is referred to, and nothing that needs it is whole
   */
  constructor(listed: ReadonlyMap<string, StoredObject>, damaged: ReadonlySet<string> = new Set()) {
    this.#listed = listed;
    this.#damaged = damaged;
  }

  /**
   * Read the lists of these records, each once. They are checked against their names, whatever the records say of their
   * sizes. Throws failures of the store.
   */
  async read(
    store: BlobReader,
    policyName: string,
    records: readonly SnapshotRecord[],
    how: Cancel,
  ): Promise<void> {
    const wanted = new Set(records.flatMap(listsOf).filter((sha256) => !this.#lists.has(sha256)));
    const work = async (sha256: string, signal: AbortSignal): Promise<[string, ReadList]> => {
      return [sha256, await readList(store, policyName, sha256, { signal })];
    };
    for await (const [sha256, list] of mapLimit(wanted, SMALL_READS_AT_ONCE, work, how.signal))
      this.#lists.set(sha256, list);
  }

  list(sha256: string): ReadList {
    return this.#lists.get(sha256) ?? { state: "missing" };
  }

  /** Every manifest and list of a record, and the packs that these name, are listed with their sizes; none was found damaged. */
  areWhole({ sources }: SnapshotRecord): boolean {
    return sources.every(({ manifest, list }) => {
      if (!manifest) return true;
      if (!list || !this.#isWhole("manifest", manifest) || !this.#isWhole("list", list)) return false;
      const read = this.list(list.sha256);
      return read.state === "read" && read.packs.every((pack) => this.#isWhole("pack", pack));
    });
  }

  #isWhole(kind: StoredObject["kind"], { sha256, size }: PackInfo): boolean {
    return !this.#damaged.has(sha256) && this.#find(kind, sha256)?.size === size;
  }

  #find(kind: StoredObject["kind"], name: string): StoredObject | undefined {
    return this.#listed.get(objectKey({ kind, name }));
  }

  /** Listed objects that a record refers to, each once. */
  objectsOf(record: SnapshotRecord): ReadonlySet<StoredObject> {
    const objects = new Set<StoredObject | undefined>();
    for (const { manifest, list } of record.sources) {
      if (manifest) objects.add(this.#find("manifest", manifest.sha256));
      if (!list) continue;
      objects.add(this.#find("list", list.sha256));
      const read = this.list(list.sha256);
      if (read.state === "read") for (const { sha256 } of read.packs) objects.add(this.#find("pack", sha256));
    }
    objects.delete(undefined);
    return objects as Set<StoredObject>;
  }

  /** `objectKey` of everything that any of these records refers to. */
  keysOf(records: readonly SnapshotRecord[]): Set<string> {
    const keys = new Set([objectKey({ kind: "list", name: EMPTY_LIST })]);
    for (const record of records) for (const object of this.objectsOf(record)) keys.add(objectKey(object));
    return keys;
  }
}

async function readList(
  store: BlobReader,
  policyName: string,
  sha256: string,
  how: Cancel,
): Promise<ReadList> {
  try {
    const bytes = await store.get(listKey(policyName, sha256), { ...how, maxSize: MAX_LIST });
    if (hash("sha256", bytes, "hex") !== sha256) {
      throw new DropsError("data/damaged", `list ${sha256} does not match the hash in its name`);
    }
    return { state: "read", packs: decodeList(bytes, sha256) };
  } catch (error) {
    if (isFailure(error, "store/missing")) return { state: "missing" };
    if (isFailure(error, "data/damaged")) return { state: "unreadable", why: error.message };
    throw error;
  }
}

export function listsOf({ sources }: SnapshotRecord): string[] {
  return sources.flatMap(({ list }) => (list ? [list.sha256] : []));
}
