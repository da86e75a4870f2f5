/**
 * Low 32 bits of XXH3-64 (seed 0, default secret; xxHash 0.8, xxhash.h): RocksDB's default checksum of table blocks.
 * Long inputs run on 32-bit halves, what remains (short inputs, the last mix) on BigInt.
 */
const SECRET = Buffer.from(
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221" +
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8" +
    "fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb17" +
    "0ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e",
  "hex",
);
const MASK = 0xffffffffffffffffn;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME64_3 = 0x165667b19e3779f9n;
const PRIME_MX1 = 0x165667919e3779f9n;
const PRIME_MX2 = 0x9fb21c651e98df25n;
const PRIME32_1 = 0x9e3779b1;

export function xxh3Low(bytes: Buffer): number {
  const hash = bytes.length > 240 ? long(bytes) : short(bytes);
  return Number(hash & 0xffffffffn);
}

// ---- inputs of up to 240 bytes

function short(bytes: Buffer): bigint {
  const length = bytes.length;
  if (length > 128) return medium(bytes);
  if (length > 16) return small(bytes);
  if (length > 8) {
    const low = bytes.readBigUInt64LE(0) ^ secret64(24) ^ secret64(32);
    const high = bytes.readBigUInt64LE(length - 8) ^ secret64(40) ^ secret64(48);
    return avalanche((BigInt(length) + swap64(low) + high + fold(low, high)) & MASK);
  }
  if (length >= 4) {
    const both = BigInt(bytes.readUInt32LE(length - 4)) | (BigInt(bytes.readUInt32LE(0)) << 32n);
    return rrmxmx(both ^ secret64(8) ^ secret64(16), BigInt(length));
  }
  if (length === 0) return avalanche64(secret64(56) ^ secret64(64));
  const [first, middle, last] = [bytes[0], bytes[length >> 1], bytes[length - 1]] as [number, number, number];
  const combined = BigInt(((first << 16) | (middle << 24) | last | (length << 8)) >>> 0);
  return avalanche64(combined ^ BigInt((SECRET.readUInt32LE(0) ^ SECRET.readUInt32LE(4)) >>> 0));
}

function small(bytes: Buffer): bigint {
  const length = bytes.length;
  let sum = BigInt(length) * PRIME64_1;
  for (let pair = (length - 1) >> 5; pair >= 0; pair--) {
    sum += mix16(bytes, 16 * pair, 32 * pair) + mix16(bytes, length - 16 * (pair + 1), 32 * pair + 16);
  }
  return avalanche(sum & MASK);
}

function medium(bytes: Buffer): bigint {
  const length = bytes.length;
  let sum = BigInt(length) * PRIME64_1;
  for (let at = 0; at < 128; at += 16) sum += mix16(bytes, at, at);
  sum = avalanche(sum & MASK);
  for (let at = 128; at <= length - 16; at += 16) sum += mix16(bytes, at, at - 128 + 3);
  sum += mix16(bytes, length - 16, 136 - 17);
  return avalanche(sum & MASK);
}

// ---- longer inputs: stripes of 64 bytes into eight accumulators

const STRIPE = 64;
const STRIPES = 16; // to a block; then the accumulators are scrambled
const BLOCK = STRIPE * STRIPES;
const START = [
  0xc2b2ae3d, 0, 0x85ebca87, 0x9e3779b1, 0x27d4eb4f, 0xc2b2ae3d, 0x9e3779f9, 0x165667b1, 0xc2b2ae63,
  0x85ebca77, 0x85ebca77, 0, 0x165667c5, 0x27d4eb2f, 0x9e3779b1, 0,
];
const KEYS = Int32Array.from({ length: SECRET.length / 4 }, (_, at) => SECRET.readInt32LE(4 * at));
const LAST_KEYS = Int32Array.from({ length: 16 }, (_, at) => SECRET.readInt32LE(192 - 64 - 7 + 4 * at));

const acc = new Int32Array(16); // low and high halves; the module is single-threaded and never yields in between
let words = new Int32Array(16 * 1024);
const lastWords = new Int32Array(16);

