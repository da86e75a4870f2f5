import assert from "node:assert/strict";
import { createRequire } from "node:module";

/** The real library, for tests alone: RocksDB 9.7.4 as the Node binding @nxtedition/rocksdb brings it. */

/** Ring keys hold the last so many batch numbers. */
export const RING = 400;

interface Batch {
  _put(key: Buffer, value: Buffer, how: { column: unknown }): void;
  _del(key: Buffer, how: { column: unknown }): void;
  _writeSync(how: { sync?: boolean }): void;
  _closeSync(): void;
}

export interface Rocksdb {
  readonly columns: Readonly<Record<string, unknown>>;
  readonly sequence: number | bigint;
  open(): Promise<void>;
  close(): Promise<void>;
  batch(): Batch;
  getProperty(name: string): string;
  _getManySync(keys: Buffer[], how: { column: unknown; valueEncoding: "buffer" }): (Buffer | undefined)[];
}

type Constructor = new (directory: string, options: object) => Rocksdb;

export function familyNames(families: number): readonly string[] {
  return ["default", ...Array.from({ length: families - 1 }, (_, at) => `family-${at + 1}`)];
}

export interface OpenHow {
  readonly create?: boolean;
  readonly walCompression?: boolean;
  readonly memtableBytes?: number;
}

/** Open read-write, with memtables and levels so small that flush and compaction never rest. */
export function openRocksdb(directory: string, how: OpenHow & { families: number }): Promise<Rocksdb> {
  return openFamilies(directory, familyNames(how.families), how);
}

/** The same, with families of these names, `default` among them. */
export async function openFamilies(
  directory: string,
  names: readonly string[],
  how: OpenHow,
): Promise<Rocksdb> {
  const { RocksLevel } = createRequire(import.meta.url)("@nxtedition/rocksdb") as { RocksLevel: Constructor };
  const family = (at: number) => ({
    compaction: "level",
    memtableMemoryBudget: 4 * (how.memtableBytes ?? 64 * 1024 * (1 + (at % 3))),
    compression: at % 2 === 0,
    optimize: at % 5 === 0 ? "point-lookup" : "",
    cacheSize: 0,
    blockSize: 1024,
  });
  const db = new RocksLevel(directory, {
    columns: Object.fromEntries(names.map((name, at) => [name, family(at)])),
    createIfMissing: how.create ?? false,
    walCompression: how.walCompression ?? true,
    walSizeLimit: 2_000_000_000,
    parallelism: 2,
  });
  await db.open();
  return db;
}

/**
 * Open a copy of a snapshot with the real library (this changes it: never give it the original) and check that it is one
 * state: every family holds the same batch, the ring has no hole, nothing published before the snapshot is missing.
 * Returns the batch and the library's sequence number. Throws AssertionError.
 */
export async function openAndCheck(
  directory: string,
  how: { families: number; published: number },
): Promise<{ counter: number; sequence: bigint }> {
  const db = await openRocksdb(directory, { families: how.families });
  try {
    const counter = checkFamilies(db, familyNames(how.families));
    assert.ok(counter >= how.published, `holds ${counter}, ${how.published} was published`);
    return { counter, sequence: BigInt(db.sequence) };
  } finally {
    await db.close();
  }
}

/** All families hold the same batch, and no ring has a hole; the batch. Throws AssertionError. */
export function checkFamilies(db: Rocksdb, names: readonly string[]): number {
  let counter: number | undefined;
  for (const name of names) {
    const found = checkFamily(db, name, counter);
    counter ??= found;
  }
  return counter ?? 0;
}

function checkFamily(db: Rocksdb, name: string, expected: number | undefined): number {
  const column = db.columns[name];
  const read = (keys: Buffer[]) => db._getManySync(keys, { column, valueEncoding: "buffer" });
  const counter = Number(read([Buffer.from("counter")])[0]?.toString());
  assert.ok(counter > 0, `${name} holds no counter`);
  assert.equal(counter, expected ?? counter, `${name} holds another batch than the families before`);
  const numbers = Array.from({ length: Math.min(RING, counter) }, (_, back) => counter - back);
  const values = read(numbers.map((number) => Buffer.from(`ring/${number % RING}`)));
  values.forEach((value, at) => {
    assert.equal(
      Number.parseInt(value?.toString() ?? "", 10),
      numbers[at],
      `${name} has a hole at ${numbers[at]}`,
    );
  });
  return counter;
}
