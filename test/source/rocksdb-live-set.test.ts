import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { LiveState } from "../../src/source/rocksdb/verify/live-set.ts";
import { edit, prefixed, tableField, varint } from "../support/rocksdb-bytes.ts";

function state(...records: readonly Buffer[]): LiveState {
  const live = new LiveState("MANIFEST-000001");
  records.forEach((record, at) => {
    live.apply(record, (at + 1) * 100);
  });
  return live;
}

const numbers = (live: LiveState) =>
  live.view().tables.map((table) => `${table.level}/${table.number}:${table.size}`);
const family = (id: number, name: string) => edit(200, id, 201, prefixed(name));
const uniqueId = Buffer.concat([varint(12), prefixed(Buffer.alloc(16, 0xab))]);
const groupOf = (remaining: number) => Buffer.concat([varint(300), varint(remaining)]);

test("tables are added, moved and deleted, per column family", () => {
  const live = state(
    family(3, "rooms"),
    Buffer.concat([tableField(0, 10, 1000), tableField(0, 11, 1100)]),
    Buffer.concat([tableField(6, 12, 1200, [uniqueId]), edit(200, 3)]),
    Buffer.concat([edit(6, 0, 10), tableField(1, 10, 1000)]), // a trivial move: deletion first
    edit(6, 0, 11),
  );
  assert.deepEqual(numbers(live), ["1/10:1000", "6/12:1200"]);
  assert.deepEqual(live.view().families, ["default", "rooms"]);
  assert.equal(live.view().tables[1]?.uniqueId, "ab".repeat(16));
  assert.equal(live.view().tables[0]?.uniqueId, undefined);
});

test("the older kinds of table records are read", () => {
  const keys = [prefixed("a"), prefixed("b")];
  const live = state(
    edit(7, 1, 10, 1000, ...keys),
    edit(100, 2, 11, 1100, ...keys, 5, 6),
    edit(102, 3, 12, 2, 1200, ...keys, 5, 6),
  );
  assert.deepEqual(numbers(live), ["1/10:1000", "2/11:1100", "3/12:1200"]);
  assert.deepEqual(
    live.view().tables.map((table) => table.path),
    [0, 0, 2],
  );
});

test("a dropped column family takes its tables with it", () => {
  const live = state(
    family(3, "rooms"),
    Buffer.concat([edit(200, 3), tableField(0, 10, 1)]),
    edit(200, 3, 202),
  );
  assert.deepEqual(live.view().families, ["default"]);
  assert.deepEqual(numbers(live), []);
});

test("the lowest log: tag 10 governs, without it the column families do", () => {
  assert.equal(state(edit(2, 7), edit(200, 3, 201, prefixed("rooms"), 2, 5)).minLog, 5);
  assert.equal(state(edit(2, 7), edit(10, 9), edit(10, 8)).minLog, 9);
  const hack = Buffer.concat([varint(3), prefixed(Buffer.from([12, 0, 0, 0, 0, 0, 0, 0]))]);
  assert.equal(state(tableField(0, 10, 1, [hack])).minLog, 12);
});

test("logs are tracked until they are dropped", () => {
  const sized = (number: number, size: number) => edit(8199, prefixed(edit(number, 2, size, 1)));
  const live = state(
    sized(5, 500),
    sized(6, 600),
    edit(8199, prefixed(edit(7, 1))),
    edit(8200, prefixed(edit(6))),
  );
  assert.deepEqual(live.view().trackedLogs, [
    { number: 6, size: 600 },
    { number: 7, size: undefined },
  ]);
  assert.deepEqual(state(edit(8196, 9, 2, 90, 1), edit(8197, 9)).view().trackedLogs, [
    { number: 9, size: 90 },
  ]);
});

