import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeSnappy } from "../../src/source/rocksdb/formats/snappy-block.ts";
import { varint } from "../support/rocksdb-bytes.ts";

const MAX = 1024 * 1024;
const long = Buffer.alloc(300, "a long literal ");
const block = (size: number, ...parts: (string | Buffer | readonly number[])[]) =>
  Buffer.concat([varint(size), ...parts.map((part) => Buffer.from(part as Buffer))]);

const good: readonly [string, Buffer, string | Buffer][] = [
  ["nothing", block(0), ""],
  ["a literal", block(3, [2 << 2], "abc"), "abc"],
  ["a literal whose length takes two bytes", block(300, [61 << 2, 299 & 255, 299 >> 8], long), long],
  ["a copy of 11 bits that overlaps itself", block(12, [2 << 2], "abc", [(5 << 2) | 1, 3]), "abcabcabcabc"],
  ["a copy of 16 bits", block(6, [2 << 2], "abc", [(2 << 2) | 2, 3, 0]), "abcabc"],
  ["a copy of 32 bits", block(6, [2 << 2], "abc", [(2 << 2) | 3, 3, 0, 0, 0]), "abcabc"],
  [
    "a copy from far behind",
    block(304, [61 << 2, 299 & 255, 299 >> 8], long, [((300 >> 8) << 5) | 1, 300 & 255]),
    Buffer.concat([long, long.subarray(0, 4)]),
  ],
];
for (const [name, packed, plain] of good) {
  test(`snappy: ${name}`, () => assert.deepEqual(decodeSnappy(packed, MAX), Buffer.from(plain)));
}

const bad: readonly [string, Buffer][] = [
  ["no length", Buffer.alloc(0)],
  ["a length without end", Buffer.from([255, 255, 255, 255, 255, 255])],
  ["more than is allowed", block(MAX + 1)],
  ["a literal past the end", block(3, [2 << 2], "ab")],
  ["more than it says", block(2, [2 << 2], "abc")],
  ["less than it says", block(4, [2 << 2], "abc")],
  ["a copy from before the beginning", block(12, [2 << 2], "abc", [(5 << 2) | 1, 4])],
  ["a copy from nowhere", block(12, [2 << 2], "abc", [(5 << 2) | 1, 0])],
];
for (const [name, packed] of bad) {
  test(`snappy is refused: ${name}`, () => assert.throws(() => decodeSnappy(packed, MAX), RangeError));
}

test("no memory is taken for a length that so few bytes cannot fill", () => {
  assert.throws(() => decodeSnappy(block(MAX, [2 << 2], "abc"), MAX), /too large/);
});

test("any bytes are decoded within their bound, or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        assert.ok(decodeSnappy(Buffer.from(bytes), 4096).length <= 4096);
      } catch (error) {
        assert.ok(error instanceof RangeError);
      }
    }),
    { numRuns: 2000 },
  );
});
