import { inflateRawSync, zstdDecompressSync } from "node:zlib";
import { DropsError } from "../../../lib/errors.ts";
import { Cursor } from "./cursor.ts";
import { decodeLz4 } from "./lz4-block.ts";
import { decodeSnappy } from "./snappy-block.ts";
import { type BlockHandle, readHandle, TRAILER_SIZE } from "./table-footer.ts";

const MAX_BLOCK = 256 * 1024 * 1024;

/** Names by compression type of a block (include/rocksdb/compression_type.h). */
const COMPRESSION = ["none", "snappy", "zlib", "bzip2", "lz4", "lz4hc", "xpress", "zstd"] as const;

/**
 * Inflate a block's bytes; `dictionary` is what a table compressed with zstd may keep for its data blocks. Throws
 * format/unsupported for kinds this reader lacks, data/damaged for bytes that are none.
 */
export function inflateBlock(
  stored: Buffer,
  type: number,
  formatVersion: number,
  what: string,
  dictionary?: Buffer,
): Buffer {
  if (type === 0) return stored;
  const kind = COMPRESSION[type];
  const inflate = kind === undefined ? undefined : INFLATE[kind];
  if (formatVersion < 2 || inflate === undefined || (dictionary !== undefined && kind !== "zstd")) {
    const how = dictionary === undefined ? "" : " and a dictionary";
    throw new DropsError(
      "format/unsupported",
      `${what} is compressed with ${kind ?? type}${how}, which this version of drops cannot read`,
    );
  }
  const cursor = new Cursor(stored, what);
  // Snappy writes the length itself; RocksDB puts it before all the others.
  const size = cursor.varint();
  if (size > MAX_BLOCK) throw cursor.damaged("it is absurdly large");
  try {
    const plain = inflate(kind === "snappy" ? stored : stored.subarray(cursor.at), size, dictionary);
    if (plain.length === size) return plain;
  } catch (cause) {
    throw new DropsError("data/damaged", `${what} cannot be decompressed`, { cause });
  }
  throw cursor.damaged("it is not as long as it says");
}

type Inflate = (packed: Buffer, size: number, dictionary: Buffer | undefined) => Buffer;

const INFLATE: Readonly<Partial<Record<(typeof COMPRESSION)[number], Inflate>>> = {
  snappy: decodeSnappy,
  zlib: (packed, size) => inflateRawSync(packed, { maxOutputLength: Math.max(1, size) }),
  lz4: decodeLz4,
  lz4hc: decodeLz4,
  zstd: (packed, size, dictionary) =>
    zstdDecompressSync(packed, {
      maxOutputLength: Math.max(1, size),
      ...(dictionary === undefined ? {} : { dictionary }),
    }),
};

const RESTARTS_MASK = 0x0fffffff;
const SEPARATED_VALUES = 1 << 28;
const HASH_INDEX = 0x80000000;

/**
 * The part of a block that holds entries: what follows is a list of restart points, and in data blocks there may be a hash
 * table of them (table/block_based/block.cc, data_block_footer.cc, data_block_hash_index.cc).
 */
function entriesOf(block: Buffer, what: string): Cursor {
  const cursor = new Cursor(block, what);
  if (block.length < 4) throw cursor.damaged("it is too short");
  const word = block.readUInt32LE(block.length - 4);
  if ((word & SEPARATED_VALUES) !== 0) {
    throw new DropsError(
      "format/unsupported",
      `${what} keeps keys and values apart, which this version of drops cannot read`,
    );
  }
  let end = block.length - 4 - 4 * (word & RESTARTS_MASK);
  if ((word & HASH_INDEX) !== 0 && block.length >= 6) end -= 2 + block.readUInt16LE(block.length - 6);
  if (end < 0) throw cursor.damaged("its list of restart points is longer than itself");
  return new Cursor(block.subarray(0, end), what);
}

/**
 * Keys are written whole at every restart point, of which there is one in 16 entries unless somebody set it otherwise: all
 * keys together are never so many times as large as their block.
 */
const MAX_KEYS = 256;

/** Keys and values of a data block, in its order. Keys are copies, values are views. */
export function* readPairs(
  block: Buffer,
  what: string,
): Generator<{ readonly key: Buffer; readonly value: Buffer }> {
  const cursor = entriesOf(block, what);
  let key: Buffer = Buffer.alloc(0);
  let keys = 0;
  while (!cursor.done) {
    const shared = cursor.varint();
    const unshared = cursor.varint();
    const length = cursor.varint();
    if (shared > key.length) throw cursor.damaged("a key shares more than there is");
    keys += shared + unshared;
    if (keys > MAX_KEYS * block.length) throw cursor.damaged("its keys are absurdly long");
    key = Buffer.concat([key.subarray(0, shared), cursor.bytes(unshared)]);
    yield { key, value: cursor.bytes(length) };
  }
}

/** Keys (as latin1) and values of a metaindex or properties block. */
export function readEntries(block: Buffer, what: string): ReadonlyMap<string, Buffer> {
  const entries = new Map<string, Buffer>();
  for (const { key, value } of readPairs(block, what)) entries.set(key.toString("latin1"), value);
  return entries;
}

/** Handles in an index block. `delta`: values have no length and only the first of a group is written out. */
export function readIndex(
  block: Buffer,
  how: { readonly delta: boolean; readonly firstKeys: boolean },
  what: string,
): readonly BlockHandle[] {
  const cursor = entriesOf(block, what);
  const found: BlockHandle[] = [];
  while (!cursor.done) {
    const shared = cursor.varint();
    const unshared = cursor.varint();
    const value = how.delta ? undefined : cursor.varint();
    cursor.bytes(unshared);
    if (value !== undefined) {
      found.push(readHandle(new Cursor(cursor.bytes(value), what)));
      continue;
    }
    const before = found.at(-1);
    found.push(shared === 0 || before === undefined ? readHandle(cursor) : follow(before, cursor));
    if (how.firstKeys) cursor.prefixed();
  }
  return found;
}

/** The block right behind, whose size is written as a zigzag difference. */
function follow(before: BlockHandle, cursor: Cursor): BlockHandle {
  const zigzag = cursor.varint();
  const difference = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  const size = before.size + difference;
  if (size < 0) throw cursor.damaged("a block has a negative size");
  return { offset: before.offset + before.size + TRAILER_SIZE, size };
}
