import assert from "node:assert/strict";
import { zstdCompressSync } from "node:zlib";
import { readAttempt, readHello } from "../../../src/source/rocksdb/capture/report.ts";
import { crc32c, maskCrc } from "../../../src/source/rocksdb/formats/crc32c.ts";
import { LogReader } from "../../../src/source/rocksdb/formats/log-file.ts";
import { decodeLz4 } from "../../../src/source/rocksdb/formats/lz4-block.ts";
import { parseOptions } from "../../../src/source/rocksdb/formats/options-file.ts";
import { decodeSnappy } from "../../../src/source/rocksdb/formats/snappy-block.ts";
import {
  inflateBlock,
  readEntries,
  readIndex,
  readPairs,
} from "../../../src/source/rocksdb/formats/table-block.ts";
import { FOOTER_SIZE } from "../../../src/source/rocksdb/formats/table-footer.ts";
import { decodeVersionEdit } from "../../../src/source/rocksdb/formats/version-edit.ts";
import { readBatch } from "../../../src/source/rocksdb/formats/write-batch.ts";
import type { DatabaseFiles } from "../../../src/source/rocksdb/verify/database-files.ts";
import { LiveState } from "../../../src/source/rocksdb/verify/live-set.ts";
import { readColumnFamily } from "../../../src/source/rocksdb/verify/read-family.ts";
import { checkTable } from "../../../src/source/rocksdb/verify/sst.ts";
import { WalReader } from "../../../src/source/rocksdb/verify/wal.ts";
import { FieldReader } from "../../../src/source/script-channel.ts";
import { inPieces } from "../../support/answering-host.ts";
import { edit, LogBuilder, prefixed, tableField, varint } from "../../support/rocksdb-bytes.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { corpus, joinedParts, NEVER, partsOf } from "../inputs.ts";

const LOG_BLOCK = 32 * 1024;
const READERS = ["data/damaged", "format/unsupported"] as const;
/** Blocks and batches may hold so much whatever they are packed into. */
const INFLATED = 256 * 1024 * 1024;
const inflated = (size: number) => INFLATED + 64 * size;
const isRange = (error: unknown) =>
  error instanceof RangeError && error.constructor === RangeError && !isStack(error);
const isStack = (error: RangeError) => /call stack|Invalid array length|allocation/.test(error.message);

function edits(): Buffer[] {
  const records: Buffer[] = [];
  const reader = new LogReader("corpus", { record: (bytes) => void records.push(Buffer.from(bytes)) });
  reader.push(corpus("rocksdb/MANIFEST-000015"));
  const unique = [varint(12), prefixed(Buffer.alloc(16, 1)), varint(3), prefixed(Buffer.alloc(8))];
  return [
    ...records,
    edit(1, prefixed("leveldb.BytewiseComparator"), 2, 4, 3, 9, 4, 77, 10, 3, 203, 1),
    edit(200, 5, 201, prefixed("family"), 300, 0),
    tableField(0, 99, 700, unique),
    edit(6, 0, 99, tableField(1, 99, 700, unique)),
    edit(400, 5, 10, 1000, prefixed(""), prefixed(""), 0, 401, 5, 1, 100, 0, 8196, 4, 2, 100, 1, 8197, 4),
    edit(8199, prefixed(edit(7, 2, 90, 1)), 8200, prefixed(edit(3)), 200, 5, 202),
  ];
}

const MANIFEST: FuzzTarget = {
  name: "rocksdb-manifest",
  mayThrow: READERS,
  seeds: () => {
    const builder = new LogBuilder();
    for (const record of edits()) builder.record(record);
    const long = new LogBuilder().record(Buffer.concat([edit(1, prefixed("x".repeat(70_000)))]));
    return [
      corpus("rocksdb/MANIFEST-000015"),
      builder.bytes(),
      new LogBuilder({ recyclable: 7 }).record(edit(3, 9)).bytes(),
      long.bytes(),
    ];
  },
  words: [
    edit(300, 5),
    edit(8196, 4, 1),
    Buffer.from([0, 0, 0, 0, 0, 0, 3]),
    Buffer.from([0, 0, 0, 0, 0, 0, 2]),
  ],
  mend: mendedLog,
  async run(bytes) {
    const state = new LiveState("MANIFEST-000015");
    let made = 0;
    const reader = new LogReader("MANIFEST-000015", {
      record: (record, end) => {
        made += record.length;
        state.apply(record, end);
      },
    });
    for await (const piece of inPieces(bytes)) reader.push(piece);
    const { size, validEnd } = reader.end();
    assert.equal(size, bytes.length);
    assert.ok(validEnd <= size && state.appliedEnd <= size);
    const { tables, blobs, trackedLogs } = state.view();
    state.family("other");
    return made + 100 * (tables.length + blobs.length + trackedLogs.length);
  },
};

