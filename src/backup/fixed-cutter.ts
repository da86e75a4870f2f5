import { MAX_CHUNK } from "../pack/pack-buffer.ts";

/** Cuts at fixed offsets: for files that never change in place, where looking for content boundaries buys nothing. */
export class FixedCutter {
  #length = 0;

  /** As ContentCutter.next. */
  next(piece: Uint8Array, start: number): number {
    const missing = MAX_CHUNK - this.#length;
    if (piece.length - start < missing) {
      this.#length += piece.length - start;
      return -1;
    }
    this.#length = 0;
    return missing;
  }

  reset(): void {
    this.#length = 0;
  }
}
