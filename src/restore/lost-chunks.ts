import type { Cancel } from "../lib/cancel.ts";
import type { PackInfo } from "../pack/pack-table.ts";
import type { ChunkRef, Hole, ManifestEntry } from "../snapshot/entry.ts";
import { piecesOf } from "../snapshot/holes.ts";
import { assessPacks, type PackParts } from "./assess-packs.ts";
import type { ChunkLedger } from "./chunk-ledger.ts";
import type { OpenSource } from "./open-source.ts";
import { findOtherCopies, type OtherCopies, type OtherState } from "./other-copies.ts";
import type { LostPack } from "./report.ts";

/** Which chunks cannot be had, and where the others are taken from. Numbers are the ledger's. */
export class LostChunks {
  readonly lost = new Set<number>();
  readonly lostPacks: LostPack[] = [];
  readonly ledger: ChunkLedger;
  readonly #opened: OpenSource;
  moved = 0;

  constructor(ledger: ChunkLedger, opened: OpenSource) {
    this.ledger = ledger;
    this.#opened = opened;
  }

  async assess(numbers: readonly number[], parts: PackParts, how: Cancel): Promise<void> {
    const { packs } = this.#opened;
    const infos = numbers.flatMap((number) => packs.get(number) ?? []);
    for (let chunk = 0; chunk < this.ledger.length; chunk++) this.lost.add(chunk);
    for await (const { info, problem, chunks } of assessPacks(infos.filter(isStored), parts, how)) {
      if (problem !== undefined) this.lostPacks.push({ pack: info.sha256, problem });
      const number = packs.intern(info);
      for (const [id, size] of chunks) this.#found(id, size, number);
    }
  }

  /** Take what is lost from packs of other snapshots, as far as they have it. */
  async replace(states: readonly OtherState[], parts: PackParts, how: Cancel): Promise<OtherCopies> {
    if (this.lost.size === 0) return { packs: new Map(), files: new Map() };
    const wanted = await this.#wanted(how);
    const bad = new Set(this.lostPacks.map(({ pack }) => pack));
    const copies = await findOtherCopies(states, { ...wanted, packs: bad }, parts, how);
    for (let choice = 0; this.lost.size > 0; choice++) {
      const packs = this.#nextPacks(copies.packs, choice);
      if (packs.length === 0) break;
      for await (const { info, chunks } of assessPacks(packs, parts, how)) {
        const number = this.#opened.packs.intern(info);
        for (const [id, size] of chunks) this.#take(id, size, number);
      }
    }
    return copies;
  }

  /** For each chunk that is still lost the next pack that should have it, each pack once. */
  #nextPacks(byChunk: OtherCopies["packs"], choice: number): readonly PackInfo[] {
    const packs = new Map<string, PackInfo>();
    for (const [id, infos] of byChunk) {
      const info = infos[choice];
      if (info !== undefined && this.isLost(id)) packs.set(info.sha256, info);
    }
    return [...packs.values()];
  }

  #found(id: string, size: number, pack: number): void {
    const chunk = this.ledger.find(id);
    if (chunk === undefined || this.ledger.packOf(chunk) !== pack) return;
    if (this.ledger.sizeOf(chunk) === size) this.lost.delete(chunk);
  }

  #take(id: string, size: number, pack: number): void {
    const chunk = this.ledger.find(id);
    if (chunk === undefined || !this.lost.has(chunk) || this.ledger.sizeOf(chunk) !== size) return;
    this.ledger.move(chunk, pack);
    this.lost.delete(chunk);
    this.moved++;
  }

  async #wanted(how: Cancel): Promise<{ chunks: ReadonlySet<string>; files: ReadonlySet<string> }> {
    const chunks = new Set<string>();
    const files = new Set<string>();
    const { entries } = await this.#opened.manifest.entries(how);
    for await (const entry of entries) {
      for (const { id } of entry.chunks) {
        if (!this.isLost(id)) continue;
        chunks.add(id);
        files.add(entry.path.toString("latin1"));
      }
    }
    return { chunks, files };
  }

  /** An entry with its chunks where they are to be had; holes in the place of what is lost. */
  contentOf(entry: ManifestEntry): ManifestEntry {
    const chunks: ChunkRef[] = [];
    const holes: Hole[] = [];
    for (const { at, chunk, hole } of piecesOf(entry)) {
      const known = chunk && this.ledger.find(chunk.id);
      if (hole) holes.push(hole);
      else if (known === undefined) chunks.push(chunk);
      else if (this.lost.has(known)) holes.push({ offset: at, size: chunk.size });
      else chunks.push({ ...chunk, pack: this.ledger.packOf(known) });
    }
    return { ...entry, chunks, holes: holes.length === 0 ? undefined : holes };
  }

  /** Zeros of a sparse file are in no ledger: nothing of them is fetched. */
  isLost(id: string): boolean {
    const chunk = this.ledger.find(id);
    return chunk !== undefined && this.lost.has(chunk);
  }
}

/** A list that is lost left its packs without names. */
function isStored({ size }: PackInfo): boolean {
  return size > 0;
}
