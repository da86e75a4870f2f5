import { inflateRawSync, zstdDecompressSync } from "node:zlib";
import { DropsError } from "../../lib/errors.ts";
import { Cursor } from "./cursor.ts";
import { decodeLz4 } from "./lz4-block.ts";
import { type BlockHandle, readHandle, TRAILER_SIZE } from "./table-footer.ts";

const MAX_BLOCK = 256 * 1024 * 1024;

/** Names by compression type of a block (include/rocksdb/compression_type.h). */
const COMPRESSION = ["none", "snappy", "zlib", "bzip2", "lz4", "lz4hc", "xpress", "zstd"] as const;

/** Inflate a block's bytes. Throws format/unsupported for kinds this reader lacks, data/damaged for bytes that are none. */
export function inflateBlock(stored: Buffer, type: number, formatVersion: number, what: string): Buffer {
  if (type === 0) return stored;
  const kind = COMPRESSION[type];
  if (formatVersion < 2 || !(kind === "zlib" || kind === "lz4" || kind === "lz4hc" || kind === "zstd")) {
    throw new DropsError(
      "format/unsupported",
      `${what} is compressed with ${kind ?? type}, which this drops cannot read`,
    );
  }
  const cursor = new Cursor(stored, what);
  const size = cursor.varint();
  if (size > MAX_BLOCK) throw cursor.damaged("it is absurdly large");
  const packed = stored.subarray(cursor.at);
  try {
    const options = { maxOutputLength: Math.max(1, size) };
    const plain =
      kind === "zstd"
        ? zstdDecompressSync(packed, options)
        : kind === "zlib"
          ? inflateRawSync(packed, options)
          : decodeLz4(packed, size);
    if (plain.length === size) return plain;
  } catch (cause) {
    throw new DropsError("data/damaged", `${what} cannot be decompressed`, { cause });
  }
  throw cursor.damaged("it is not as long as it says");
}

const RESTARTS_MASK = 0x0fffffff;
const SEPARATED_VALUES = 1 << 28;

/** The part of a block that holds entries: what follows is a list of restart points (table/block_based/block.cc). */
function entriesOf(block: Buffer, what: string): Cursor {
  const cursor = new Cursor(block, what);
  if (block.length < 4) throw cursor.damaged("it is too short");
  const word = block.readUInt32LE(block.length - 4);
  if ((word & SEPARATED_VALUES) !== 0) {
    throw new DropsError(
      "format/unsupported",
      `${what} keeps keys and values apart, which this drops cannot read`,
    );
  }
  const end = block.length - 4 - 4 * (word & RESTARTS_MASK);
  if (end < 0) throw cursor.damaged("its list of restart points is longer than itself");
  return new Cursor(block.subarray(0, end), what);
}

/** Keys (as latin1) and values of a metaindex or properties block. */
export function readEntries(block: Buffer, what: string): ReadonlyMap<string, Buffer> {
  const cursor = entriesOf(block, what);
  const entries = new Map<string, Buffer>();
  let key = "";
  while (!cursor.done) {
    const shared = cursor.varint();
    const unshared = cursor.varint();
    const length = cursor.varint();
    if (shared > key.length) throw cursor.damaged("a key shares more than there is");
    key = key.slice(0, shared) + cursor.bytes(unshared).toString("latin1");
    entries.set(key, cursor.bytes(length));
  }
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
