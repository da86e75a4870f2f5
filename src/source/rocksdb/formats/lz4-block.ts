const MIN_MATCH = 4;
/** A byte makes a match longer by 255. */
const MOST_GROWTH = 255;

/** Decode one raw LZ4 block of known size (LZ4 block format 1.6). Throws RangeError when it is malformed. */
export function decodeLz4(packed: Buffer, size: number): Buffer {
  const out = roomFor(size, packed);
  let from = 0;
  let to = 0;
  const byte = () => {
    const value = packed[from++];
    if (value === undefined) throw new RangeError("lz4: ends early");
    return value;
  };
  const extended = (start: number) => {
    let length = start;
    if (start === 15) for (let more = 255; more === 255; length += more) more = byte();
    return length;
  };
  while (from < packed.length) {
    const token = byte();
    const literals = extended(token >> 4);
    if (from + literals > packed.length || to + literals > size)
      throw new RangeError("lz4: too many literals");
    packed.copy(out, to, from, from + literals);
    from += literals;
    to += literals;
    if (from === packed.length) break; // the last sequence has no match
    const distance = byte() | (byte() << 8);
    const length = extended(token & 15) + MIN_MATCH;
    if (distance === 0 || distance > to || to + length > size)
      throw new RangeError("lz4: a match is out of bounds");
    for (const end = to + length; to < end; to++) out[to] = out[to - distance] as number; // may overlap itself
  }
  if (to !== size) throw new RangeError("lz4: too short");
  return out;
}

function roomFor(size: number, packed: Buffer): Buffer {
  if (size > MOST_GROWTH * packed.length) throw new RangeError("lz4: too large");
  return Buffer.alloc(size);
}
