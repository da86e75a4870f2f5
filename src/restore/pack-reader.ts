import { DropsError, isFailure } from "../lib/errors.ts";
import { fetchPack, newPackSlot } from "../pack/fetch-pack.ts";
import type { PackInfo, PackTable } from "../pack/pack-table.ts";
import type { PackPool } from "../pack/pool.ts";
import type { TarChunk } from "../pack/tar-bytes.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { packKey } from "../store/keys.ts";
import type { ChunkLedger } from "./chunk-ledger.ts";
import type { ScratchFile } from "./scratch-file.ts";

/** Packs that are being fetched, being opened or open at the same time. */
const SLOTS = 4;
/** Packs that stay open beside the one that is read, before what is still needed of them goes to the scratch file. */
const KEPT_OPEN = 2;
const NOWHERE = 2 ** 32 - 1;
export interface PackReaderParts {
  readonly store: BlobReader;
  readonly policyName: string;
  readonly identities: readonly string[];
  readonly pool: PackPool;
  readonly packs: PackTable;
  readonly ledger: ChunkLedger;
  /** Packs in the order in which they are first needed. */
  readonly order: readonly number[];
  readonly openScratch: () => Promise<ScratchFile>;
  /** The end of a sentence about a pack that cannot be read: what is lost with it. */
  readonly lostWith: (pack: number) => string;
  /** A pack was fetched and opened; its stored size. */
  readonly onPack?: (bytes: number) => void;
  readonly signal: AbortSignal;
}

interface OpenPack {
  readonly number: number;
  readonly slot: SharedArrayBuffer;
  readonly tar: Uint8Array;
  readonly chunks: readonly number[];
  /** Uses of its chunks that are still to come. */
  uses: number;
}

/**
 * Hands out chunks whose names were checked. Packs are fetched ahead, in parallel and each once, and opened by worker
 * threads; chunks that are needed long after the others of their pack wait in a scratch file. Closing it stops everything.
 */
export class PackReader implements AsyncDisposable {
  readonly #parts: PackReaderParts;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #coming = new Map<number, Promise<OpenPack>>();
  readonly #open = new Map<number, OpenPack>();
  /** By chunk: where it begins in its open pack, and how many uses are still to come. */
  readonly #offsets: Uint32Array;
  readonly #inScratch = new Map<number, number>();
  readonly #usesLeft: Uint32Array;
  #scratch: ScratchFile | undefined;
  readonly #freeSlots: SharedArrayBuffer[] = [];
  #slots = 0;
  #next = 0;
  packsRead = 0;
  storedBytes = 0;
  /** Bytes that went through the scratch file. */
  spilledBytes = 0;

  constructor(parts: PackReaderParts) {
    this.#parts = parts;
    this.#offsets = new Uint32Array(parts.ledger.length).fill(NOWHERE);
    this.#usesLeft = new Uint32Array(parts.ledger.length);
    this.#signal = AbortSignal.any([parts.signal, this.#stop.signal]);
  }