const VERSION_EDIT: FuzzTarget = {
  name: "rocksdb-edit",
  mayThrow: READERS,
  seeds: edits,
  words: [varint(0x2000), varint(2 ** 40), prefixed("x")],
  run(bytes) {
    const read = decodeVersionEdit(bytes, "a record");
    return 100 * (read.added.length + read.blobs.length + read.deleted.length + read.logsAdded.length);
  },
  most: (size) => 4096 + 150 * size,
};

const PUT = Buffer.concat([Buffer.from([1]), prefixed("key"), prefixed("value")]);
const DELETE_OTHER = Buffer.concat([Buffer.from([4]), varint(1), prefixed("key")]);

const WAL: FuzzTarget = {
  name: "rocksdb-wal",
  mayThrow: READERS,
  seeds: () => [
    corpus("rocksdb/000014.log"),
    new LogBuilder()
      .batch(5n, 1, { body: PUT })
      .batch(6n, 2, { body: Buffer.concat([PUT, DELETE_OTHER]) })
      .bytes(),
    zstdLog().batch(5n, 1, { zstd: true, body: PUT }).bytes(),
    new LogBuilder({ recyclable: 14 }).batch(9n, 1, { body: PUT }).bytes(),
  ],
  words: [PUT, DELETE_OTHER, zstdCompressSync(Buffer.alloc(100_000))],
  mend: mendedLog,
  async run(bytes) {
    let made = 0;
    const reader = new WalReader(14, "000014.log", (batch) => {
      made += batch.length;
      for (const { key, value } of readBatch(batch, "a batch")) made += key.length + value.length;
    });
    for await (const piece of inPieces(bytes)) reader.push(piece);
    reader.end();
    return made;
  },
  most: inflated,
};

function zstdLog(): LogBuilder {
  return new LogBuilder().physical(9, Buffer.from([7, 0, 0, 0]));
}

const WRITE_BATCH: FuzzTarget = {
  name: "rocksdb-batch",
  mayThrow: READERS,
  seeds: () => {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(2, 8);
    return [Buffer.concat([head, PUT, DELETE_OTHER])];
  },
  words: [PUT, DELETE_OTHER, Buffer.from([0xd])],
  run(bytes) {
    let made = 0;
    for (const { key, value } of readBatch(bytes, "a batch")) made += key.length + value.length;
    return made;
  },
};

/** Without checksums, every change reaches the code behind them. */
function unguarded(table: Buffer): Buffer {
  const copy = Buffer.from(table);
  copy[copy.length - FOOTER_SIZE] = 0;
  return copy;
}

/** The same in format 5, whose footer points to the index itself. */
function olderFooter(table: Buffer): Buffer {
  const blocks = table.subarray(0, -FOOTER_SIZE);
  const size = table.readUInt32LE(table.length - FOOTER_SIZE + 13);
  const footer = Buffer.alloc(FOOTER_SIZE);
  const meta = { offset: blocks.length - 5 - size, size };
  const block = blocks.subarray(meta.offset, meta.offset + size);
  const index = readEntries(block, "the metaindex").get("rocksdb.index") as Buffer;
  Buffer.concat([varint(meta.offset), varint(meta.size), index]).copy(footer, 1);
  footer.writeUInt32LE(5, 41);
  table.copy(footer, 45, table.length - 8);
  return Buffer.concat([blocks, footer]);
}

const TABLES = ["rocksdb/000008.sst", "rocksdb/000009.sst"] as const;

