import { ChunkIndex } from "../chunk/chunk-index.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { PackTable } from "../pack/pack-table.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { ChunkRef, ManifestEntry } from "../snapshot/entry.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { type LoadedManifest, loadSourceManifest } from "../snapshot/source-manifest.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { mergeEntries } from "./merge-entries.ts";

export interface BaseParts {
  readonly store: BlobReader;
  readonly policyName: string;
  readonly identities: readonly string[];
  readonly packs: PackTable;
  /** Stored size by name, of every pack that is listed and not condemned. */
  readonly listed: ReadonlyMap<string, number>;
  readonly recipients: string;
  /** Percent of a pack that must be in use for it to be known. */
  readonly minPackUse: number;
}

/**
 * What the store already holds of one source: the newest success and a newer checkpoint. Only packs that are listed with
 * the right size, are not condemned and are sealed to today's recipients count. A manifest that cannot be read counts as
 * none from there on, with a note: it is there to save work, and the backup is to make a good one. What it means for its own
 * snapshot is a verify's to say.
 */
export class SourceBase {
  readonly #parts: BaseParts;
  readonly #manifests: readonly LoadedManifest[];
  readonly #good = new Set<number>();
  #index: Promise<ChunkIndex> | undefined;
  /** The record of the newest success, when its manifest could be opened. */
  readonly success: { readonly record: SourceRecord; readonly manifest: LoadedManifest } | undefined;
  /** Names of manifests and lists that are not what they should be: nothing new may refer to them. */
  readonly unusable: ReadonlySet<string>;
  readonly #notes: Set<string>;
  #digest: string | undefined;

  private constructor(
    parts: BaseParts,
    success: SourceBase["success"],
    manifests: readonly LoadedManifest[],
    useless: { readonly notes: Set<string>; readonly names: ReadonlySet<string> },
  ) {
    this.#parts = parts;
    this.#manifests = manifests;
    this.success = success;
    this.unusable = useless.names;
    this.#notes = useless.notes;
    for (const manifest of manifests) {
      for (const number of manifest.numbers) if (this.#isListed(number)) this.#good.add(number);
    }
  }

  /** `snapshots` oldest first, all trusted. */
  static async load(
    parts: BaseParts,
    snapshots: readonly ListedSnapshot[],
    source: string,
    how: Cancel,
  ): Promise<SourceBase> {
    const notes = new Set<string>();
    const names = new Set<string>();
    const open = async (record: SourceRecord | undefined): Promise<LoadedManifest | undefined> => {
      if (!record || record.recipients !== parts.recipients) return undefined;
      try {
        return await loadSourceManifest(parts.store, parts.policyName, record, parts, how);
      } catch (error) {
        noteUseless(error, notes);
        for (const object of [record.manifest, record.list]) if (object) names.add(object.sha256);
        return undefined;
      }
    };
    const { success, checkpoint } = newestOf(snapshots, source);
    const whole = await open(success);
    const begun = await open(checkpoint);
    const manifests = [begun, whole].filter((manifest) => manifest !== undefined);
    return new SourceBase(parts, success && whole && { record: success, manifest: whole }, manifests, {
      notes,
      names,
    });
  }

  /** Why an earlier snapshot could not be used, as far as is known: its entries are read last. */
  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /** The line digest of the newest success, once `previous` was read to its end; never with a checkpoint on top. */
  get digest(): string | undefined {
    return this.#digest;
  }

  /** The entries of the newest success, overlaid by those of a newer checkpoint; as far as they can be read. */
  async *previous(how: Cancel): AsyncGenerator<ManifestEntry> {
    try {
      const [first, second] = await Promise.all(this.#manifests.map((manifest) => manifest.entries(how)));
      if (first && second) yield* mergeEntries(first.entries, second.entries);
      else if (first) yield* first.entries;
      if (this.success && !second) this.#digest = first?.digest();
    } catch (error) {
      noteUseless(error, this.#notes);
    }
  }

  /** The head of the newest success. */
  async head(how: Cancel): Promise<ManifestHead | undefined> {
    return (await this.success?.manifest.entries(how))?.head;
  }

  /** Every pack of the newest success may be referred to again. */
  isStored(): boolean {
    return this.success?.manifest.numbers.every((number) => this.#isListed(number)) ?? false;
  }

  /** Where each of these chunks lies now, or undefined when one of them is not known to be in the store. */
  locate(chunks: readonly ChunkRef[]): readonly ChunkRef[] | undefined {
    return chunks.every((chunk) => this.#good.has(chunk.pack)) ? chunks : undefined;
  }

  /** Chunk to pack; read from the manifests when first asked for, since an unchanged night never asks. */
  index(how: Cancel): Promise<ChunkIndex> {
    this.#index ??= this.#readIndex(how);
    return this.#index;
  }

  async #readIndex(how: Cancel): Promise<ChunkIndex> {
    const used = await this.#usedBytes(how);
    for (const [number, bytes] of used) {
      const size = this.#parts.packs.get(number)?.size ?? 0;
      if (bytes * 100 < size * this.#parts.minPackUse) this.#good.delete(number);
    }
    const index = new ChunkIndex();
    for await (const chunk of this.#chunks(how)) {
      if (this.#good.has(chunk.pack)) index.set(Buffer.from(chunk.id, "hex"), chunk.pack);
    }
    return index;
  }

  async #usedBytes(how: Cancel): Promise<Map<number, number>> {
    const used = new Map<number, number>();
    for await (const chunk of this.#chunks(how))
      used.set(chunk.pack, (used.get(chunk.pack) ?? 0) + chunk.size);
    return used;
  }

  async *#chunks(how: Cancel): AsyncGenerator<ChunkRef> {
    for (const manifest of this.#manifests) {
      try {
        for await (const entry of (await manifest.entries(how)).entries) yield* entry.chunks;
      } catch (error) {
        noteUseless(error, this.#notes);
      }
    }
  }

  #isListed(number: number): boolean {
    const pack = this.#parts.packs.get(number);
    return pack !== undefined && this.#parts.listed.get(pack.sha256) === pack.size;
  }
}

/** Throws what does not mean that the manifest is damaged, or not ours to open. */
function noteUseless(error: unknown, notes: Set<string>): void {
  if (!isFailure(error, "store/missing", "data/missing", "data/damaged", "key/wrong")) throw error;
  notes.add(`an earlier manifest is of no use, so what it knew is read again: ${error.message}`);
}

/** What the newest success holds of a source, and a newer checkpoint; `snapshots` oldest first. */
export function newestOf(snapshots: readonly ListedSnapshot[], source: string) {
  let success: SourceRecord | undefined;
  let checkpoint: SourceRecord | undefined;
  for (const { record } of snapshots) {
    const found = record.sources.find(({ name }) => name === source);
    if (!found?.manifest) continue;
    if (record.state === "checkpoint") {
      checkpoint = found;
    } else if (found.outcome === "stored" || found.outcome === "unchanged") {
      success = found;
      checkpoint = undefined;
    }
  }
  return { success, checkpoint };
}
