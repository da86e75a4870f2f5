/** A tar stream written header by header: pax with GNU's sparse files, for `tar --extract --xattrs` of GNU tar 1.28 or newer. */
import type { EntryType, ManifestEntry } from "../snapshot/entry.ts";
import { BLOCK, headerSum, paddingOf } from "../source/files/tar-header.ts";
import { formatPax, formatPaxTime, xattrKey } from "../source/files/tar-pax.ts";
import { type DataSegment, formatSparseMap } from "../source/files/tar-sparse.ts";

/** What the tar says of one file. `size` is the length of its content, holes included; 0 for what has none. */
export type TarHead = Omit<ManifestEntry, "same" | "sparse" | "holes" | "chunks">;

/** The two blocks of zeros that end a tar stream. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);

const FLAGS: Readonly<Record<EntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  dir: "5",
  fifo: "6",
};
const NOTHING = Buffer.alloc(0);
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

/**
 * Everything that stands before the content of `entry`. The content follows, then `tarPadding` of its length. With
 * `segments` (ascending, apart, inside the size) the file is written as sparse: its content is then only the bytes of
 * the segments, one after the other.
 */
export function tarHeader(entry: TarHead, segments?: readonly DataSegment[]): Buffer {
  const sparse = entry.type === "file" ? segments : undefined;
  const map = sparse === undefined ? NOTHING : formatSparseMap(sparse, entry.size);
  const stored = map.length + (sparse === undefined ? contentSize(entry) : dataSize(sparse));
  const header = block(
    entry,
    stored,
    sparse === undefined ? entry.path : Buffer.from("./GNUSparseFile.0/data"),
  );
  const pax = formatPax(paxRecords(entry, stored, sparse));
  return Buffer.concat([...paxHeader(pax), header, map]);
}

/** The zeros that follow `size` bytes of content. */
export function tarPadding(size: number): Buffer {
  return TAR_END.subarray(0, paddingOf(size));
}

function contentSize(entry: TarHead): number {
  return entry.type === "file" ? entry.size : 0;
}

function dataSize(segments: readonly DataSegment[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0);
}

function paxHeader(content: Buffer): Buffer[] {
  if (content.length === 0) return [];
  const header = emptyBlock("x", Buffer.from("././@PaxHeader"));
  writeNumbers(header, { mode: 0o644, uid: 0, gid: 0, size: content.length, mtime: 0 });
  return [seal(header), content, tarPadding(content.length)];
}

/** What the ustar block cannot hold, or not for certain. */
function paxRecords(
  entry: TarHead,
  stored: number,
  segments: readonly DataSegment[] | undefined,
): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  const set = (needed: boolean, key: string, value: string | Buffer) => {
    if (needed) records.set(key, typeof value === "string" ? Buffer.from(value) : value);
  };
  const isSparse = segments !== undefined;
  const { path, target = NOTHING, mtime, uid, gid, user = "", group = "" } = entry;
  set(isSparse, "GNU.sparse.major", "1");
  set(isSparse, "GNU.sparse.minor", "0");
  set(isSparse, "GNU.sparse.name", path);
  set(isSparse, "GNU.sparse.realsize", String(entry.size));
  set(!isSparse && path.length > 100, "path", path);
  set(target.length > 100, "linkpath", target);
  set(stored > MAX_OCTAL_11, "size", String(stored));
  set(mtime % 1_000_000_000n !== 0n || !isOctalTime(mtime), "mtime", formatPaxTime(mtime));
  set(uid > MAX_OCTAL_7, "uid", String(uid));
  set(gid > MAX_OCTAL_7, "gid", String(gid));
  set(!isPlainName(user), "uname", user);
  set(!isPlainName(group), "gname", group);
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) set(true, xattrKey(name), value);
  return records;
}

function block(entry: TarHead, stored: number, path: Buffer): Buffer {
  const header = emptyBlock(FLAGS[entry.type], path);
  writeNumbers(header, {
    mode: entry.mode & 0o7777,
    uid: fitting(entry.uid, MAX_OCTAL_7),
    gid: fitting(entry.gid, MAX_OCTAL_7),
    size: fitting(stored, MAX_OCTAL_11),
    mtime: isOctalTime(entry.mtime) ? Number(entry.mtime / 1_000_000_000n) : 0,
  });
  entry.target?.copy(header, 157, 0, 100);
  if (entry.user !== undefined && isPlainName(entry.user)) header.write(entry.user, 265, "latin1");
  if (entry.group !== undefined && isPlainName(entry.group)) header.write(entry.group, 297, "latin1");
  return seal(header);
}

function emptyBlock(flag: string, path: Buffer): Buffer {
  const header = Buffer.alloc(BLOCK);
  path.copy(header, 0, 0, 100);
  header.write(flag, 156, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  return header;
}

function writeNumbers(
  header: Buffer,
  numbers: { mode: number; uid: number; gid: number; size: number; mtime: number },
): void {
  octal(header, 100, 7, numbers.mode);
  octal(header, 108, 7, numbers.uid);
  octal(header, 116, 7, numbers.gid);
  octal(header, 124, 11, numbers.size);
  octal(header, 136, 11, numbers.mtime);
  octal(header, 329, 7, 0);
  octal(header, 337, 7, 0);
}

function octal(header: Buffer, at: number, digits: number, value: number): void {
  header.write(value.toString(8).padStart(digits, "0"), at, digits, "latin1");
}

function seal(header: Buffer): Buffer {
  header.write(`${headerSum(header).toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return header;
}

/** A number that does not fit stands in the pax header, which overrides this field. */
function fitting(value: number, most: number): number {
  return value > most ? 0 : value;
}

function isOctalTime(mtime: bigint): boolean {
  return mtime >= 0n && mtime / 1_000_000_000n <= BigInt(MAX_OCTAL_11);
}

function isPlainName(name: string): boolean {
  return name.length < 32 && /^[\x21-\x7e]*$/.test(name);
}
