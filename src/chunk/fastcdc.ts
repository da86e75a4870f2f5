/**
 * Content-defined chunking: FastCDC (Xia et al., USENIX ATC 2016) with normalised chunking, level 2, over a 32-bit gear
 * hash. Frozen: test/golden/fastcdc.json holds cuts of known inputs; a change here makes every repository's next backup whole.
 */
export interface ChunkerParameters {
  readonly algorithm: "fastcdc-gear32-v1";
  /** Bytes. */
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

export const CHUNKER: ChunkerParameters = {
  algorithm: "fastcdc-gear32-v1",
  min: 256 * 1024,
  average: 1024 * 1024,
  max: 4 * 1024 * 1024,
};

/** Two bits more before the average size, two fewer after it: sizes gather around the average. */
const NORMALISATION = 2;

const GEAR = gearTable();

/**
 * Finds cuts in a stream that arrives in pieces. The gear hash depends on the last 32 bytes only, so all that is
 * carried between pieces is one number and the length of the chunk so far.
 */
export class ContentCutter {
  readonly #parameters: ChunkerParameters;
  readonly #strict: number;
  readonly #loose: number;
  #hash = 0;
  #length = 0;

  constructor(parameters: ChunkerParameters = CHUNKER) {
    const bits = Math.round(Math.log2(parameters.average));
    this.#parameters = parameters;
    this.#strict = topBits(bits + NORMALISATION);
    this.#loose = topBits(bits - NORMALISATION);
  }

  /** How many bytes of `piece` from `start` on end the current chunk, or -1 when the chunk goes on after the piece. */
  next(piece: Uint8Array, start: number): number {
    const { min, average, max } = this.#parameters;
    const before = this.#length;
    const room = piece.length - start;
    // Bytes below the minimum cannot end a chunk: only the last 32 of them matter to the hash.
    let at = Math.min(Math.max(0, min - 32 - before), room);
    at = this.#scan(piece, start, at, Math.min(min - before, room), 0, false);
    if (before + at >= min) {
      const strictEnd = Math.min(average - before, room);
      const cut = this.#cut(piece, start, at, strictEnd, this.#strict);
      if (cut !== -1) return cut;
      at = Math.max(at, strictEnd);
      const looseEnd = Math.min(max - before, room);
      const late = this.#cut(piece, start, at, looseEnd, this.#loose);
      if (late !== -1) return late;
      at = Math.max(at, looseEnd);
      if (before + at >= max) return this.#end(at);
    }
    this.#length = before + room;
    return -1;
  }

  /** Forget the chunk in progress: the next piece starts a new one. */
  reset(): void {
    this.#hash = 0;
    this.#length = 0;
  }

  #cut(piece: Uint8Array, start: number, from: number, to: number, mask: number): number {
    if (from >= to) return -1;
    const found = this.#scan(piece, start, from, to, mask, true);
    return found === -1 ? -1 : this.#end(found);
  }

  /** Roll the hash over [from, to); with `stop`, the end of the first position whose masked hash is zero, or -1. */
  #scan(piece: Uint8Array, start: number, from: number, to: number, mask: number, stop: boolean): number {
    let hash = this.#hash;
    const end = start + to;
    for (let at = start + from; at < end; at++) {
      hash = ((hash << 1) + (GEAR[piece[at] as number] as number)) | 0;
      if (stop && (hash & mask) === 0) {
        this.#hash = hash;
        return at + 1 - start;
      }
    }
    this.#hash = hash;
    return stop ? -1 : Math.max(from, to);
  }

  #end(length: number): number {
    this.reset();
    return length;
  }
}

function topBits(count: number): number {
  return (-1 << (32 - count)) | 0;
}

/** 256 fixed random words: splitmix32 from a fixed seed, so that the table needs no listing. */
function gearTable(): Int32Array {
  const table = new Int32Array(256);
  let state = 0x64726f70; // "drop"
  for (let index = 0; index < 256; index++) {
    state = (state + 0x9e3779b9) | 0;
    let word = state ^ (state >>> 16);
    word = Math.imul(word, 0x21f0aaad);
    word ^= word >>> 15;
    word = Math.imul(word, 0x735a2d97);
    table[index] = word ^ (word >>> 15);
  }
  return table;
}
