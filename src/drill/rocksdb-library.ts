/**
 * A program of its own, run in the sandbox: opens a database directory with the real RocksDB library, reads every key and
 * value of every column family, and prints a line of JSON. What the library does with hostile bytes then happens where
 * it can do little harm. It changes the directory. Arguments: directory, names of the families as JSON, file to resolve the library from.
 */
import { createRequire } from "node:module";

interface Iterator {
  nextv(size: number): Promise<[Buffer, Buffer][]>;
  close(): Promise<void>;
}

interface Rocksdb {
  readonly columns: Readonly<Record<string, unknown>>;
  readonly sequence: number | bigint;
  open(): Promise<void>;
  close(): Promise<void>;
  iterator(how: object): Iterator;
}

type RocksLevel = new (directory: string, options: object) => Rocksdb;

/** Rows and bytes that are held at once. */
const ROWS = 1000;
const BYTES = 4 * 1024 * 1024;

const [directory = "", families = "[]", from = import.meta.url] = process.argv.slice(2);
try {
  const told = await readWhole(directory, JSON.parse(families) as string[], from);
  process.stdout.write(`${JSON.stringify(told)}\n`);
} catch (error) {
  process.stderr.write(`${inOneLine(error)}\n`);
  process.exitCode = 1;
}

async function readWhole(directory: string, names: readonly string[], from: string) {
  const { RocksLevel } = createRequire(from)("@nxtedition/rocksdb") as { RocksLevel: RocksLevel };
  const db = new RocksLevel(directory, {
    columns: Object.fromEntries(names.map((name) => [name, {}])),
    createIfMissing: false,
    parallelism: 1,
  });
  await db.open();
  let keys = 0;
  let bytes = 0;
  for (const name of names) {
    const read = { keyEncoding: "buffer", valueEncoding: "buffer", highWaterMarkBytes: BYTES };
    const iterator = db.iterator({ ...read, column: db.columns[name] });
    for (let rows = await iterator.nextv(ROWS); rows.length > 0; rows = await iterator.nextv(ROWS)) {
      keys += rows.length;
      for (const [key, value] of rows) bytes += key.length + value.length;
    }
    await iterator.close();
  }
  const { sequence } = db;
  await db.close();
  return { families: names.length, keys, bytes, sequence: String(sequence) };
}

/** The library's own words are the cause of what its wrapper throws. */
function inOneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const words = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
  return words.replaceAll(/\s+/g, " ");
}
