import { zstdCompressSync } from "node:zlib";
import { crc32c, maskCrc } from "../../src/source/rocksdb/formats/crc32c.ts";

/** Writes RocksDB's formats by hand, for tests of the readers: what the real library never writes, too. */

const BLOCK = 32 * 1024;

/** By whether a piece is its record's first, and its last. */
const TYPES: Readonly<Record<string, number>> = {
  "true-true": 1,
  "true-false": 2,
  "false-false": 3,
  "false-true": 4,
};

export interface LogShape {
  /** Recyclable records repeat this log number. */
  readonly recyclable?: number;
}

export class LogBuilder {
  readonly #parts: Buffer[] = [];
  readonly #recyclable: number | undefined;
  #size = 0;

  constructor(shape: LogShape = {}) {
    this.#recyclable = shape.recyclable;
  }

  get size(): number {
    return this.#size;
  }

  /** One physical record of any type; padding goes before it as RocksDB would put it. */
  physical(type: number, payload: Buffer, how: { number?: number | undefined } = {}): this {
    const tail = Buffer.alloc(how.number === undefined ? 1 : 5, type);
    if (how.number !== undefined) tail.writeUInt32LE(how.number, 1);
    const head = Buffer.alloc(6);
    head.writeUInt32LE(maskCrc(crc32c(payload, 0, payload.length, crc32c(tail))));
    head.writeUInt16LE(payload.length, 4);
    return this.raw(Buffer.concat([head, tail, payload]));
  }

  /** A logical record, in as many pieces as its blocks ask for. */
  record(payload: Buffer): this {
    const header = this.#recyclable === undefined ? 7 : 11;
    const pieces: Buffer[] = [];
    for (let rest = payload, at = this.#size; pieces.length === 0 || rest.length > 0; ) {
      if (BLOCK - (at % BLOCK) < header) at += BLOCK - (at % BLOCK);
      const piece = rest.subarray(0, BLOCK - (at % BLOCK) - header);
      pieces.push(piece);
      rest = rest.subarray(piece.length);
      at += header + piece.length;
    }
    pieces.forEach((piece, index) => {
      const room = BLOCK - (this.#size % BLOCK);
      if (room < header) this.raw(Buffer.alloc(room));
      const type = TYPES[`${index === 0}-${index === pieces.length - 1}`] as number;
      this.physical(this.#recyclable === undefined ? type : type + 4, piece, { number: this.#recyclable });
    });
    return this;
  }

  /** A record that the compression record before it promises to be zstd. */
  batch(sequence: bigint, count: number, how: { zstd?: boolean; body?: Buffer } = {}): this {
    const head = Buffer.alloc(12);
    head.writeBigUInt64LE(sequence);
    head.writeUInt32LE(count, 8);
    const batch = Buffer.concat([head, how.body ?? Buffer.from("operations")]);
    return this.record(how.zstd === true ? zstdCompressSync(batch) : batch);
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export function varint(value: number | bigint): Buffer {
  const out: number[] = [];
  let left = BigInt(value);
  for (; left >= 0x80n; left >>= 7n) out.push(Number(left & 0x7fn) | 0x80);
  out.push(Number(left));
  return Buffer.from(out);
}

export function prefixed(bytes: Buffer | string): Buffer {
  const content = Buffer.from(bytes);
  return Buffer.concat([varint(content.length), content]);
}

/** A version edit from its fields: numbers become varints. */
export function edit(...fields: readonly (number | bigint | Buffer)[]): Buffer {
  return Buffer.concat(fields.map((field) => (Buffer.isBuffer(field) ? field : varint(field))));
}

/** Tag 103 with a unique id. */
export function tableField(
  level: number,
  number: number,
  size: number,
  more: readonly Buffer[] = [],
): Buffer {
  const head = edit(103, level, number, size, prefixed("smallest"), prefixed("largest"), 1, 2);
  return Buffer.concat([head, ...more, varint(1)]);
}
