import { hash } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { mapLimit } from "../lib/map-limit.ts";
import type { PackInfo } from "../pack/pack-table.ts";
import { decodeList, encodeList, MAX_LIST } from "../snapshot/list.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { listKey } from "../store/keys.ts";
import { objectKey, type StoredObject } from "./sweep.ts";

/** The list of a source without content: the same bytes for ever, so it is never on its way out. */
const EMPTY_LIST = hash("sha256", encodeList([]), "hex");

/** What one list needs. */
export type ReadList =
  | {
      readonly state: "read";
      readonly packs: readonly StoredObject[];
      /** Named, and not listed with that size. */
      readonly odd: readonly PackInfo[];
    }
  | { readonly state: "missing" }
  | { readonly state: "unreadable"; readonly why: string };

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
      return [sha256, await this.#readList(store, policyName, sha256, { signal })];
    };
    for await (const [sha256, list] of mapLimit(wanted, 8, work, how.signal)) this.#lists.set(sha256, list);
  }

  list(sha256: string): ReadList {
    return this.#lists.get(sha256) ?? { state: "missing" };
  }

  /** Every manifest and list of a record, and the packs that these name, are listed with their sizes; none was found damaged. */
  areWhole({ sources }: SnapshotRecord): boolean {
    return sources.every(({ manifest, list }) => {
      if (!manifest) return true;
      if (!list || !this.#isListed("manifest", manifest) || !this.#isListed("list", list)) return false;
      const read = this.list(list.sha256);
      return read.state === "read" && read.odd.length === 0;
    });
  }

  #isListed(kind: "manifest" | "list", { sha256, size }: PackInfo): boolean {
    return !this.#damaged.has(sha256) && this.#listed.get(objectKey({ kind, name: sha256 }))?.size === size;
  }

  /** Listed objects that a record refers to, each once. */
  objectsOf(record: SnapshotRecord): ReadonlySet<StoredObject> {
    const objects = new Set<StoredObject>();
    const add = (object: StoredObject | undefined) => object && objects.add(object);
    for (const { manifest, list } of record.sources) {
      if (manifest) add(this.#listed.get(objectKey({ kind: "manifest", name: manifest.sha256 })));
      if (!list) continue;
      add(this.#listed.get(objectKey({ kind: "list", name: list.sha256 })));
      const read = this.list(list.sha256);
      if (read.state === "read") for (const pack of read.packs) add(pack);
    }
    return objects;
  }

  /** `objectKey` of everything that any of these records refers to. */
  keysOf(records: readonly SnapshotRecord[]): Set<string> {
    const keys = new Set([objectKey({ kind: "list", name: EMPTY_LIST })]);
    for (const record of records) for (const object of this.objectsOf(record)) keys.add(objectKey(object));
    return keys;
  }

  async #readList(store: BlobReader, policyName: string, sha256: string, how: Cancel): Promise<ReadList> {
    try {
      const bytes = await store.get(listKey(policyName, sha256), { ...how, maxSize: MAX_LIST });
      if (hash("sha256", bytes, "hex") !== sha256) {
        throw new DropsError("data/damaged", `list ${sha256} does not hold the bytes that its name promises`);
      }
      const named = decodeList(bytes, sha256);
      const found = named.map(({ sha256: name }) => this.#listed.get(objectKey({ kind: "pack", name })));
      const odd = named.filter(
        ({ sha256: name, size }, at) => found[at]?.size !== size || this.#damaged.has(name),
      );
      return { state: "read", packs: found.filter((pack) => pack !== undefined), odd };
    } catch (error) {
      if (isFailure(error, "store/missing")) return { state: "missing" };
      if (isFailure(error, "data/damaged")) return { state: "unreadable", why: error.message };
      throw error;
    }
  }
}

export function listsOf({ sources }: SnapshotRecord): string[] {
  return sources.flatMap(({ list }) => (list ? [list.sha256] : []));
}
