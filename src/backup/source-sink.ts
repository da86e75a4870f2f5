import { ContentCutter } from "../chunk/fastcdc.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { ChunkRef, EntryHead, Hole, ManifestEntry } from "../snapshot/entry.ts";
import { ManifestWriter } from "../snapshot/manifest-writer.ts";
import { requireRecordable } from "../snapshot/recordable.ts";
import type { SourceSink } from "../source/source.ts";
import { FixedCutter } from "./fixed-cutter.ts";
import { runsBetween } from "./runs-between.ts";
import type { Shipper } from "./shipper.ts";
import type { SourceBase } from "./source-base.ts";

/** More notes than this are counted, not kept. */
const MAX_NOTES = 100;
const MAX_NOTE = 1000;

interface Unfinished {
  readonly head: EntryHead;
  readonly chunks: ChunkRef[];
  readonly holes: Hole[];
  size: number;
}

/** Collects one source: content to the shipper, entries to its manifest. */
export class ManifestSink implements SourceSink {
  readonly writer = new ManifestWriter();
  readonly #shipper: Shipper;
  readonly #base: SourceBase;
  readonly #how: Cancel;
  readonly #onChunk: (size: number) => Promise<void>;
  readonly #notes: string[] = [];
  #droppedNotes = 0;
  #unfinished: Unfinished | undefined;
  /** Bytes read from the host for this source. */
  readBytes = 0;
  /** Bytes of files that were carried over without being read. */
  keptBytes = 0;

  /** `onChunk` runs whenever a chunk has been taken in: the moment for a checkpoint. */
  constructor(
    parts: { shipper: Shipper; base: SourceBase; onChunk: (size: number) => Promise<void> },
    how: Cancel,
  ) {
    this.#shipper = parts.shipper;
    this.#base = parts.base;
    this.#onChunk = parts.onChunk;
    this.#how = how;
  }

  previous(): AsyncGenerator<ManifestEntry> {
    return this.#base.previous(this.#how);
  }

  keep(entry: ManifestEntry): boolean {
    const chunks = this.#base.locate(entry.chunks);
    if (!chunks) return false;
    this.writer.add({ ...entry, chunks }); // read from a manifest: it can be read again
    this.keptBytes += entry.size;
    return true;
  }

  add(entry: EntryHead): void {
    this.#record({ ...entry, size: 0, chunks: [] });
  }

  async file(
    entry: EntryHead,
    data: AsyncIterable<Uint8Array>,
    how: Cancel & { readonly cutting: "content" | "fixed" },
  ): Promise<{ size: number; chunks: readonly ChunkRef[] }> {
    const cutter = how.cutting === "content" ? new ContentCutter() : new FixedCutter();
    const file: Unfinished = { head: entry, chunks: [], holes: [], size: 0 };
    this.#unfinished = file;
    const lookup = await this.#base.index(how);
    const onChunk = async (chunk: ChunkRef) => {
      file.chunks.push(chunk);
      file.size += chunk.size;
      this.readBytes += chunk.size;
      await this.#onChunk(chunk.size);
    };
    let last = 0xff;
    async function* watched(): AsyncGenerator<Uint8Array> {
      for await (const view of data) {
        last = view.at(-1) ?? last;
        yield view;
      }
    }
    try {
      for (const { run, hole } of runsBetween(entry.holes ?? [], watched())) {
        await this.#shipper.ship(run, cutter, lookup, onChunk);
        if (hole === undefined) continue;
        file.holes.push(hole);
        file.size += hole.size;
      }
    } finally {
      this.#unfinished = undefined;
    }
    // zeros at the end may be in the place of what could not be read: the source learns of it at its own end
    this.#record({ ...entry, size: file.size, chunks: file.chunks }, last === 0);
    return file;
  }

  #record(entry: ManifestEntry, isDoubtful = false): void {
    requireRecordable(entry);
    this.writer.add(entry, isDoubtful);
  }

  drop(paths: readonly Buffer[]): Promise<readonly Buffer[]> {
    return this.writer.drop(paths);
  }

  /** Names of earlier manifests and lists that turned out to be damaged. */
  get unusable(): ReadonlySet<string> {
    return this.#base.unusable;
  }

  note(text: string): void {
    if (this.#notes.length < MAX_NOTES) this.#notes.push(text.slice(0, MAX_NOTE));
    else this.#droppedNotes++;
  }

  notes(): string[] {
    const dropped = this.#droppedNotes === 0 ? [] : [`and ${this.#droppedNotes} more notes`];
    return [...this.#base.notes, ...this.#notes, ...dropped];
  }

  /** The file that is being read, as far as it is stored: for a checkpoint. It is never taken for unchanged later. */
  unfinished(): ManifestEntry | undefined {
    if (!this.#unfinished || this.#unfinished.chunks.length === 0) return undefined;
    const { head, chunks, holes, size } = this.#unfinished;
    const dug = holes.length === 0 ? undefined : [...holes];
    return { ...head, same: undefined, size, holes: dug, chunks: [...chunks] };
  }

  /** Whether the entries are exactly those of the newest success. */
  isUnchanged(): boolean {
    return this.#base.digest !== undefined && this.#base.digest === this.writer.digest();
  }
}
