import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { type LogEnd, LogReader } from "../../src/source/rocksdb/formats/log-file.ts";
import { LogBuilder } from "../support/rocksdb-bytes.ts";

interface Read {
  readonly records: readonly string[];
  readonly ends: readonly number[];
  readonly end: LogEnd;
  readonly compression: number | undefined;
}

function read(bytes: Buffer, how: { cuts?: readonly number[]; number?: number } = {}): Read {
  const records: string[] = [];
  const ends: number[] = [];
  let compression: number | undefined;
  const reader = new LogReader(
    "000007.log",
    {
      record: (record, end) => {
        records.push(record.toString("latin1"));
        ends.push(end);
      },
      compression: (type) => {
        compression = type;
      },
    },
    how.number,
  );
  let at = 0;
  for (const cut of [...(how.cuts ?? []), bytes.length]) {
    reader.push(bytes.subarray(at, cut));
    at = Math.max(at, cut);
  }
  return { records, ends, end: reader.end(), compression };
}

const big = Buffer.alloc(100_000, "large ");
const nine = Buffer.from([7, 0, 0, 0]);

const endings: readonly {
  name: string;
  log: LogBuilder;
  number?: number;
  records: number;
  how: LogEnd["how"];
  validEnd: number;
}[] = [
  { name: "empty", log: new LogBuilder(), records: 0, how: "clean", validEnd: 0 },
  {
    name: "one record",
    log: new LogBuilder().record(Buffer.from("a")),
    records: 1,
    how: "clean",
    validEnd: 8,
  },
  {
    name: "a record over several blocks",
    log: new LogBuilder().record(big),
    records: 1,
    how: "clean",
    validEnd: 100_000 + 4 * 7,
  },
  {
    name: "a block that ends in filler",
    log: new LogBuilder().record(Buffer.alloc(32768 - 7 - 3)).record(Buffer.from("next")),
    records: 2,
    how: "clean",
    validEnd: 32768 + 11,
  },
  {
    name: "filler of a recyclable log is longer",
    log: new LogBuilder({ recyclable: 7 }).record(Buffer.alloc(32768 - 11 - 9)).record(Buffer.from("next")),
    number: 7,
    records: 2,
    how: "clean",
    validEnd: 32768 + 15,
  },
  {
    name: "a header that is cut off",
    log: new LogBuilder().record(Buffer.from("a")).raw(Buffer.from([1, 2, 3])),
    records: 1,
    how: "torn",
    validEnd: 8,
  },
  {
    name: "a first piece without the rest",
    log: new LogBuilder().record(Buffer.from("a")).physical(2, Buffer.alloc(32768 - 8 - 7)),
    records: 1,
    how: "torn",
    validEnd: 8,
  },
  {
    name: "preallocated space",
    log: new LogBuilder().record(Buffer.from("a")).raw(Buffer.alloc(70_000)),
    records: 1,
    how: "zeros",
    validEnd: 8,
  },
  {
    name: "compression, timestamps and the predecessor stand aside",
    log: new LogBuilder()
      .physical(9, nine)
      .physical(10, Buffer.from("sizes"))
      .physical(130, Buffer.from("predecessor"))
      .record(Buffer.from("a"))
      .physical(200, Buffer.from("of the future")),
    records: 1,
    how: "clean",
    validEnd: 11 + 12 + 18 + 8 + 20,
  },
  {
    name: "the same in a recyclable log",
    log: new LogBuilder({ recyclable: 7 })
      .physical(9, nine)
      .physical(131, Buffer.from("predecessor"), { number: 7 })
      .physical(11, Buffer.from("sizes"), { number: 7 })
      .record(Buffer.from("a")),
    number: 7,
    records: 1,
    how: "clean",
    validEnd: 11 + 22 + 16 + 12,
  },
  {
    name: "leftovers of a recycled log: another number",
    log: new LogBuilder({ recyclable: 7 })
      .record(Buffer.from("a"))
      .physical(5, Buffer.from("old"), { number: 3 }),
    number: 7,
    records: 1,
    how: "stale",
    validEnd: 12,
  },
  {
    name: "leftovers of a recycled log: the middle of a record",
    log: new LogBuilder({ recyclable: 7 })
      .record(Buffer.from("a"))
      .raw(Buffer.alloc(32_000, "middle of something")),
    number: 7,
    records: 1,
    how: "stale",
    validEnd: 12,
  },
];
for (const row of endings) {
  test(`a log: ${row.name}`, () => {
    const found = read(row.log.bytes(), row.number === undefined ? {} : { number: row.number });
    assert.equal(found.records.length, row.records);
    assert.deepEqual(found.end, { size: row.log.size, validEnd: row.validEnd, how: row.how });
  });
}

