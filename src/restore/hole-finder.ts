import { hash } from "node:crypto";
import { CHUNKER } from "../chunk/fastcdc.ts";
import type { ChunkRef, ManifestEntry } from "../snapshot/entry.ts";
import { piecesOf } from "../snapshot/holes.ts";
import type { DataSegment } from "../source/files/tar-sparse.ts";

/** To name zeros costs as much as to hash them: after so many bytes, only those of a chunk's largest size are looked for. */
const MAX_HASHED = 128 * 1024 * 1024;

/**
 * Tells where a sparse file has data: what its entry does not call a hole, without chunks of nothing but zeros, which are told
 * by their names. So holes are neither fetched nor written.
 */
export class HoleFinder {
  readonly #names = new Map<number, string>();
  #hashed = 0;

  /** The chunks that hold data, and where they lie in the file. */
  split(entry: ManifestEntry): { data: ChunkRef[]; segments: DataSegment[] } {
    const data: ChunkRef[] = [];
    const segments: DataSegment[] = [];
    let open: { offset: number; size: number } | undefined;
    for (const { at, chunk } of piecesOf(entry)) {
      if (chunk === undefined || this.#isZeros(chunk)) {
        open = undefined;
        continue;
      }
      data.push(chunk);
      if (!open) {
        open = { offset: at, size: 0 };
        segments.push(open);
      }
      open.size += chunk.size;
    }
    if (!open) segments.push({ offset: entry.size, size: 0 }); // GNU tar takes the file's end from the last segment
    return { data, segments };
  }

  #isZeros({ id, size }: ChunkRef): boolean {
    let name = this.#names.get(size);
    if (name === undefined) {
      if (size > CHUNKER.max || (size < CHUNKER.max && this.#hashed >= MAX_HASHED)) return false;
      this.#hashed += size;
      name = hash("sha256", Buffer.alloc(size), "hex");
      this.#names.set(size, name);
    }
    return id === name;
  }
}
