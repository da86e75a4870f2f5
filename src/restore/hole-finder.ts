import { hash } from "node:crypto";
import type { ChunkRef } from "../snapshot/entry.ts";
import type { DataSegment } from "./tar-writer.ts";

/** Tells chunks of nothing but zeros by their names, so that the holes of a sparse file are neither fetched nor written. */
export class HoleFinder {
  readonly #names = new Map<number, string>();

  /** The chunks that hold data, and where they lie in the file. */
  split(chunks: readonly ChunkRef[], size: number): { data: ChunkRef[]; segments: DataSegment[] } {
    const data: ChunkRef[] = [];
    const segments: DataSegment[] = [];
    let at = 0;
    let open: { offset: number; size: number } | undefined;
    for (const chunk of chunks) {
      if (chunk.id === this.#nameOfZeros(chunk.size)) {
        open = undefined;
      } else {
        data.push(chunk);
        if (!open) {
          open = { offset: at, size: 0 };
          segments.push(open);
        }
        open.size += chunk.size;
      }
      at += chunk.size;
    }
    if (!open) segments.push({ offset: size, size: 0 }); // GNU tar takes the file's end from the last segment
    return { data, segments };
  }

  #nameOfZeros(size: number): string {
    const known = this.#names.get(size) ?? hash("sha256", Buffer.alloc(size), "hex");
    this.#names.set(size, known);
    return known;
  }
}