const damages: readonly { name: string; bytes: Buffer; says: RegExp }[] = [
  {
    name: "a wrong checksum",
    bytes: flip(new LogBuilder().record(Buffer.from("abc")).bytes(), 8),
    says: /checksum/,
  },
  {
    name: "an unknown type",
    bytes: new LogBuilder().physical(77, Buffer.from("a")).bytes(),
    says: /type 77/,
  },
  { name: "a length past its block", bytes: Buffer.from([0, 0, 0, 0, 0xff, 0xff, 1]), says: /length/ },
  {
    name: "a middle piece without a first",
    bytes: new LogBuilder().physical(3, Buffer.from("a")).bytes(),
    says: /out of order/,
  },
  {
    name: "a record in the middle of another",
    bytes: new LogBuilder().physical(2, Buffer.from("a")).physical(1, Buffer.from("b")).bytes(),
    says: /out of order/,
  },
  {
    name: "a record in more pieces than its bytes need",
    bytes: manyPieces(20),
    says: /absurdly many pieces/,
  },
  {
    name: "data after a hole",
    bytes: new LogBuilder().raw(Buffer.alloc(40_000)).raw(Buffer.from("data")).bytes(),
    says: /after a hole/,
  },
  {
    name: "a compression record without a kind",
    bytes: new LogBuilder().physical(9, Buffer.from([7])).bytes(),
    says: /compression/,
  },
];
for (const { name, bytes, says } of damages) {
  test(`damage in a log: ${name}`, () => {
    assert.throws(
      () => read(bytes),
      (error) =>
        isFailure(error, "data/damaged") && says.test(error.message) && error.message.includes("000007.log"),
    );
  });
}

/** A record whose pieces are empty, so that it never grows and never ends. */
function manyPieces(count: number): Buffer {
  const log = new LogBuilder().physical(2, Buffer.alloc(0));
  for (let piece = 1; piece < count; piece++) log.physical(3, Buffer.alloc(0));
  return log.bytes();
}

test("compression is told before the first record", () => {
  assert.equal(read(new LogBuilder().physical(9, nine).record(Buffer.from("a")).bytes()).compression, 7);
});

const logs = fc.record({
  records: fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 12 }),
  recyclable: fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { nil: undefined }),
});

function build(shape: { records: readonly number[]; recyclable: number | undefined }): {
  bytes: Buffer;
  wanted: readonly string[];
} {
  const log = new LogBuilder(shape.recyclable === undefined ? {} : { recyclable: shape.recyclable });
  const wanted = shape.records.map((size, at) => Buffer.alloc(size, `record ${at} `).toString("latin1"));
  for (const text of wanted) log.record(Buffer.from(text, "latin1"));
  return { bytes: log.bytes(), wanted };
}

const numbered = (recyclable: number | undefined) => (recyclable === undefined ? {} : { number: recyclable });

test("what was written is read, however the stream is cut", () => {
  fc.assert(
    fc.property(logs, fc.array(fc.nat(200_000), { maxLength: 20 }), (shape, cuts) => {
      const { bytes, wanted } = build(shape);
      const sorted = cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
      const found = read(bytes, { cuts: sorted, ...numbered(shape.recyclable) });
      assert.deepEqual(found.records, wanted);
      assert.deepEqual(found.end, { size: bytes.length, validEnd: bytes.length, how: "clean" });
    }),
    { numRuns: 150 },
  );
});

test("a log that is cut anywhere gives its whole records and where the last one ends", () => {
  fc.assert(
    fc.property(logs, fc.double({ min: 0, max: 1, noNaN: true }), (shape, share) => {
      const { bytes, wanted } = build(shape);
      const { ends } = read(bytes, numbered(shape.recyclable));
      const cut = Math.floor(bytes.length * share);
      const found = read(bytes.subarray(0, cut), numbered(shape.recyclable));
      const whole = ends.filter((end) => end <= cut);
      assert.deepEqual(found.records, wanted.slice(0, whole.length));
      const again = read(bytes.subarray(0, found.end.validEnd), numbered(shape.recyclable));
      assert.deepEqual([again.records, again.end.how], [found.records, "clean"]);
      assert.ok(found.end.how === "clean" || found.end.validEnd === (whole.at(-1) ?? 0));
    }),
    { numRuns: 150 },
  );
});

test("a flipped bit never gives a record that was not written", () => {
  fc.assert(
    fc.property(logs, fc.nat(), fc.integer({ min: 0, max: 7 }), (shape, where, bit) => {
      const { bytes, wanted } = build(shape);
      fc.pre(bytes.length > 0);
      try {
        const found = read(flip(bytes, where % bytes.length, 1 << bit), numbered(shape.recyclable));
        assert.deepEqual(found.records, wanted.slice(0, found.records.length));
      } catch (error) {
        assert.ok(isFailure(error, "data/damaged"), String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test("any bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      try {
        const { end } = read(Buffer.from(bytes));
        assert.ok(end.validEnd <= end.size);
      } catch (error) {
        assert.ok(isFailure(error, "data/damaged"), String(error));
      }
    }),
  );
});

function flip(bytes: Buffer, at: number, bits = 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ bits;
  return copy;
}
