import type { FileListing } from "../files/listing.ts";

/** What SQLite keeps beside a database that is in use: https://sqlite.org/tempfiles.html */
const COMPANIONS = ["-wal", "-shm", "-journal"] as const;
/** What databases of SQLite are usually called. Others are found by what lies beside them, or when they are read. */
const USUAL = [".db", ".sqlite", ".sqlite3", ".db3", ".s3db"].map((ending) => Buffer.from(ending));
/** Smaller is none: https://sqlite.org/fileformat.html, the smallest page. Bytes. */
const SMALLEST = 512;

/** Positions of a listing that may be databases of SQLite, by their names and by what lies beside them. */
export function candidatesIn(listing: FileListing): number[] {
  const found = new Set<number>();
  for (let position = 0; position < listing.length; position++) {
    if (listing.kind(position) !== "f") continue;
    const path = listing.path(position);
    if (USUAL.some((ending) => endsWith(path, ending))) found.add(position);
    const base = baseOf(path);
    const owner = base && positionOf(listing, base, position);
    if (owner !== undefined) found.add(owner);
  }
  return [...found]
    .filter((position) => listing.kind(position) === "f" && listing.size(position) >= SMALLEST)
    .sort((a, b) => a - b);
}

/** Positions of what lies beside the database at a position and is a part of it. */
export function companionsOf(listing: FileListing, position: number): number[] {
  const path = Buffer.from(listing.path(position));
  const names = COMPANIONS.map((ending) => Buffer.concat([path, Buffer.from(ending)]));
  return names.flatMap((name) => positionOf(listing, name, listing.length) ?? []);
}

/** The path of the database that a file is a part of by its name; undefined for other names. */
export function databaseOf(path: string): string | undefined {
  const ending = COMPANIONS.find((each) => path.endsWith(each));
  return ending && path.slice(0, -ending.length);
}

function baseOf(path: Buffer): Buffer | undefined {
  const ending = COMPANIONS.find((each) => endsWith(path, Buffer.from(each)));
  return ending && path.subarray(0, path.length - ending.length);
}

function endsWith(path: Buffer, ending: Buffer): boolean {
  return path.length > ending.length && path.subarray(path.length - ending.length).equals(ending);
}

/** Of a path, before a position; the listing is sorted by path bytes. */
function positionOf(listing: FileListing, path: Buffer, before: number): number | undefined {
  let [low, high] = [0, before];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = listing.comparePath(middle, path);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}
