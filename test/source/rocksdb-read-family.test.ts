import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { LogReader } from "../../src/source/rocksdb/formats/log-file.ts";
import { hostDatabase, localDatabase } from "../../src/source/rocksdb/verify/database-files.ts";
import { LiveState } from "../../src/source/rocksdb/verify/live-set.ts";
import { readColumnFamily, SMALL_FAMILY } from "../../src/source/rocksdb/verify/read-family.ts";
import { openRocksdb, type Rocksdb } from "../support/rocksdb-library.ts";
import { until } from "../support/until.ts";

const signal = new AbortController().signal;
const FAMILIES = 40;
/** Uncompressed; zstd; zstd with hash tables in data blocks; the one that batches do not number. */
const LOOKED_AT = ["family-3", "family-8", "family-10", "default"] as const;
const KEYS = 60;

const scratch = mkdtempSync(join(tmpdir(), "drops-read-family-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let directories = 0;
const newDirectory = () => join(scratch, String(++directories));

const open = (directory: string) =>
  openRocksdb(directory, { families: FAMILIES, create: true, memtableBytes: 16 * 1024 });
const keyOf = (at: number) => Buffer.from(`key-${String(at).padStart(3, "0")}`);

type Step =
  | { readonly do: "put"; readonly key: number; readonly size: number }
  | { readonly do: "delete"; readonly key: number }
  | { readonly do: "range"; readonly from: number; readonly to: number }
  | { readonly do: "reopen" }
  | { readonly do: "burst"; readonly size: number };

const key = fc.nat(KEYS - 1);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant("put" as const), key, size: fc.nat(3000) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("range" as const), from: key, to: key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("burst" as const), size: fc.nat(9000) }) },
  ),
  { minLength: 10, maxLength: 120 },
);

class Writer {
  readonly #directory: string;
  readonly #family: string;
  #db: Rocksdb;
  #count = 0;

  private constructor(directory: string, family: string, db: Rocksdb) {
    this.#directory = directory;
    this.#family = family;
    this.#db = db;
  }

  static async open(directory: string, family: string): Promise<Writer> {
    return new Writer(directory, family, await open(directory));
  }