function long(bytes: Buffer): bigint {
  const length = bytes.length;
  if (words.byteLength < length) words = new Int32Array(Math.ceil(length / 4096) * 1024);
  new Uint8Array(words.buffer).set(bytes); // aligned, so that whole words can be read (little-endian machines alone)
  new Uint8Array(lastWords.buffer).set(bytes.subarray(length - STRIPE));
  acc.set(START);
  const blocks = Math.floor((length - 1) / BLOCK);
  for (let block = 0; block < blocks; block++) {
    for (let stripe = 0; stripe < STRIPES; stripe++) {
      accumulate(words, block * 256 + stripe * 16, KEYS, stripe * 2);
    }
    scramble();
  }
  const stripes = Math.floor((length - 1 - BLOCK * blocks) / STRIPE);
  for (let stripe = 0; stripe < stripes; stripe++)
    accumulate(words, blocks * 256 + stripe * 16, KEYS, stripe * 2);
  accumulate(lastWords, 0, LAST_KEYS, 0);
  let sum = BigInt(length) * PRIME64_1;
  for (let pair = 0; pair < 4; pair++) {
    sum += fold(acc64(2 * pair) ^ secret64(11 + 16 * pair), acc64(2 * pair + 1) ^ secret64(19 + 16 * pair));
  }
  return avalanche(sum & MASK);
}

/** Each lane adds the product of its halves, keyed, and its neighbour's plain value. */
function accumulate(data: Int32Array, at: number, keys: Int32Array, key: number): void {
  for (let lane = 0; lane < 16; lane += 2) {
    const x = (data[at + lane] as number) ^ (keys[key + lane] as number);
    const y = (data[at + lane + 1] as number) ^ (keys[key + lane + 1] as number);
    const x0 = x & 0xffff;
    const x1 = x >>> 16;
    const y0 = y & 0xffff;
    const y1 = y >>> 16;
    const ll = Math.imul(x0, y0);
    const lh = Math.imul(x0, y1);
    const hl = Math.imul(x1, y0);
    const mid = (ll >>> 16) + (lh & 0xffff) + (hl & 0xffff);
    const low = (ll & 0xffff) | (mid << 16);
    const high = Math.imul(x1, y1) + (lh >>> 16) + (hl >>> 16) + (mid >>> 16);
    const beside = at + (lane ^ 2);
    const sum = ((acc[lane] as number) >>> 0) + (low >>> 0) + ((data[beside] as number) >>> 0);
    acc[lane] = sum;
    acc[lane + 1] =
      (acc[lane + 1] as number) +
      high +
      (data[beside + 1] as number) +
      (sum >= 0x200000000 ? 2 : sum >= 0x100000000 ? 1 : 0);
  }
}

function scramble(): void {
  for (let lane = 0; lane < 16; lane += 2) {
    const high = acc[lane + 1] as number;
    const low = ((acc[lane] as number) ^ (high >>> 15) ^ (KEYS[32 + lane] as number)) >>> 0;
    const top = high ^ (KEYS[33 + lane] as number);
    const l0 = low & 0xffff;
    const l1 = low >>> 16;
    const p0 = PRIME32_1 & 0xffff;
    const p1 = PRIME32_1 >>> 16;
    const ll = Math.imul(l0, p0);
    const lh = Math.imul(l0, p1);
    const hl = Math.imul(l1, p0);
    const mid = (ll >>> 16) + (lh & 0xffff) + (hl & 0xffff);
    acc[lane] = (ll & 0xffff) | (mid << 16);
    acc[lane + 1] = Math.imul(l1, p1) + (lh >>> 16) + (hl >>> 16) + (mid >>> 16) + Math.imul(top, PRIME32_1);
  }
}

function acc64(lane: number): bigint {
  const low = BigInt((acc[2 * lane] as number) >>> 0);
  return low | (BigInt((acc[2 * lane + 1] as number) >>> 0) << 32n);
}

// ---- mixing

function secret64(at: number): bigint {
  return SECRET.readBigUInt64LE(at);
}

function mix16(bytes: Buffer, at: number, secret: number): bigint {
  return fold(
    bytes.readBigUInt64LE(at) ^ secret64(secret),
    bytes.readBigUInt64LE(at + 8) ^ secret64(secret + 8),
  );
}

function fold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return (product & MASK) ^ (product >> 64n);
}

function avalanche(hash: bigint): bigint {
  const mixed = ((hash ^ (hash >> 37n)) * PRIME_MX1) & MASK;
  return mixed ^ (mixed >> 32n);
}

function avalanche64(hash: bigint): bigint {
  let h = ((hash ^ (hash >> 33n)) * PRIME64_2) & MASK;
  h = ((h ^ (h >> 29n)) * PRIME64_3) & MASK;
  return h ^ (h >> 32n);
}

function rrmxmx(value: bigint, length: bigint): bigint {
  let h = value ^ rotl(value, 49n) ^ rotl(value, 24n);
  h = (h * PRIME_MX2) & MASK;
  h = ((h ^ ((h >> 35n) + length)) * PRIME_MX2) & MASK;
  return h ^ (h >> 28n);
}

function rotl(x: bigint, by: bigint): bigint {
  return ((x << by) | (x >> (64n - by))) & MASK;
}

function swap64(x: bigint): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(x);
  return bytes.readBigUInt64BE();
}
