/**
 * The non-cryptographic hashes that RocksDB puts behind blocks, seed 0, low 32 bits: XXH32, XXH64 and XXH3 (xxHash 0.8).
 * 64-bit words are pairs of 32-bit halves: BigInt would be some fifty times slower.
 */

const PRIME32_1 = 0x9e3779b1;
const PRIME32_2 = 0x85ebca77;
const PRIME32_3 = 0xc2b2ae3d;
const PRIME32_4 = 0x27d4eb2f;
const PRIME32_5 = 0x165667b1;

function rotl(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function round32(acc: number, lane: number): number {
  return Math.imul(rotl((acc + Math.imul(lane, PRIME32_2)) | 0, 13), PRIME32_1);
}

export function xxh32(bytes: Uint8Array): number {
  const length = bytes.length;
  let at = 0;
  let h: number;
  if (length >= 16) {
    let [a, b, c, d] = [(PRIME32_1 + PRIME32_2) | 0, PRIME32_2 | 0, 0, -PRIME32_1 | 0];
    for (; at <= length - 16; at += 16) {
      a = round32(a, read32(bytes, at));
      b = round32(b, read32(bytes, at + 4));
      c = round32(c, read32(bytes, at + 8));
      d = round32(d, read32(bytes, at + 12));
    }
    h = (rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18)) | 0;
  } else h = PRIME32_5 | 0;
  h = (h + length) | 0;
  for (; at <= length - 4; at += 4)
    h = Math.imul(rotl((h + Math.imul(read32(bytes, at), PRIME32_3)) | 0, 17), PRIME32_4);
  for (; at < length; at++)
    h = Math.imul(rotl((h + Math.imul(bytes[at] as number, PRIME32_5)) | 0, 11), PRIME32_1);
  h = Math.imul(h ^ (h >>> 15), PRIME32_2);
  h = Math.imul(h ^ (h >>> 13), PRIME32_3);
  return (h ^ (h >>> 16)) >>> 0;
}

const MASK = 0xffffffffffffffffn;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME64_3 = 0x165667b19e3779f9n;
const PRIME64_4 = 0x85ebca77c2b2ae63n;
const PRIME64_5 = 0x27d4eb2f165667c5n;

function rotl64(x: bigint, by: bigint): bigint {
  return ((x << by) | (x >> (64n - by))) & MASK;
}

function round64(acc: bigint, lane: bigint): bigint {
  return (rotl64((acc + lane * PRIME64_2) & MASK, 31n) * PRIME64_1) & MASK;
}

/** Low 32 bits of XXH64. Only old tables with a hand-picked checksum use it: clear rather than fast. */
export function xxh64Low(bytes: Buffer): number {
  const length = bytes.length;
  let at = 0;
  let h = PRIME64_5;
  if (length >= 32) {
    let lanes = [(PRIME64_1 + PRIME64_2) & MASK, PRIME64_2, 0n, -PRIME64_1 & MASK];
    for (; at <= length - 32; at += 32) {
      const from = at;
      lanes = lanes.map((lane, index) => round64(lane, bytes.readBigUInt64LE(from + 8 * index)));
    }
    const turns = [1n, 7n, 12n, 18n];
    h = lanes.reduce((sum, lane, index) => (sum + rotl64(lane, turns[index] as bigint)) & MASK, 0n);
    for (const lane of lanes) h = ((h ^ round64(0n, lane)) * PRIME64_1 + PRIME64_4) & MASK;
  }
  h = tail64(bytes, at, (h + BigInt(length)) & MASK);
  h = ((h ^ (h >> 33n)) * PRIME64_2) & MASK;
  h = ((h ^ (h >> 29n)) * PRIME64_3) & MASK;
  return Number((h ^ (h >> 32n)) & 0xffffffffn);
}

function tail64(bytes: Buffer, from: number, start: bigint): bigint {
  let h = start;
  let at = from;
  for (; at <= bytes.length - 8; at += 8) {
    h = (rotl64(h ^ round64(0n, bytes.readBigUInt64LE(at)), 27n) * PRIME64_1 + PRIME64_4) & MASK;
  }
  if (at <= bytes.length - 4) {
    h =
      (rotl64(h ^ ((BigInt(bytes.readUInt32LE(at)) * PRIME64_1) & MASK), 23n) * PRIME64_2 + PRIME64_3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) {
    h = (rotl64(h ^ ((BigInt(bytes[at] as number) * PRIME64_5) & MASK), 11n) * PRIME64_1) & MASK;
  }
  return h;
}
