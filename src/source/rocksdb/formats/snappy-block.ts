/** A copy of 64 bytes takes three. */
const MOST_GROWTH = 22;

/**
 * Decode one Snappy block (google/snappy, format_description.txt) that inflates to at most `max` bytes. Throws RangeError
 * when it is malformed or larger.
 */
export function decodeSnappy(packed: Buffer, max: number): Buffer {
  const input = new Input(packed);
  const size = input.length();
  if (size > max || size > MOST_GROWTH * packed.length) throw new RangeError("snappy: too large");
  const out = Buffer.alloc(size);
  let to = 0;
  while (!input.done) {
    const tag = input.little(1);
    const { length, distance } = element(tag, input);
    if (to + length > size) throw new RangeError("snappy: longer than it says");
    if (distance === undefined) input.take(length).copy(out, to);
    else copyBack(out, to, length, distance);
    to += length;
  }
  if (to !== size) throw new RangeError("snappy: too short");
  return out;
}

/** A literal, or a copy of what was written `distance` bytes before. */
function element(tag: number, input: Input): { length: number; distance?: number } {
  const short = tag >> 2;
  switch (tag & 3) {
    case 0:
      return { length: 1 + (short < 60 ? short : input.little(short - 59)) };
    case 1:
      return { length: 4 + (short & 7), distance: ((tag >> 5) << 8) | input.little(1) };
    case 2:
      return { length: 1 + short, distance: input.little(2) };
    default:
      return { length: 1 + short, distance: input.little(4) };
  }
}

/** Byte by byte: it may overlap itself. */
function copyBack(out: Buffer, to: number, length: number, distance: number): void {
  if (distance === 0 || distance > to) throw new RangeError("snappy: a copy is out of bounds");
  for (let at = to; at < to + length; at++) out[at] = out[at - distance] as number;
}

class Input {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw new RangeError("snappy: ends early");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  little(count: number): number {
    return this.take(count).readUIntLE(0, count);
  }

  /** The varint that a block begins with. */
  length(): number {
    let size = 0;
    for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
      const byte = this.little(1);
      size += (byte & 0x7f) * scale;
      if (byte < 0x80) return size;
    }
    throw new RangeError("snappy: the length is absurd");
  }
}
