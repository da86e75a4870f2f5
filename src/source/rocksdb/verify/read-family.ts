import { breathe } from "../../../lib/breathe.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import { fileNumber, logNames, tableName } from "../formats/file-names.ts";
import { LogReader } from "../formats/log-file.ts";
import { readPairs } from "../formats/table-block.ts";
import { damaged } from "../formats/table-footer.ts";
import { TableReader } from "../formats/table-reader.ts";
import type { TableFile } from "../formats/version-edit.ts";
import { readBatch } from "../formats/write-batch.ts";
import { type DatabaseFiles, readSmallFile } from "./database-files.ts";
import { type FamilyLimits, FamilyState, type Pair } from "./family-state.ts";
import { type LiveFamily, LiveState } from "./live-set.ts";
import { WalReader } from "./wal.ts";

const MIB = 1024 * 1024;

/** Enough for what a service keeps of its configuration; the logs are those of the whole database. */
export const SMALL_FAMILY: FamilyLimits = {
  tableBytes: 64 * MIB,
  logBytes: 2048 * MIB,
  entries: 100_000,
  bytes: 64 * MIB,
};

const MAX_MANIFEST = 256 * MIB;
const MAX_POINTER = 4096;
const TRAILER = 8;
const BYTEWISE = "leveldb.BytewiseComparator";

/**
 * All keys that one small column family of a database holds, in order, without the library: its tables, and what the
 * write-ahead logs add. For a directory that nobody writes to, as a snapshot captured it or a restore staged it. Throws
 * data/missing when there is no such family or a file is missing, data/damaged, format/unsupported for what this reader
 * lacks (merge operands, values in blob files, transactions in two phases), safety/refused for more than `limits`.
 */
export async function readColumnFamily(
  files: DatabaseFiles,
  name: string,
  limits: FamilyLimits,
  how: Cancel,
): Promise<readonly Pair[]> {
  const sizes = await files.list(how);
  const { family, minLog } = await findFamily(files, sizes, name, how);
  const what = `column family ${name}`;
  const state = new FamilyState(what, limits);
  const size = family.tables.reduce((sum, table) => sum + table.size, 0);
  if (size > limits.tableBytes) {
    throw new DropsError("safety/refused", `${what} has ${size} bytes: that is not a small one`);
  }
  for (const table of family.tables) await readTable(files, sizes, table, state, how);
  const first = Math.max(minLog, family.logNumber);
  const logs = logsFrom(first, sizes, limits);
  for (const log of logs) await readLog(files, log, family.id, state, how);
  return state.pairs();
}

type Sizes = ReadonlyMap<string, number>;

async function findFamily(
  files: DatabaseFiles,
  sizes: Sizes,
  name: string,
  how: Cancel,
): Promise<{ family: LiveFamily; minLog: number }> {
  if (!sizes.has("CURRENT"))
    throw new DropsError("data/missing", "there is no CURRENT file: this is not a database");
  const pointer = await readSmallFile(files, "CURRENT", MAX_POINTER, how);
  const manifest = pointer.toString("utf8").trim();
  if (!/^MANIFEST-\d{1,20}$/.test(manifest)) throw damaged("CURRENT", "it names no MANIFEST");
  const size = sizes.get(manifest);
  if (size === undefined)
    throw new DropsError("data/missing", `CURRENT names ${manifest}, which is not there`);
  if (size > MAX_MANIFEST) throw damaged(manifest, "it is absurdly large");
  const state = new LiveState(manifest);
  const reader = new LogReader(manifest, { record: (bytes, end) => state.apply(bytes, end) });
  for await (const piece of files.read(manifest, how)) reader.push(piece);
  const family = state.family(name);
  if (family === undefined) throw new DropsError("data/missing", `the database has no column family ${name}`);
  return { family, minLog: state.minLog };
}

async function readTable(
  files: DatabaseFiles,
  sizes: Sizes,
  { number, size, path }: TableFile,
  state: FamilyState,
  how: Cancel,
): Promise<void> {
  const name = tableName(number, "sst");
  if (path !== 0 || !sizes.has(name)) throw new DropsError("data/missing", `${name} is not in the directory`);
  if (sizes.get(name) !== size) throw damaged(name, `it has ${sizes.get(name)} bytes instead of ${size}`);
  const bytes = await readSmallFile(files, name, size, how);
  const read = async (offset: number, length: number) => {
    if (offset < 0 || offset + length > bytes.length) throw damaged(name, "it points past its end");
    return bytes.subarray(offset, offset + length);
  };
  const reader = await TableReader.open({ size: bytes.length, read }, name, how);
  const meta = await reader.metaindex();
  const properties = await reader.properties(meta);
  const comparator = properties.text("rocksdb.comparator");
  if (
    (comparator !== undefined && comparator !== BYTEWISE) ||
    properties.has("rocksdb.external_sst_file.version")
  ) {
    throw new DropsError(
      "format/unsupported",
      `${name} is ordered or numbered in a way that this drops cannot read`,
    );
  }
  const dictionary = meta.get("rocksdb.compression_dict");
  const dictionaryBytes =
    dictionary === undefined ? undefined : await reader.open(reader.handle(dictionary), "dictionary");
  for (const handle of await reader.dataHandles(meta, properties)) {
    takePairs(await reader.open(handle, "data block", dictionaryBytes), name, state);
  }
  const ranges = meta.get("rocksdb.range_del");
  if (ranges !== undefined)
    takePairs(await reader.open(reader.handle(ranges), "range deletions"), name, state);
}

/** A key in a table ends in u64: 56 bits of sequence number above 8 bits of type (db/dbformat.h). */
function takePairs(block: Buffer, table: string, state: FamilyState): void {
  for (const { key, value } of readPairs(block, `a data block of ${table}`)) {
    if (key.length < TRAILER) throw damaged(table, "a key in it is too short");
    const packed = key.readBigUInt64LE(key.length - TRAILER);
    const userKey = key.subarray(0, key.length - TRAILER);
    state.take({ key: userKey, value, sequence: packed >> 8n, type: Number(packed & 0xffn) });
  }
}

function logsFrom(first: number, sizes: Sizes, limits: FamilyLimits): readonly string[] {
  const numbered = [...sizes.keys()].filter((name) => /^\d{1,20}\.log$/.test(name));
  const logs = logNames(numbered).filter((name) => fileNumber(name) >= first);
  const total = logs.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
  if (total > limits.logBytes) {
    throw new DropsError("safety/refused", `its write-ahead logs have ${total} bytes: they are not read`);
  }
  return logs;
}

/** A log may end in the middle of a record: what follows was never promised to anybody. */
async function readLog(
  files: DatabaseFiles,
  name: string,
  family: number,
  state: FamilyState,
  how: Cancel,
): Promise<void> {
  const reader = new WalReader(fileNumber(name), name, (batch) => {
    for (const operation of readBatch(batch, `a write batch of ${name}`)) {
      if (operation.family === family) state.take(operation);
    }
  });
  for await (const piece of files.read(name, how)) {
    reader.push(piece);
    await breathe();
  }
  reader.end();
}
