import assert from "node:assert/strict";
import { runOpen } from "../../src/pack/jobs.ts";
import { PackTable } from "../../src/pack/pack-table.ts";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import type { ChunkRef } from "../../src/snapshot/entry.ts";
import type { SnapshotRecord, SourceRecord } from "../../src/snapshot/record.ts";
import { readRepository } from "../../src/snapshot/repository.ts";
import { openSourceManifest } from "../../src/snapshot/source-manifest.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { packKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { slotOf } from "./slot-of.ts";

const HOW = { signal: new AbortController().signal };

/**
 * Every snapshot that is listed, checkpoints included, can be read back to the last byte: all packs open with the recovery
 * identity and hold every chunk that a manifest names. Written without the restore verb, to check on both.
 *
 * @param keys `read`: ids of those that are read; default: all
 * @returns per record that was read: source name to path to content
 */
export async function readWhole(
  store: BlobStore,
  keys: { identity: string; signer: string; policy: string; read?: (id: string) => boolean },
): Promise<{ record: SnapshotRecord; sources: Map<string, Map<string, Buffer>> }[]> {
  const trust = trustOf(undefined, { signers: [keys.signer] });
  const repository = await readRepository(store, trust, HOW);
  const { snapshots, unreadable } = await readCatalog(store, repository, keys.policy, trust, HOW);
  assert.deepEqual(unreadable, []);
  const reader = new ChunkReader(store, keys);
  const whole = [];
  for (const { record } of snapshots.filter(({ record }) => keys.read?.(record.id) ?? true)) {
    const sources = new Map<string, Map<string, Buffer>>();
    for (const source of record.sources.filter(({ manifest }) => manifest)) {
      sources.set(source.name, await reader.files(source));
    }
    whole.push({ record, sources });
  }
  return whole;
}

class ChunkReader {
  readonly #store: BlobStore;
  readonly #keys: { identity: string; policy: string };
  readonly #packs = new PackTable();
  readonly #opened = new Map<number, Map<string, Buffer>>();

  constructor(store: BlobStore, keys: { identity: string; policy: string }) {
    this.#store = store;
    this.#keys = keys;
  }

  async files(source: SourceRecord): Promise<Map<string, Buffer>> {
    const { policy, identity } = this.#keys;
    const files = new Map<string, Buffer>();
    const by = { identities: [identity], packs: this.#packs };
    const { entries } = await openSourceManifest(this.#store, policy, source, by, HOW);
    for await (const { path, chunks, type } of entries) {
      const parts: Buffer[] = [];
      for (const chunk of chunks) parts.push(await this.#chunk(chunk));
      if (type === "file") files.set(path.toString(), Buffer.concat(parts));
    }
    return files;
  }

  async #chunk({ pack, id, size }: ChunkRef): Promise<Buffer> {
    const known = this.#opened.get(pack) ?? (await this.#open(pack));
    this.#opened.set(pack, known);
    const chunk = known.get(id);
    assert.equal(chunk?.length, size, `chunk ${id} is not in its pack`);
    return chunk ?? Buffer.alloc(0);
  }

  async #open(number: number): Promise<Map<string, Buffer>> {
    const pack = this.#packs.get(number);
    assert.ok(pack);
    const sealed = await this.#store.get(packKey(this.#keys.policy, pack.sha256), {
      ...HOW,
      maxSize: pack.size,
    });
    assert.equal(sealed.length, pack.size);
    const job = { kind: "open", ...slotOf(sealed), identities: [this.#keys.identity] } as const;
    const { tar, chunks } = await runOpen({ ...job, sha256: pack.sha256 });
    return new Map(
      chunks.map(({ id, offset, size }) => [id, Buffer.from(tar.subarray(offset, offset + size))]),
    );
  }
}
