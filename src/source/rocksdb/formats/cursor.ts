import { DropsError } from "../../../lib/errors.ts";

/** Reads RocksDB's encodings (util/coding.h) from a buffer; every length is checked before it is believed. */
export class Cursor {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  /** `what` names the record in the message of the data/damaged that any read past the end throws. */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  get at(): number {
    return this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw this.damaged("it ends early");
    this.#at++;
    return value;
  }

  /** A varint32 or varint64 that must be a safe integer: file numbers, sizes, offsets, tags. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
    }
    throw this.damaged("a number in it is absurd");
  }

  /** A varint64 with all its bits: sequence numbers and times. */
  varintBig(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw this.damaged("a number in it is absurd");
  }

  skipVarint(): void {
    this.varintBig();
  }

  bytes(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw this.damaged("a length in it points past its end");
    const slice = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return slice;
  }

  /** Length-prefixed bytes, as a view. */
  prefixed(): Buffer {
    return this.bytes(this.varint());
  }

  damaged(why: string): DropsError {
    return new DropsError("data/damaged", `${this.#what} cannot be read: ${why}`);
  }
}