const SST: FuzzTarget = {
  name: "rocksdb-sst",
  mayThrow: READERS,
  seeds: () => TABLES.flatMap((name) => [corpus(name), unguarded(corpus(name)), olderFooter(corpus(name))]),
  words: [
    "rocksdb.index",
    "rocksdb.properties",
    "rocksdb.range_del",
    "partitionedfilter.x",
    varint(2 ** 40),
    varint(5),
  ],
  async run(bytes) {
    const read = async (offset: number, length: number) => {
      assert.ok(offset >= 0 && length >= 0 && offset + length <= bytes.length, "read outside the file");
      return bytes.subarray(offset, offset + length);
    };
    const report = await checkTable({ size: bytes.length, read }, "000009.sst", { signal: NEVER });
    return 64 * report.blocks;
  },
  most: inflated,
};

const SST_BLOCK: FuzzTarget = {
  name: "rocksdb-block",
  mayThrow: READERS,
  seeds: () => {
    const entry = (shared: number, key: string, value: Buffer) =>
      Buffer.concat([varint(shared), varint(key.length), varint(value.length), Buffer.from(key), value]);
    const handle = Buffer.concat([varint(0), varint(20)]);
    const restarts = Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]);
    const long = entry(0, "k".repeat(2000), handle);
    return [
      Buffer.concat([entry(0, "rocksdb.index", handle), entry(8, "properties", handle), restarts]),
      Buffer.concat([long, entry(2000, "a", handle), entry(2000, "b", handle), restarts]),
    ];
  },
  words: [Buffer.from([0x90, 0x0f, 1, 0, 0x61]), Buffer.from([1, 0, 0, 0])],
  run(bytes) {
    let made = 0;
    const trying = (work: () => number) => {
      try {
        made += work();
      } catch (error) {
        if (!(error instanceof Error && error.name === "DropsError")) throw error;
      }
    };
    trying(() =>
      [...readEntries(bytes, "a block")].reduce((sum, [key, value]) => sum + key.length + value.length, 0),
    );
    trying(() => 16 * readIndex(bytes, { delta: false, firstKeys: false }, "a block").length);
    trying(() => 16 * readIndex(bytes, { delta: true, firstKeys: true }, "a block").length);
    trying(() => {
      let pairs = 0;
      for (const { key } of readPairs(bytes, "a block")) pairs += key.length > 0 ? 1 : 2;
      return pairs;
    });
    return made;
  },
  most: (size) => 4 * 1024 * 1024 + 300 * size,
};

const INFLATE: FuzzTarget = {
  name: "rocksdb-inflate",
  mayThrow: READERS,
  seeds: () => {
    const zstd = zstdCompressSync(Buffer.from("some text ".repeat(90)));
    return [
      Buffer.concat([Buffer.from([7]), varint(900), zstd]),
      Buffer.concat([Buffer.from([0]), Buffer.from("plain")]),
    ];
  },
  run: (bytes) => inflateBlock(bytes.subarray(1), (bytes[0] ?? 0) % 8, 6, "a block").length,
  most: inflated,
};

const literal = Buffer.concat([
  varint(12),
  Buffer.from([2 << 2]),
  Buffer.from("abc"),
  Buffer.from([(5 << 2) | 1, 3]),
]);

const SNAPPY: FuzzTarget = {
  name: "snappy",
  mayThrow: [],
  refuses: isRange,
  seeds: () => [literal],
  words: [Buffer.from([(63 << 2) | 2, 1, 0]), Buffer.from([61 << 2, 0xff, 0xff])],
  run: (bytes) => decodeSnappy(bytes, INFLATED).length,
};

const LZ4: FuzzTarget = {
  name: "lz4",
  mayThrow: [],
  refuses: isRange,
  seeds: () => [Buffer.concat([Buffer.from([0, 0, 0, 22, 0x1f, 0x61, 1, 0, 2]), Buffer.from([0])])],
  words: [Buffer.from([0xff, 0xff, 0xff])],
  run: (bytes) => {
    const size = bytes.length < 4 ? 0 : bytes.readUInt32BE(0) % (INFLATED + 1);
    return decodeLz4(bytes.subarray(4), size).length;
  },
  most: (size) => 1024 * 1024 + 256 * size,
};