test("a group of records counts as one: half a group is as good as none", () => {
  const first = Buffer.concat([tableField(0, 10, 1), groupOf(1)]);
  const second = Buffer.concat([tableField(0, 11, 1), groupOf(0)]);
  const half = state(edit(4, 77n), first);
  assert.deepEqual([numbers(half), half.appliedEnd], [[], 100]);
  const whole = state(edit(4, 77n), first, second);
  assert.deepEqual([numbers(whole), whole.appliedEnd], [["0/10:1", "0/11:1"], 300]);
  assert.equal(whole.view().lastSequence, 77n);
});

test("blob files: size on disk, forgotten when they hold garbage alone and nobody points to them", () => {
  const blob = (number: number) => edit(400, number, 10, 5000, prefixed(""), prefixed(""), 0);
  const garbage = (number: number, values: number) => edit(401, number, values, 100, 0);
  const pointing = Buffer.concat([varint(4), prefixed(varint(20))]);
  const live = state(blob(20), blob(21), tableField(0, 10, 1, [pointing]), garbage(20, 10), garbage(21, 9));
  assert.deepEqual(live.view().blobs, [
    { number: 20, size: 5062, required: true },
    { number: 21, size: 5062, required: true },
  ]);
  live.apply(edit(6, 0, 10), 1000);
  assert.deepEqual(live.view().blobs, [{ number: 21, size: 5062, required: false }]);
});

test("what may be ignored is ignored: fields of the future with the bit that says so", () => {
  const live = state(
    edit(8193, prefixed("an-id"), 8198, prefixed("x"), 0x2000 + 99, prefixed("future"), 4, 9n),
  );
  assert.deepEqual([live.view().dbId, live.view().lastSequence], ["an-id", 9n]);
  assert.deepEqual(numbers(state(tableField(0, 10, 1, [edit(17, prefixed("metadata"))]))), ["0/10:1"]);
});

const refused: readonly { name: string; records: readonly Buffer[]; says: RegExp }[] = [
  { name: "an unknown tag", records: [edit(77, 1)], says: /tag 77/ },
  {
    name: "an unknown table field that must be understood",
    records: [tableField(0, 1, 1, [edit(66, prefixed(""))])],
    says: /field 66/,
  },
  { name: "a length past the end", records: [edit(8193, 1000)], says: /past its end/ },
  { name: "a number of eleven bytes", records: [Buffer.alloc(12, 0xff)], says: /absurd/ },
  { name: "a file number beyond 2^53", records: [edit(6, 0, 2n ** 60n)], says: /absurd/ },
  { name: "deleting a table that is not there", records: [edit(6, 0, 5)], says: /deletes table 5/ },
  {
    name: "adding a table twice",
    records: [tableField(0, 5, 1), tableField(0, 5, 1)],
    says: /adds table 5 twice/,
  },
  { name: "a column family that does not exist", records: [edit(200, 9, 2, 1)], says: /column family 9/ },
  { name: "a column family twice", records: [family(3, "a"), family(3, "b")], says: /twice/ },
  { name: "a group cut short", records: [edit(300, 2), edit(4, 1)], says: /cut short/ },
  { name: "a group out of order", records: [edit(300, 2), edit(300, 0)], says: /out of order/ },
  { name: "a group of millions", records: [edit(300, 5_000_000)], says: /absurdly large/ },
  {
    name: "logs without number",
    records: [Buffer.concat(Array.from({ length: 100_001 }, (_, at) => edit(8196, at + 1, 1)))],
    says: /absurdly many logs/,
  },
  {
    name: "fields without number",
    records: [Buffer.alloc(2_000_004, edit(9, 1))],
    says: /more than 1000000 fields/,
  },
  { name: "garbage of an unknown blob file", records: [edit(401, 5, 1, 1, 0)], says: /blob file 5/ },
];
for (const { name, records, says } of refused) {
  test(`a MANIFEST is refused: ${name}`, () => {
    assert.throws(
      () => state(...records),
      (error) => isFailure(error, "data/damaged") && says.test(error.message),
    );
  });
}

test("any bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (records) => {
      try {
        state(...records.map((record) => Buffer.from(record))).view();
      } catch (error) {
        assert.ok(isFailure(error, "data/damaged"), String(error));
      }
    }),
    { numRuns: 3000 },
  );
});
