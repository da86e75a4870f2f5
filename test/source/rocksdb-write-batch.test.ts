import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { OPERATION, readBatch } from "../../src/source/rocksdb/formats/write-batch.ts";
import { FamilyState, type Version } from "../../src/source/rocksdb/verify/family-state.ts";
import { SMALL_FAMILY } from "../../src/source/rocksdb/verify/read-family.ts";
import { varint } from "../support/rocksdb-bytes.ts";

const text = (value: string) => Buffer.concat([varint(value.length), Buffer.from(value)]);

function batch(count: number, ...parts: (Buffer | readonly number[])[]): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(100n);
  head.writeUInt32LE(count, 8);
  return Buffer.concat([head, ...parts.map((part) => Buffer.from(part))]);
}

test("operations are numbered one after the other, what is none takes no number", () => {
  const bytes = batch(
    5,
    [0x1],
    text("a"),
    text("1"), // put
    [0xd], // nothing
    [0x5, 7],
    text("b"),
    text("2"), // put into family 7
    [0x3],
    text("a remark"),
    [0x8, 7],
    text("b"), // single delete in family 7
    [0xe, 7],
    text("a"),
    text("c"), // range in family 7
    [0x0],
    text("a"), // delete
  );
  const found = [...readBatch(bytes, "it")].map(({ family, sequence, type, key, value }) => {
    return `${family} ${sequence} ${type} ${key.toString()} ${value.toString()}`;
  });
  assert.deepEqual(found, ["0 100 1 a 1", "7 101 1 b 2", "7 102 7 b ", "7 103 15 a c", "0 104 0 a "]);
});

test("a batch is refused: another count, cut short, prepared transactions, tags of the future", () => {
  const read = (bytes: Buffer) => () => [...readBatch(bytes, "it")];
  assert.throws(read(batch(2, [0x0], text("a"))), (error) => isFailure(error, "data/damaged"));
  assert.throws(read(batch(1, [0x1], text("a"))), (error) => isFailure(error, "data/damaged"));
  assert.throws(read(Buffer.alloc(5)), (error) => isFailure(error, "data/damaged"));
  assert.throws(read(batch(0, [0x9])), (error) => isFailure(error, "format/unsupported"));
  assert.throws(read(batch(0, [0x7f])), (error) => isFailure(error, "format/unsupported"));
});

function stateOf(...versions: readonly [string, number, number, string?][]): FamilyState {
  const state = new FamilyState("family x", SMALL_FAMILY);
  for (const [key, sequence, type, value = ""] of versions) state.take(versionOf(key, sequence, type, value));
  return state;
}
function versionOf(key: string, sequence: number, type: number, value: string): Version {
  return { key: Buffer.from(key), value: Buffer.from(value), sequence: BigInt(sequence), type };
}

test("the newest version of a key counts, whatever the order, and ranges hide only what is older", () => {
  const { PUT, DELETE, SINGLE_DELETE, RANGE_DELETE } = OPERATION;
  const versions: [string, number, number, string?][] = [
    ["a", 5, PUT, "old"],
    ["a", 9, PUT, "new"],
    ["b", 1, PUT, "gone"],
    ["b", 2, DELETE],
    ["c", 1, PUT, "gone"],
    ["c", 2, SINGLE_DELETE],
    ["d", 3, PUT, "in the range"],
    ["e", 8, PUT, "after the range"],
    ["f", 3, PUT, "behind the range"],
    ["d", 7, RANGE_DELETE, "f"],
    ["d", 7, RANGE_DELETE, "f"], // once more, from another table
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(versions, { minLength: versions.length }), (order) => {
      const found = stateOf(...order).pairs();
      assert.deepEqual(
        found.map(({ key, value }) => `${key.toString()} ${value.toString()}`),
        ["a new", "e after the range", "f behind the range"],
      );
    }),
  );
});

test("older versions are read so far and no further", () => {
  const state = new FamilyState("family x", { ...SMALL_FAMILY, bytes: 1000 });
  const version = versionOf("a", 1, OPERATION.PUT, "v".repeat(900));
  assert.throws(
    () => {
      for (let time = 0; time < 100; time++) state.take(version);
    },
    (error) => isFailure(error, "safety/refused"),
  );
});

test("values kept in ways that are not read are refused, unless they are gone", () => {
  const { MERGE, BLOB, WIDE_COLUMNS, DELETE } = OPERATION;
  for (const type of [MERGE, BLOB, WIDE_COLUMNS, 99]) {
    assert.throws(
      () => stateOf(["a", 1, type]).pairs(),
      (error) => isFailure(error, "format/unsupported"),
    );
    assert.deepEqual(stateOf(["a", 1, type], ["a", 2, DELETE]).pairs(), []);
  }
});