const FAMILY: FuzzTarget = {
  name: "rocksdb-family",
  mayThrow: [...READERS, "data/missing", "safety/refused", "host/command-failed"],
  seeds: () => {
    const names = ["CURRENT", "MANIFEST-000015", "000008.sst", "000009.sst", "000014.log"];
    const table = (name: string) =>
      name.endsWith("sst") ? unguarded(corpus(`rocksdb/${name}`)) : corpus(`rocksdb/${name}`);
    return [joinedParts(...names.flatMap((name) => [name, table(name)]))];
  },
  words: [PUT],
  async run(bytes) {
    const parts = partsOf(bytes);
    const files = new Map<string, Buffer>();
    for (let at = 0; at + 1 < parts.length; at += 2) {
      const name = (parts[at] as Buffer).toString("latin1");
      files.set(
        name,
        /^(MANIFEST|.*log$)/.test(name)
          ? mendedLog(Buffer.from(parts[at + 1] as Buffer))
          : (parts[at + 1] as Buffer),
      );
    }
    let made = 0;
    for (const family of ["default", "other"]) made += await readFamily(files, family);
    return made;
  },
  most: inflated,
};

async function readFamily(files: ReadonlyMap<string, Buffer>, family: string): Promise<number> {
  const database: DatabaseFiles = {
    list: async () => new Map([...files].map(([name, content]) => [name, content.length])),
    read: (name) => inPieces(files.get(name) as Buffer),
  };
  const limits = { tableBytes: 2 ** 22, logBytes: 2 ** 22, entries: 10_000, bytes: 2 ** 22 };
  const pairs = await readColumnFamily(database, family, limits, { signal: NEVER });
  return pairs.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
}

const OPTIONS: FuzzTarget = {
  name: "rocksdb-options",
  mayThrow: [],
  seeds: () => [corpus("rocksdb/OPTIONS")],
  words: ["[DBOptions]\n", "[Version]\n", "wal_dir=", "\\"],
  run(bytes) {
    const { excerpt, walDirectory = "" } = parseOptions(bytes.toString());
    return Object.values(excerpt).join("").length + walDirectory.length;
  },
};

const REPORT: FuzzTarget = {
  name: "rocksdb-report",
  mayThrow: ["host/command-failed", "source/failed", "space/low"],
  seeds: () => {
    const fields = (...all: string[]) => Buffer.from(all.map((field) => `${field}\0`).join(""));
    const owner = ["644", "0", "0", "root", "root"];
    const file = (name: string) => ["file", name, "123", "65024", "77", "1796033224.3937997670", ...owner];
    const hello = ["drops-rocksdb-1", "/var/lib/db", "/var/lib/.drops-staging-1", "4711"];
    const frozen = ["frozen", "MANIFEST-000015", "directory", ...owner, "first", "000014.log", "tail", "0"];
    return [
      fields(
        ...hello,
        ...frozen,
        ...file("MANIFEST-000015"),
        ...file("000014.log"),
        ...file("000009.sst"),
        "end",
      ),
      fields(...hello, "again", "moved", "the log was rotated"),
    ];
  },
  words: ["problem\0space\0no space\0", "again\0", "end\0", "file\0"],
  async run(bytes) {
    const fields = new FieldReader(inPieces(bytes));
    const { database } = await readHello(fields);
    const answer = await readAttempt(fields);
    if ("again" in answer) return answer.why.length;
    assert.ok(
      [...answer.files.keys()].every((name) => !name.includes("/")),
      "names stay in their directory",
    );
    return database.length + 200 * answer.files.size;
  },
};

/** Physical records get their checksums, as far as their lengths can be followed. */
function mendedLog(bytes: Buffer): Buffer {
  for (let block = 0; block < bytes.length; block += LOG_BLOCK) {
    const end = Math.min(bytes.length, block + LOG_BLOCK);
    for (let at = block; at + 7 <= end; ) {
      const type = bytes[at + 6] as number;
      const next =
        at + ((type >= 5 && type <= 8) || type === 11 || type === 131 ? 11 : 7) + bytes.readUInt16LE(at + 4);
      if (next > end) break;
      bytes.writeUInt32LE(maskCrc(crc32c(bytes, at + 6, next)), at);
      at = next;
    }
  }
  return bytes;
}

export const ROCKSDB_TARGETS: readonly FuzzTarget[] = [
  ...[MANIFEST, VERSION_EDIT, WAL, WRITE_BATCH, SST, SST_BLOCK, INFLATE],
  ...[SNAPPY, LZ4, FAMILY, OPTIONS, REPORT],
];