  /**
   * The bytes of a chunk, by its number in the ledger; valid until `release`. One at a time.
   *
   * @throws DropsError data/missing or data/damaged naming the pack and what is lost with it; key/wrong; store failures
   */
  async read(chunk: number): Promise<Uint8Array> {
    const { ledger } = this.#parts;
    const number = ledger.packOf(chunk);
    const size = ledger.sizeOf(chunk);
    const at = this.#inScratch.get(chunk);
    if (at !== undefined && this.#scratch) return this.#scratch.read(at, size);
    const pack = this.#open.get(number) ?? (await this.#arrival(number));
    const offset = this.#offsets[chunk] as number;
    return pack.tar.subarray(offset, offset + size);
  }

  /** One use of a chunk is over. */
  release(chunk: number): void {
    const left = (this.#usesLeft[chunk] ?? 0) - 1;
    this.#usesLeft[chunk] = left;
    if (left === 0) this.#inScratch.delete(chunk);
    const pack = this.#open.get(this.#parts.ledger.packOf(chunk));
    if (pack && --pack.uses === 0) this.#forget(pack);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DropsError("interrupted", "the reading of packs was stopped"));
    await Promise.allSettled(this.#coming.values());
    this.#open.clear();
    await this.#scratch?.[Symbol.asyncDispose]();
  }

  async #arrival(number: number): Promise<OpenPack> {
    this.#fetchAhead();
    const coming = this.#coming.get(number);
    if (!coming) throw new Error(`pack ${number} is asked for out of the planned order`);
    const pack = await coming;
    this.#coming.delete(number);
    for (const old of [...this.#open.values()].slice(0, -(KEPT_OPEN - 1))) await this.#spill(old);
    this.#open.set(number, pack);
    this.#fetchAhead();
    return pack;
  }

  /** In order, so that the pack that is read next is never without a slot: at most two of them are open. */
  #fetchAhead(): void {
    const { order, packs } = this.#parts;
    for (;;) {
      const number = order[this.#next];
      const info = number === undefined ? undefined : packs.get(number);
      const slot = info && this.#slot();
      if (number === undefined || !info || !slot) return;
      this.#next++;
      const coming = this.#fetch(number, info, slot);
      coming.catch(() => {}); // thrown in its turn, by `read`
      this.#coming.set(number, coming);
    }
  }

  #slot(): SharedArrayBuffer | undefined {
    if (this.#freeSlots.length === 0 && this.#slots < SLOTS) {
      this.#slots++;
      return newPackSlot();
    }
    return this.#freeSlots.pop();
  }

  async #fetch(number: number, info: PackInfo, slot: SharedArrayBuffer): Promise<OpenPack> {
    const { store, policyName, pool, identities } = this.#parts;
    const how = { signal: this.#signal };
    try {
      await fetchPack(store, packKey(policyName, info.sha256), info, slot, how);
      const { tar, chunks } = await pool.open({ kind: "open", slot, ...info, identities }, how);
      const pack = this.#located({ number, slot, tar }, chunks);
      this.packsRead++;
      this.storedBytes += info.size;
      this.#parts.onPack?.(info.size);
      return pack;
    } catch (error) {
      throw this.#explained(error, number, info);
    }
  }

  #located(pack: Pick<OpenPack, "number" | "slot" | "tar">, inTar: readonly TarChunk[]): OpenPack {
    const { ledger } = this.#parts;
    const { number } = pack;
    const chunks: number[] = [];
    let uses = 0;
    for (const { id, offset, size } of inTar) {
      const chunk = ledger.find(id);
      if (chunk === undefined || ledger.packOf(chunk) !== number || this.#offsets[chunk] !== NOWHERE)
        continue;
      if (ledger.sizeOf(chunk) !== size)
        throw new DropsError("data/damaged", `chunk ${id} has ${size} bytes and not ${ledger.sizeOf(chunk)}`);
      this.#offsets[chunk] = offset;
      this.#usesLeft[chunk] = ledger.usesOf(chunk);
      uses += ledger.usesOf(chunk);
      chunks.push(chunk);
    }
    const lacking = ledger.neededFrom(number) - chunks.length;
    if (lacking > 0)
      throw new DropsError(
        "data/damaged",
        `it lacks ${lacking} of the chunks that the manifest looks for in it`,
      );
    return { ...pack, chunks, uses };
  }

  /** What is still needed of a pack goes to disk, and its memory is free. */
  async #spill(pack: OpenPack): Promise<void> {
    this.#scratch ??= await this.#parts.openScratch();
    const { ledger } = this.#parts;
    const chunks = pack.chunks.filter((chunk) => (this.#usesLeft[chunk] ?? 0) > 0);
    const views = chunks.map((chunk) => {
      const offset = this.#offsets[chunk] as number;
      return pack.tar.subarray(offset, offset + ledger.sizeOf(chunk));
    });
    let at = await this.#scratch.append(views);
    for (const chunk of chunks) {
      this.#inScratch.set(chunk, at);
      at += ledger.sizeOf(chunk);
      this.spilledBytes += ledger.sizeOf(chunk);
    }
    this.#forget(pack);
  }

  #forget(pack: OpenPack): void {
    this.#open.delete(pack.number);
    this.#freeSlots.push(pack.slot);
    this.#fetchAhead();
  }

  #explained(error: unknown, number: number, info: PackInfo): unknown {
    this.#parts.signal.throwIfAborted();
    if (!isFailure(error, "store/missing", "data/damaged")) return error;
    const missing = error.code === "store/missing";
    const problem = missing ? `is missing from ${this.#parts.store.label}` : `is damaged (${error.message})`;
    return new DropsError(
      missing ? "data/missing" : "data/damaged",
      `pack ${info.sha256} ${problem}: ${this.#parts.lostWith(number)}`,
      {
        hint: "drops verify --read-data  finds other damage; an earlier snapshot may be whole",
        cause: error,
      },
    );
  }
}
