import { seededRandom } from "../support/seeded-random.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

/** Inputs are never larger. */
export const LARGEST = 1024 * 1024;
/** One in so many is blown up, to show what grows faster than its input. */
const BLOWN_UP = 20;

const EDGES = [0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn].concat([
  0x1fffffffffffffn,
  0x20000000000000n,
  0x7fffffffffffffffn,
  0xffffffffffffffffn,
]);
const NUMBERS = ["0", "-1", "1", "08", "1e999", "0x10", "4294967296", "9007199254740993"].concat([
  "18446744073709551616",
  "9".repeat(20),
  "9".repeat(400),
  "0.5",
  "253402300800",
]);
const PIECES = [
  "\0",
  "\n",
  "\r\n",
  "..",
  "../../x",
  "/",
  "\\",
  '"',
  "'",
  "%",
  "%%",
  "\u202e",
  "\ufffd",
].concat(["\x1b[31m", "__proto__", "constructor", "{", "[", "\ud83d\ude00", "$$", "\\!", ";"]);

interface Pool {
  readonly seeds: readonly Buffer[];
  readonly words: readonly Buffer[];
  readonly unit: number;
  readonly random: () => number;
}

type Change = (bytes: Buffer, pool: Pool) => Buffer;

/** The input with this number: the same for the same target and seed, whatever ran before. */
export function inputOf(target: FuzzTarget, seeds: readonly Buffer[], seed: number): Buffer {
  const random = seededRandom(seed);
  random(); // neighbours begin alike
  const words = [...PIECES, ...(target.words ?? [])].map((word) => Buffer.from(word as string));
  const pool: Pool = { seeds, words, unit: target.unit ?? 1, random };
  let bytes = pick(seeds, random);
  for (let turns = 1 + Math.floor(5 * random() ** 2); turns > 0; turns--)
    bytes = pick(CHANGES, random)(bytes, pool);
  if (random() * BLOWN_UP < 1) bytes = blownUp(bytes, pool);
  bytes = Buffer.from(bytes.subarray(0, LARGEST));
  return target.mend !== undefined && random() < 0.9 ? target.mend(bytes) : bytes;
}

const CHANGES: readonly Change[] = [
  (bytes, { random }) => overwritten(bytes, below(bytes.length, random), byteOf(bytes, random)),
  (bytes, { random }) => overwritten(bytes, below(bytes.length, random), edge(random)),
  (bytes, pool) => withWord(bytes, pool),
  (bytes, pool) => withWord(bytes, pool),
  (bytes, { random }) => withNumber(bytes, random),
  (bytes, pool) => {
    const [from, to] = range(bytes, pool);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (bytes, pool) => {
    const [from, to] = range(bytes, pool);
    return inserted(bytes, place(bytes, pool), bytes.subarray(from, to));
  },
  (bytes, pool) => {
    const [from, to] = range(bytes, pool);
    return overwritten(bytes, place(bytes, pool), bytes.subarray(from, to));
  },
  (bytes, pool) => {
    const other = pick(pool.seeds, pool.random);
    const [from, to] = range(other, pool);
    return inserted(bytes, place(bytes, pool), other.subarray(from, to));
  },
  (bytes, pool) =>
    Buffer.concat([bytes.subarray(0, place(bytes, pool)), tail(pick(pool.seeds, pool.random), pool)]),
  (bytes, pool) => bytes.subarray(0, place(bytes, pool)),
  (bytes, pool) => {
    const noise = Buffer.from(
      Array.from({ length: 1 + below(32, pool.random) }, () => below(256, pool.random)),
    );
    return inserted(bytes, place(bytes, pool), noise);
  },
];

/** A part of it many times over. */
function blownUp(bytes: Buffer, pool: Pool): Buffer {
  const { random } = pool;
  const [from, to] = random() < 0.5 ? range(bytes, pool) : shortRange(bytes, random);
  const part = random() < 0.4 ? pick(pool.words, random) : bytes.subarray(from, to);
  if (part.length === 0) return bytes;
  const size = Math.min(LARGEST, 4096 * 2 ** (8 * random()));
  const repeated = Buffer.alloc(Math.ceil(size / part.length) * part.length, part);
  return inserted(bytes, from, repeated);
}

function withWord(bytes: Buffer, { words, random }: Pool): Buffer {
  const word = pick(words, random);
  const at = below(bytes.length + 1, random);
  return random() < 0.5 ? inserted(bytes, at, word) : overwritten(bytes, at, word);
}

/** A run of digits becomes another number. */
function withNumber(bytes: Buffer, random: () => number): Buffer {
  let from = below(bytes.length, random);
  while (from < bytes.length && !isDigit(bytes[from])) from++;
  let to = from;
  while (to < bytes.length && isDigit(bytes[to])) to++;
  return Buffer.concat([bytes.subarray(0, from), Buffer.from(pick(NUMBERS, random)), bytes.subarray(to)]);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function byteOf(bytes: Buffer, random: () => number): Buffer {
  const byte = bytes[below(bytes.length, random)] ?? 0;
  const ways = [byte ^ (1 << below(8, random)), byte + 1, byte - 1, below(256, random), 0, 0xff];
  return Buffer.from([pick(ways, random)]);
}

/** An integer at the edge of something, in 1, 2, 4 or 8 bytes, either way round. */
function edge(random: () => number): Buffer {
  const size = pick([1, 2, 4, 8], random);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(pick(EDGES, random));
  const cut = bytes.subarray(0, size);
  return random() < 0.5 ? cut : cut.reverse();
}

function inserted(bytes: Buffer, at: number, part: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

function overwritten(bytes: Buffer, at: number, part: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at + part.length)]);
}

function tail(bytes: Buffer, pool: Pool): Buffer {
  return bytes.subarray(place(bytes, pool));
}

function place(bytes: Buffer, { unit, random }: Pool): number {
  const at = below(bytes.length + 1, random);
  return random() < 0.5 ? at - (at % unit) : at;
}

function range(bytes: Buffer, pool: Pool): readonly [number, number] {
  const from = place(bytes, pool);
  const step = pool.random() < 0.5 ? pool.unit : 1;
  return [from, from + step * (1 + Math.floor((bytes.length / step) * pool.random() ** 4))];
}

function shortRange(bytes: Buffer, random: () => number): readonly [number, number] {
  const from = below(bytes.length, random);
  return [from, from + 1 + below(16, random)];
}

function below(end: number, random: () => number): number {
  return Math.floor(random() * end);
}

function pick<Item>(items: readonly Item[], random: () => number): Item {
  return items[below(items.length, random)] as Item;
}
