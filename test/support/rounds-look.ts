import assert from "node:assert/strict";
import { basename } from "node:path";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import { decodeList, MAX_LIST } from "../../src/snapshot/list.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import type { Repository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import {
  condemnedPrefix,
  listKey,
  manifestKey,
  packKey,
  packsPrefix,
  signatureKey,
} from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { keysOf } from "./nights.ts";
import type { Contents } from "./rounds-data.ts";
import { readWhole } from "./whole-repository.ts";

const HOW = { signal: new AbortController().signal };

export interface Seen {
  readonly listed: number;
  /** Objects that were there at the look before, and are not any more. */
  readonly gone: number;
  readonly bytes: number;
}

export interface SeenFigures {
  readonly states: Map<SnapshotRecord["state"], number>;
  /** How many times a snapshot was read back and compared. */
  compared: number;
  packsGone: number;
  objectsGone: number;
  mostBytes: number;
}

/** Looks at the bucket past the gates, and remembers what was there. */
export class RoundsLook {
  readonly figures: SeenFigures = {
    states: new Map(),
    compared: 0,
    packsGone: 0,
    objectsGone: 0,
    mostBytes: 0,
  };
  readonly #store: BlobStore;
  readonly #repository: Repository;
  readonly #keys: Parameters<typeof readWhole>[1];
  readonly #contents = new Map<string, Contents>();
  readonly #read = new Set<string>();
  readonly #needs = new Map<string, readonly string[]>();
  #objects = new Map<string, number>();

  constructor(store: BlobStore, repository: Repository, keys: Parameters<typeof readWhole>[1]) {
    this.#store = store;
    this.#repository = repository;
    this.#keys = keys;
  }

  /** @param wanted what snapshots that are new since the last look have to hold, if they are complete */
  async around(wanted: Contents): Promise<Seen> {
    const records = await this.records();
    for (const { id, state } of records.filter(({ id }) => !this.#read.has(id))) {
      this.#contents.set(id, wanted);
      this.figures.states.set(state, (this.figures.states.get(state) ?? 0) + 1);
    }
    const objects = await keysOf(this.#store);
    await this.#nothingIsMissing(records, objects);
    await this.#compare((id) => !this.#read.has(id));
    for (const { id } of records) this.#read.add(id);
    const gone = [...this.#objects.keys()].filter((key) => !objects.has(key));
    const bytes = [...objects.values()].reduce((sum, size) => sum + size, 0);
    this.figures.objectsGone += gone.length;
    this.figures.packsGone += gone.filter((key) => key.startsWith(packsPrefix(this.#keys.policy))).length;
    this.figures.mostBytes = Math.max(this.figures.mostBytes, bytes);
    this.#objects = objects;
    return { listed: records.length, gone: gone.length, bytes };
  }

  /** What a complete snapshot has to hold. */
  contentsOf(id: string): Contents {
    return this.#contents.get(id) ?? assert.fail(`nobody knows what ${id} has to hold`);
  }

  async everything(): Promise<void> {
    await this.#compare(() => true);
  }

  async records(): Promise<readonly SnapshotRecord[]> {
    const trust = trustOf(undefined, { signers: [this.#keys.signer] });
    const { snapshots, unreadable } = await readCatalog(
      this.#store,
      this.#repository,
      this.#keys.policy,
      trust,
      HOW,
    );
    assert.deepEqual(unreadable, []);
    return snapshots.map(({ record }) => record);
  }

  /** Objects that no listed snapshot needs and that are still there. */
  async unneeded(): Promise<string[]> {
    const records = await this.records();
    const needed = new Set((await Promise.all(records.map((record) => this.#needsOf(record)))).flat());
    const keys = [...(await keysOf(this.#store, `${this.#keys.policy}/`)).keys()];
    const places = records.flatMap(({ id }) => keys.filter((key) => key.includes(`-${id}.json`)));
    const own = new Set([...needed, ...places]);
    const alone = places.filter((key) => !key.endsWith(".sig") && !keys.includes(signatureKey(key)));
    assert.deepEqual(alone, []);
    return keys.filter((key) => !own.has(key) || key.startsWith(condemnedPrefix(this.#keys.policy)));
  }

  async #nothingIsMissing(
    records: readonly SnapshotRecord[],
    objects: ReadonlyMap<string, number>,
  ): Promise<void> {
    for (const record of records) {
      const missing = (await this.#needsOf(record)).filter((key) => !objects.has(key));
      assert.deepEqual(missing, [], `${record.state} ${record.id} of ${record.ended} lacks objects`);
    }
  }

  async #needsOf({ id, sources }: SnapshotRecord): Promise<readonly string[]> {
    const known = this.#needs.get(id);
    if (known) return known;
    const needs: string[] = [];
    for (const { list, manifest } of sources) {
      if (manifest) needs.push(manifestKey(this.#keys.policy, manifest.sha256));
      if (!list) continue;
      const key = listKey(this.#keys.policy, list.sha256);
      const bytes = await this.#store.get(key, { ...HOW, maxSize: MAX_LIST });
      needs.push(key, ...decodeList(bytes, key).map(({ sha256 }) => packKey(this.#keys.policy, sha256)));
    }
    this.#needs.set(id, needs);
    return needs;
  }

  async #compare(read: (id: string) => boolean): Promise<void> {
    for (const { record, sources } of await readWhole(this.#store, { ...this.#keys, read })) {
      if (record.state !== "complete") continue; // read to the last byte; it may end in the middle of a file
      for (const [source, files] of this.contentsOf(record.id)) {
        const found = [...(sources.get(source) ?? [])].map(
          ([path, content]) => [basename(path), content] as const,
        );
        assert.deepEqual(found.map(([name]) => name).sort(), [...files.keys()].sort());
        for (const [name, content] of found)
          assert.ok(files.get(name)?.equals(content), `${source}/${name} of ${record.id}`);
      }
      this.figures.compared++;
    }
  }
}