  async step(step: Step): Promise<void> {
    const column = this.#db.columns[this.#family];
    if (step.do === "reopen") return this.reopen();
    if (step.do === "range") {
      const range = { gte: keyOf(step.from).toString(), lt: keyOf(step.to).toString(), column };
      (this.#db as unknown as { _clear(how: object, done: () => void): void })._clear(range, () => {});
      return;
    }
    const batch = this.#db.batch();
    const value = (size: number) => Buffer.alloc(size, `${++this.#count} of a value `);
    if (step.do === "put") batch._put(keyOf(step.key), value(step.size), { column });
    else if (step.do === "delete") batch._del(keyOf(step.key), { column });
    else {
      // Every family, this one too: memtables fill, logs end, and other families' writes lie between.
      for (const each of Object.values(this.#db.columns))
        batch._put(keyOf(this.#count % KEYS), value(step.size), { column: each });
    }
    batch._writeSync({});
    batch._closeSync();
  }

  async reopen(): Promise<void> {
    await this.#db.close();
    this.#db = await open(this.#directory);
  }

  /** What the library answers. */
  read(): Map<string, string> {
    const column = this.#db.columns[this.#family];
    const keys = Array.from({ length: KEYS }, (_, at) => keyOf(at));
    const values = this.#db._getManySync(keys, { column, valueEncoding: "buffer" });
    return new Map(
      keys.flatMap((each, at) => {
        const found = values[at];
        return found === undefined ? [] : [[each.toString(), found.toString("base64")]];
      }),
    );
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}

async function ours(directory: string, family: string): Promise<Map<string, string>> {
  const pairs = await readColumnFamily(localDatabase(directory), family, SMALL_FAMILY, { signal });
  return new Map(pairs.map(({ key: name, value }) => [name.toString(), value.toString("base64")]));
}

test("what the library reads of a family among 40 is read without it, from logs and from tables", async () => {
  const seen = { logs: 0, tables: 0, keys: 0 };
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(...LOOKED_AT), async (all, family) => {
      const directory = newDirectory();
      const writer = await Writer.open(directory, family);
      for (const step of all) await writer.step(step);
      const expected = writer.read();
      await writer.close();
      assert.deepEqual(await ours(directory, family), expected, "with what is in the logs alone");
      seen.logs += readdirSync(directory).some((name) => name.endsWith(".log")) ? 1 : 0;
      const again = await Writer.open(directory, family); // turns logs into tables
      assert.deepEqual(again.read(), expected);
      await again.close();
      assert.deepEqual(await ours(directory, family), expected, "with all of it in tables");
      seen.tables += readdirSync(directory).some((name) => name.endsWith(".sst")) ? 1 : 0;
      seen.keys += expected.size;
      rmSync(directory, { recursive: true });
    }),
    { numRuns: 25 },
  );
  assert.ok(seen.logs > 10 && seen.tables > 10 && seen.keys > 50, JSON.stringify(seen));
});

const hasDictionary = (path: string) => readFileSync(path).includes("rocksdb.compression_dict");

/** Tables of a family that the MANIFEST of a database lists by now. */
async function listedTables(directory: string, family: string): Promise<string[]> {
  const manifest = readFileSync(join(directory, "CURRENT"), "utf8").trim();
  const state = new LiveState(manifest);
  const reader = new LogReader(manifest, { record: (bytes, end) => state.apply(bytes, end) });
  reader.push(readFileSync(join(directory, manifest)));
  const tables = state.family(family)?.tables ?? [];
  return tables.map(({ number }) => join(directory, `${String(number).padStart(6, "0")}.sst`));
}

/**
 * A closed database gets a table with a dictionary. Closing breaks a compaction off and takes away the table that it was about
 * to finish: one that the MANIFEST lists stays.
 */
async function compacted(directory: string, family: string): Promise<void> {
  const db = await open(directory);
  await until("a listed table has a dictionary", async () => {
    try {
      return (await listedTables(directory, family)).some(hasDictionary);
    } catch {
      return false; // a file went away between listing and reading
    }
  });
  await db.close();
  assert.ok((await listedTables(directory, family)).some(hasDictionary));
}

test("levels of many tables, zstd with dictionaries, hash tables in blocks, values overwritten many times", async () => {
  for (const family of ["family-10", "family-8"]) {
    const directory = newDirectory();
    const db = await open(directory);
    const expected = new Map<string, string>();
    for (let count = 0; count < 6000; count++) {
      const column = db.columns[family];
      const batch = db.batch();
      const name = `key-${(count * 7919) % 3000}`;
      const value = `id: bridge ${count}\nurl: http://127.0.0.1:${count}\n${"namespaces: users, aliases ".repeat(20)}`;
      if (count % 9 === 0) batch._del(Buffer.from(name), { column });
      else batch._put(Buffer.from(name), Buffer.from(value), { column });
      if (count % 9 === 0) expected.delete(name);
      else expected.set(name, Buffer.from(value).toString("base64"));
      batch._writeSync({});
      batch._closeSync();
    }
    await db.close();
    await compacted(directory, family);
    const found = await ours(directory, family);
    assert.equal(found.size, expected.size);
    for (const [name, value] of expected) assert.equal(found.get(name), value, name);
  }
});

/** A small database, closed, whose family-3 holds ten keys in tables and ten in the log. */
async function smallDatabase(): Promise<string> {
  const directory = newDirectory();
  const writer = await Writer.open(directory, "family-3");
  for (let at = 0; at < 10; at++) await writer.step({ do: "put", key: at, size: 100 });
  await writer.reopen();
  for (let at = 10; at < 20; at++) await writer.step({ do: "put", key: at, size: 100 });
  await writer.close();
  return directory;
}

test("a host's directory is read like a local one, and only the tables of the family", async () => {
  const directory = await smallDatabase();
  await using host = await openLocalHost();
  const files = hostDatabase(host, directory);
  const read: string[] = [];
  const counting = {
    list: files.list,
    read: (name: string, how: { readonly signal: AbortSignal }) => {
      read.push(name);
      return files.read(name, how);
    },
  };
  const pairs = await readColumnFamily(counting, "family-3", SMALL_FAMILY, { signal });
  assert.deepEqual(
    pairs.map(({ key: name }) => name.toString()),
    Array.from({ length: 20 }, (_, at) => keyOf(at).toString()),
  );
  assert.equal(read.filter((name) => name.endsWith(".sst")).length, 1, read.join(" "));
});

const nameOf = (directory: string, ending: RegExp) =>
  readdirSync(directory)
    .filter((name) => ending.test(name))
    .sort()
    .at(-1) ?? "";

const damages: readonly {
  readonly name: string;
  readonly change: (directory: string) => void;
  readonly family?: string;
  readonly code: "data/damaged" | "data/missing" | "safety/refused";
  readonly limits?: Partial<typeof SMALL_FAMILY>;
}[] = [
  { name: "no such family", change: () => {}, family: "family-99", code: "data/missing" },
  {
    name: "no CURRENT",
    change: (directory) => rmSync(join(directory, "CURRENT")),
    code: "data/missing",
  },
  {
    name: "a CURRENT that points out of the directory",
    change: (directory) => writeFileSync(join(directory, "CURRENT"), "../../etc/passwd\n"),
    code: "data/damaged",
  },
  {
    name: "a MANIFEST that is gone",
    change: (directory) => writeFileSync(join(directory, "CURRENT"), "MANIFEST-999999\n"),
    code: "data/missing",
  },
  {
    name: "a table that is gone",
    change: (directory) => rmSync(join(directory, nameOf(directory, /\.sst$/))),
    code: "data/missing",
  },
  {
    name: "a table that was cut",
    change: (directory) => truncateSync(join(directory, nameOf(directory, /\.sst$/)), 100),
    code: "data/damaged",
  },
  {
    name: "a flipped bit in the middle of the table",
    change: (directory) => {
      const path = join(directory, nameOf(directory, /\.sst$/));
      const bytes = readFileSync(path);
      bytes[20] = (bytes[20] as number) ^ 1;
      writeFileSync(path, bytes);
    },
    code: "data/damaged",
  },
  {
    name: "a flipped bit in the log",
    change: (directory) => {
      const path = join(directory, nameOf(directory, /\.log$/));
      const bytes = readFileSync(path);
      bytes[40] = (bytes[40] as number) ^ 1;
      writeFileSync(path, bytes);
    },
    code: "data/damaged",
  },
  { name: "tables over the limit", change: () => {}, limits: { tableBytes: 10 }, code: "safety/refused" },
  { name: "logs over the limit", change: () => {}, limits: { logBytes: 10 }, code: "safety/refused" },
  { name: "too many keys", change: () => {}, limits: { entries: 5 }, code: "safety/refused" },
  { name: "too many bytes", change: () => {}, limits: { bytes: 500 }, code: "safety/refused" },
];
for (const { name, change, family, code, limits } of damages) {
  test(`${name}: ${code}`, async () => {
    const directory = await smallDatabase();
    change(directory);
    const files = localDatabase(directory);
    await assert.rejects(
      readColumnFamily(files, family ?? "family-3", { ...SMALL_FAMILY, ...limits }, { signal }),
      (error) => isFailure(error, code) || assert.fail(String(error)),
    );
  });
}

test("a log that ends in the middle of a record gives what was whole", async () => {
  const directory = await smallDatabase();
  const path = join(directory, nameOf(directory, /\.log$/));
  truncateSync(path, readFileSync(path).length - 3);
  assert.equal((await ours(directory, "family-3")).size, 19);
});
