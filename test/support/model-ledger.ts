import assert from "node:assert/strict";
import { decodeList } from "../../src/snapshot/list.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import type { BlobInfo, BlobStore } from "../../src/store/blob-store.ts";
import { listKey, listsPrefix, manifestKey, packKey, parseRecordKey } from "../../src/store/keys.ts";

interface Life {
  readonly size: number;
  readonly from: Date;
  to?: Date;
}

/**
 * The same store, which throws as soon as a listed snapshot lacks an object: when one is removed that a record needs, or a
 * record is put that needs one that is not there. It reads no signatures and shares nothing with the code under test but
 * the names of keys and the form of a list.
 */
export class ModelLedger {
  readonly store: BlobStore;
  readonly #clock: { readonly now: Date };
  readonly #policy: string;
  readonly #lives = new Map<string, Life[]>();
  readonly #lists = new Map<string, readonly string[]>();
  /** By the record's key. */
  readonly #needs = new Map<string, readonly string[]>();

  constructor(inner: BlobStore, policy: string, clock: { readonly now: Date }) {
    this.#clock = clock;
    this.#policy = policy;
    this.store = {
      ...inner,
      put: async (key, bytes, how) => {
        await inner.put(key, bytes, how);
        this.#landed(key, bytes);
      },
      remove: async (key, how) => {
        await inner.remove(key, how);
        this.#gone(key);
      },
      removeAll: async (keys, how) => {
        await inner.removeAll(keys, how);
        for (const key of keys) this.#gone(key);
      },
    };
  }

  /** Keys of the records. */
  get records(): readonly string[] {
    return [...this.#needs.keys()];
  }

  isListed(id: string): boolean {
    return this.records.some((key) => key.includes(id));
  }

  /** What a listing at that time said. */
  listedAt(prefix: string, at: Date): BlobInfo[] {
    const lives = [...this.#lives].filter(([key]) => key.startsWith(prefix));
    return lives
      .flatMap(([key, all]) => all.map((life) => ({ key, ...life })))
      .filter(({ from, to }) => from <= at && (to === undefined || to > at))
      .map(({ key, size, from }) => ({ key, size, modified: from }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #landed(key: string, bytes: Uint8Array): void {
    const lives = this.#lives.get(key) ?? [];
    this.#lives.set(key, [...lives, { size: bytes.length, from: this.#clock.now }]);
    if (key.startsWith(listsPrefix(this.#policy))) {
      this.#lists.set(
        key,
        decodeList(bytes, key).map(({ sha256 }) => packKey(this.#policy, sha256)),
      );
    }
    if (!parseRecordKey(this.#policy, key)) return;
    const needs = this.#needsOf(JSON.parse(Buffer.from(bytes).toString()) as SnapshotRecord);
    this.#needs.set(key, needs);
    const missing = needs.filter((need) => !this.#isThere(need));
    assert.deepEqual(missing, [], `${key} landed without what it needs`);
  }

  #gone(key: string): void {
    const life = this.#lives.get(key)?.at(-1);
    if (!life || life.to) return;
    life.to = this.#clock.now;
    this.#needs.delete(key);
    const bereft = [...this.#needs].filter(([, needs]) => needs.includes(key)).map(([record]) => record);
    assert.deepEqual(bereft, [], `${key} was removed, which is needed`);
  }

  #isThere(key: string): boolean {
    const life = this.#lives.get(key)?.at(-1);
    return life !== undefined && life.to === undefined;
  }

  #needsOf({ sources }: SnapshotRecord): string[] {
    return sources.flatMap(({ manifest, list }) => {
      const keys = manifest ? [manifestKey(this.#policy, manifest.sha256)] : [];
      if (!list) return keys;
      const key = listKey(this.#policy, list.sha256);
      return [...keys, key, ...(this.#lists.get(key) ?? [])];
    });
  }
}
