import assert from "node:assert/strict";
import { test } from "node:test";
import { blockChecksums, contextModifier } from "../../src/source/rocksdb/formats/block-checksum.ts";
import { crc32c, maskCrc } from "../../src/source/rocksdb/formats/crc32c.ts";
import { decodeLz4 } from "../../src/source/rocksdb/formats/lz4-block.ts";
import { xxHashes } from "../../src/source/rocksdb/formats/xxhash.ts";

const { xxh32, xxh64, xxh3 } = await xxHashes();
const blockChecksum = await blockChecksums();

// From RFC 3720 B.4 and util/crc32c_test.cc.
const crcs: readonly { name: string; bytes: Buffer; crc: number }[] = [
  { name: "zeros", bytes: Buffer.alloc(32), crc: 0x8a9136aa },
  { name: "ones", bytes: Buffer.alloc(32, 0xff), crc: 0x62a8ab43 },
  { name: "ascending", bytes: Buffer.from(Array.from({ length: 32 }, (_, at) => at)), crc: 0x46dd794e },
  { name: "text", bytes: Buffer.from("123456789"), crc: 0xe3069283 },
];
for (const { name, bytes, crc } of crcs) {
  test(`crc32c of ${name}, whole and in two parts`, () => {
    assert.equal(crc32c(bytes), crc);
    assert.equal(crc32c(bytes, 5, bytes.length, crc32c(bytes, 0, 5)), crc);
  });
}

test("a masked checksum is another number", () => {
  assert.equal(maskCrc(0xe3069283), 0xc78ab0e5);
});

/** Low 32 bits that xxHash's own code gives for bytes (7 × index) mod 251. */
const lengths: readonly { length: number; xxh32: number; xxh64: number; xxh3: number }[] = [
  { length: 0, xxh32: 0x02cc5d05, xxh64: 0x51d8e999, xxh3: 0x38d394c2 },
  { length: 1, xxh32: 0xcf65b03e, xxh64: 0xdb052768, xxh3: 0x074eecdb },
  { length: 3, xxh32: 0x14744175, xxh64: 0x5a6209ab, xxh3: 0xe968ad9e },
  { length: 4, xxh32: 0xc8f60fc5, xxh64: 0x0a55ac41, xxh3: 0x19014e89 },
  { length: 8, xxh32: 0x6edeeb34, xxh64: 0x65b924eb, xxh3: 0xf6bf6980 },
  { length: 9, xxh32: 0xf3820f1f, xxh64: 0x2c4324ff, xxh3: 0xd730d826 },
  { length: 15, xxh32: 0x8807d6b2, xxh64: 0xe360882f, xxh3: 0xc6a30fa3 },
  { length: 16, xxh32: 0xb59b7e13, xxh64: 0xc0a31fbc, xxh3: 0xadf2be1e },
  { length: 17, xxh32: 0x20dd4529, xxh64: 0x7cd5d0a2, xxh3: 0xf5a112d1 },
  { length: 32, xxh32: 0xd7f70f45, xxh64: 0x31a8c629, xxh3: 0xf1a11fbe },
  { length: 33, xxh32: 0xe5b60f32, xxh64: 0xf8d65b94, xxh3: 0x92d29cde },
  { length: 64, xxh32: 0x6507d430, xxh64: 0x5af9d022, xxh3: 0xffbb854f },
  { length: 65, xxh32: 0x306ab3a4, xxh64: 0x37aace2a, xxh3: 0x15d954d0 },
  { length: 96, xxh32: 0xcf123c78, xxh64: 0xd3cb723a, xxh3: 0x0d32e958 },
  { length: 97, xxh32: 0x2f3039c8, xxh64: 0xa1df04c2, xxh3: 0xfebf71ac },
  { length: 128, xxh32: 0x114b1c50, xxh64: 0x2bfbd3d3, xxh3: 0x5f435148 },
  { length: 129, xxh32: 0xd50045d5, xxh64: 0x13abadfb, xxh3: 0x3902b6e5 },
  { length: 144, xxh32: 0x2a05d237, xxh64: 0x7724da44, xxh3: 0x75951b8f },
  { length: 240, xxh32: 0x054601ee, xxh64: 0x05949ec4, xxh3: 0xb0675b54 },
  { length: 241, xxh32: 0x0ed40f03, xxh64: 0x1d08ef08, xxh3: 0x575348c1 },
  { length: 255, xxh32: 0xdc84474b, xxh64: 0xa21b9530, xxh3: 0xecc1b4d7 },
  { length: 256, xxh32: 0x78f7fd4f, xxh64: 0x1bfd77c3, xxh3: 0x63a3283c },
  { length: 1024, xxh32: 0x42435461, xxh64: 0xf8999b01, xxh3: 0x84ff47ea },
  { length: 1025, xxh32: 0xc77ab99f, xxh64: 0xec784e62, xxh3: 0x3769a435 },
  { length: 1088, xxh32: 0xdf3c97be, xxh64: 0x7b00c9e2, xxh3: 0x7cd0c530 },
  { length: 4096, xxh32: 0x87bf41e2, xxh64: 0x32d5defc, xxh3: 0x4d5f33f7 },
  { length: 5000, xxh32: 0x7a02d117, xxh64: 0x25b3bb34, xxh3: 0x60ee1bfc },
];

for (const row of lengths) {
  test(`xxHash of ${row.length} bytes`, () => {
    const bytes = Buffer.from(Array.from({ length: row.length }, (_, at) => (7 * at) % 251));
    const found = { length: row.length, xxh32: xxh32(bytes), xxh64: xxh64(bytes), xxh3: xxh3(bytes) };
    assert.deepEqual(found, row);
  });
}

test("a block checksum takes the compression type apart for xxh3 alone", () => {
  const block = Buffer.from("a block and its type\u0007");
  assert.equal(blockChecksum(0, block), 0);
  assert.equal(blockChecksum(1, block), maskCrc(crc32c(block)));
  assert.equal(blockChecksum(2, block), xxh32(block));
  assert.equal(blockChecksum(3, block), xxh64(block));
  const typed = (xxh3(block.subarray(0, -1)) ^ Math.imul(7, 0x6b9083d9)) >>> 0;
  assert.equal(blockChecksum(4, block), typed);
});

test("the modifier of a block mixes both halves of its offset", () => {
  assert.equal(contextModifier(0, 12345), 0);
  assert.equal(contextModifier(0xf0f0f0f0, 2 ** 32 + 5), (0xf0f0f0f0 ^ 6) >>> 0);
});

test("lz4 blocks: literals, an overlapping match, and malformed ones", () => {
  // 4 literals "abab", then a match of 8 at distance 2, then 5 literals.
  const packed = Buffer.from([0x44, ...Buffer.from("abab"), 2, 0, 0x50, ...Buffer.from("hello")]);
  assert.equal(decodeLz4(packed, 17).toString(), "ababababababhello");
  assert.throws(() => decodeLz4(packed, 16), RangeError);
  assert.throws(() => decodeLz4(packed, 18), RangeError);
  assert.throws(() => decodeLz4(packed.subarray(0, 6), 17), RangeError);
  assert.throws(() => decodeLz4(Buffer.from([0x04, 9, 0]), 8), RangeError);
});
