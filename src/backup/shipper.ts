import type { ContentCutter } from "../chunk/fastcdc.ts";
import { breathe, isBreathDue } from "../lib/breathe.ts";
import type { Cancel } from "../lib/cancel.ts";
import { freeMemory } from "../lib/free-memory.ts";
import { PACK_BUFFER_SIZE, PackBuffer } from "../pack/pack-buffer.ts";
import type { PackTable } from "../pack/pack-table.ts";
import type { PackPool } from "../pack/pool.ts";
import { newSealKey } from "../seal/age-stream.ts";
import type { ChunkRef } from "../snapshot/entry.ts";
import type { BlobWriter } from "../store/blob-store.ts";
import { packKey } from "../store/keys.ts";
import type { FixedCutter } from "./fixed-cutter.ts";

/** Level 1: the network is slower than this and the data is mostly compressed already (docs/benchmark.md). */
const ZSTD_LEVEL = 1;

/**
 * The first pack of a run is sealed as soon as it holds this much: it is read back as other programs read it, which is
 * slow, and it puts the threads to work early. Bytes.
 */
const FIRST_PACK = 1024 * 1024;

/** Which pack holds a chunk, by 32 bytes of id. */
export interface ChunkLookup {
  get(id: Uint8Array): number | undefined;
  set(id: Uint8Array, pack: number): void;
}

export interface ShipperParts {
  readonly store: BlobWriter;
  readonly policyName: string;
  readonly pool: PackPool;
  readonly packs: PackTable;
  /** age recipients of packs. */
  readonly recipients: readonly string[];
  readonly signal: AbortSignal;
  /** Called when a pack has landed, with its stored size. */
  readonly onStored?: (bytes: number) => void;
}

/**
 * Turns streams into stored packs. One buffer is filled while others are sealed by the worker threads and put; when all
 * buffers are under way, reading waits. The first failure of a seal or a put is thrown by the next call.
 */
export class Shipper {
  readonly #parts: ShipperParts;
  readonly #free: ArrayBuffer[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #buffersLeft: number;
  #current: { buffer: PackBuffer; number: number } | undefined;
  #failure: { readonly error: unknown } | undefined;
  #proven = false;
  /** Names of the chunks in the first pack, in order. */
  #first: string[] = [];
  /** Plaintext bytes of chunks that were not known. */
  newBytes = 0;
  /** Bytes of packs put. */
  storedBytes = 0;
  packCount = 0;

  constructor(parts: ShipperParts) {
    this.#parts = parts;
    // One being filled, and one for every thread, from there to the wire.
    this.#buffersLeft = parts.pool.size + 1;
  }

  /** Read `data` to its end; what `lookup` does not know goes into packs. `onChunk` runs after each chunk. */
  async ship(
    data: AsyncIterable<Uint8Array>,
    cutter: ContentCutter | FixedCutter,
    lookup: ChunkLookup,
    onChunk: (chunk: ChunkRef) => Promise<void> | void,
  ): Promise<void> {
    let buffer = await this.#room();
    try {
      for await (const view of data) {
        this.#parts.signal.throwIfAborted();
        let start = 0;
        for (let length = cutter.next(view, start); length !== -1; length = cutter.next(view, start)) {
          buffer.append(view.subarray(start, start + length));
          start += length;
          await onChunk(this.#endChunk(buffer, lookup));
          buffer = await this.#room();
        }
        if (start < view.length) buffer.append(view.subarray(start));
        if (isBreathDue()) await breathe();
      }
      if (buffer.chunkSize > 0) await onChunk(this.#endChunk(buffer, lookup));
    } finally {
      cutter.reset();
      buffer.dropChunk();
    }
  }

  /**
   * Everything shipped so far is in the store when this returns, and every pack has its name. The buffers are given back:
   * what comes next, a manifest, needs room as well.
   */
  async flush(): Promise<void> {
    if (this.#current && this.#current.buffer.used > 0) this.#send();
    await Promise.all(this.#underWay);
    this.throwIfFailed();
    for (const memory of this.#free.splice(0)) {
      freeMemory(new Uint8Array(memory));
      this.#buffersLeft++;
    }
  }

  /** Throws what a seal or a put failed with: no source is to blame for it, and nothing more is stored. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Wait for whatever is under way, whatever becomes of it: called when the run fails. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  #endChunk(buffer: PackBuffer, lookup: ChunkLookup): ChunkRef {
    const size = buffer.chunkSize;
    const id = buffer.chunkId();
    const key = Buffer.from(id, "hex");
    const known = lookup.get(key);
    if (known !== undefined) {
      buffer.dropChunk();
      return { pack: known, id, size };
    }
    const pack = this.#number();
    buffer.keepChunk(id);
    if (!this.#proven) this.#first.push(id);
    lookup.set(key, pack);
    this.newBytes += size;
    return { pack, id, size };
  }

  #number(): number {
    if (!this.#current) throw new Error("no pack is being filled");
    if (this.#current.number === -1) this.#current.number = this.#parts.packs.reserve();
    return this.#current.number;
  }

  /** The buffer to fill, with room for a chunk of any size. */
  async #room(): Promise<PackBuffer> {
    if (this.#current && this.#isFull(this.#current.buffer)) this.#send();
    if (!this.#current) {
      const memory = await this.#memory();
      this.#current = { buffer: new PackBuffer(memory), number: -1 };
    }
    return this.#current.buffer;
  }

  #isFull(buffer: PackBuffer): boolean {
    return !buffer.hasRoom || (!this.#proven && buffer.used >= FIRST_PACK);
  }

  async #memory(): Promise<ArrayBuffer> {
    for (;;) {
      this.throwIfFailed();
      this.#parts.signal.throwIfAborted();
      const free = this.#free.pop();
      if (free) return free;
      if (this.#buffersLeft > 0) {
        this.#buffersLeft--;
        return new ArrayBuffer(PACK_BUFFER_SIZE);
      }
      await Promise.race(this.#underWay);
    }
  }

  #send(): void {
    if (!this.#current) return;
    const { buffer, number } = this.#current;
    this.#current = undefined;
    const job = this.#sealAndPut(buffer, number, { signal: this.#parts.signal })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#underWay.delete(job));
    this.#underWay.add(job);
  }

  async #sealAndPut(buffer: PackBuffer, number: number, how: Cancel): Promise<void> {
    const { store, policyName, pool, packs, recipients } = this.#parts;
    const prove = this.#proven ? undefined : this.#first;
    this.#proven = true;
    const key = await newSealKey(recipients);
    const job = {
      kind: "seal",
      memory: buffer.memory,
      used: buffer.finish(),
      key,
      level: ZSTD_LEVEL,
      prove,
    } as const;
    const { memory, size, sha256 } = await pool.seal(job, how);
    await store.put(packKey(policyName, sha256), new Uint8Array(memory, 0, size), { ...how, sha256 });
    packs.name(number, { sha256, size });
    this.#free.push(memory);
    this.storedBytes += size;
    this.packCount++;
    this.#parts.onStored?.(size);
  }
}
