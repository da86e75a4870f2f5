import { createHash } from "node:crypto";
import type { Cancel } from "../../src/lib/cancel.ts";
import { type ChunkRef, type EntryHead, isSafePath, type ManifestEntry } from "../../src/snapshot/entry.ts";
import { contentSize } from "../../src/snapshot/holes.ts";
import type { SourceSink } from "../../src/source/source.ts";

const CUT = 1024 * 1024;

/** One entry as a source handed it over; `bytes` are its whole content, undefined when nothing was read. */
export interface CollectedEntry extends ManifestEntry {
  readonly bytes: Buffer | undefined;
  /** How it came: read with this cutting, kept without reading, or added without content. */
  readonly how: "content" | "fixed" | "kept" | "added";
}

export interface CollectingSink extends SourceSink {
  /** In the order they came. */
  readonly entries: readonly CollectedEntry[];
  readonly notes: readonly string[];
  /** The entry of this path; throws when there is none. */
  entry(path: string): CollectedEntry;
  /** Its content without its holes; throws when nothing was read. */
  bytes(path: string): Buffer;
  /** Entries as a next run's `previous` would yield them. */
  manifest(): ManifestEntry[];
}

/**
 * A SourceSink in memory for tests. It is as strict as the real one: paths are safe and ascend by their bytes, and a
 * view is copied before the next pull. Chunk ids are SHA-256 of cuts of 1 MiB; all of them are in pack 0.
 * `keepable` decides what `keep` answers (default: everything that `previous` holds under this path).
 */
export function collectingSink(
  previous: readonly ManifestEntry[] = [],
  keepable: (entry: ManifestEntry) => boolean = (entry) =>
    previous.some((old) => old.path.equals(entry.path)),
): CollectingSink {
  const entries: CollectedEntry[] = [];
  const notes: string[] = [];
  const claim = (entry: EntryHead): void => {
    if (!isSafePath(entry.path)) throw new Error(`unsafe path ${JSON.stringify(entry.path.toString())}`);
    const last = entries.at(-1);
    if (last !== undefined && Buffer.compare(last.path, entry.path) >= 0) {
      throw new Error(`path ${entry.path.toString()} came after ${last.path.toString()}`);
    }
  };
  const find = (path: string): CollectedEntry => {
    const found = entries.find((entry) => entry.path.equals(Buffer.from(path)));
    if (found === undefined) throw new Error(`no entry ${path}`);
    return found;
  };
  return {
    entries,
    notes,
    entry: find,
    bytes: (path) => {
      const { bytes } = find(path);
      if (bytes === undefined) throw new Error(`${path} was not read`);
      return bytes;
    },
    manifest: () => entries.map(({ bytes: _bytes, how: _how, ...entry }) => entry),
    previous: async function* () {
      yield* previous;
    },
    keep: (entry) => {
      if (!keepable(entry)) return false;
      claim(entry);
      entries.push({ ...entry, bytes: undefined, how: "kept" });
      return true;
    },
    add: (entry) => {
      claim(entry);
      entries.push({ ...entry, size: 0, chunks: [], bytes: undefined, how: "added" });
    },
    file: async (entry, data, how) => {
      claim(entry);
      const bytes = await gather(data, how);
      claim(entry); // nothing may overtake while this one is read
      const chunks = cut(bytes);
      const size = contentSize({ chunks, holes: entry.holes });
      entries.push({ ...entry, size, chunks, bytes, how: how.cutting });
      return { size, chunks };
    },
    drop: async (paths) => {
      const isDropped = (path: Buffer | undefined) => paths.some((dropped) => path && dropped.equals(path));
      const links = entries.filter(({ type, target }) => type === "hardlink" && isDropped(target));
      const kept = entries.filter((entry) => !isDropped(entry.path) && !links.includes(entry));
      entries.splice(0, entries.length, ...kept);
      return links.map(({ path }) => path);
    },
    note: (text) => {
      notes.push(text);
    },
  };
}

async function gather(data: AsyncIterable<Uint8Array>, how: Cancel): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const view of data) {
    how.signal.throwIfAborted();
    parts.push(Buffer.from(view));
  }
  return Buffer.concat(parts);
}

function cut(bytes: Buffer): ChunkRef[] {
  const chunks: ChunkRef[] = [];
  for (let at = 0; at < bytes.length; at += CUT) {
    const piece = bytes.subarray(at, at + CUT);
    chunks.push({ pack: 0, id: createHash("sha256").update(piece).digest("hex"), size: piece.length });
  }
  return chunks;
}
