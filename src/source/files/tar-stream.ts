import { ByteInput } from "../../lib/byte-input.ts";
import type { EntryType, Hole } from "../../snapshot/entry.ts";
import { openContent } from "./tar-content.ts";
import { BLOCK, damagedTar, decodeHeader, paddingOf, type TarHeader } from "./tar-header.ts";
import { type PaxRecords, paxNumber, paxTime, xattrsOf } from "./tar-pax.ts";
import { type ReadPax, readPax } from "./tar-pax-input.ts";

const MAX_NAME = 64 * 1024;
const MAX_ID = 2 ** 32 - 1;
/** Records that hold for all entries after them: every entry has a copy. GNU tar writes none unless it is asked to. */
const MAX_GLOBALS = 100;
const NO_RECORDS: PaxRecords = new Map();
const TYPES: Readonly<Record<string, TarEntry["type"]>> = {
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "device",
  "4": "device",
  "5": "dir",
  "6": "fifo",
};

/** One entry of a tar stream. `path` and `target` are raw bytes as they stand there, `mtime` nanoseconds since 1970. */
export interface TarEntry {
  readonly path: Buffer;
  readonly type: EntryType | "device";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly mtime: bigint;
  /** Length of the content, holes included. */
  readonly size: number;
  readonly target: Buffer | undefined;
  readonly xattrs: Readonly<Record<string, Buffer>> | undefined;
  /** There are more extended attributes than are held, and `xattrs` has none of them. */
  readonly lacksXattrs: boolean;
  readonly sparse: boolean;
  /** What of the content is not in `data` and reads as zeros: long holes of a sparse file, in ascending order. */
  readonly holes: readonly Hole[] | undefined;
  /** Why the content cannot be had, though tar wrote it: `data` is empty then. */
  readonly unusable: string | undefined;
  /** Read once, before the next entry is pulled; what is left unread is skipped then. A view is valid until the next pull. */
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * The entries of a tar stream: ustar, pax (path, linkpath, size, mtime, owners, xattrs, sparse 1.0) and GNU's long names.
 * Nothing is read ahead of who pulls, and content is handed out as views of the incoming buffers. Leaving early closes
 * the stream; reading to the end reads what follows the trailer too.
 *
 * @throws DropsError data/damaged: cut off, wrong checksum, malformed or oversized headers, a kind that is not known
 */
export async function* readTar(stream: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const input = new ByteInput(stream, () => damagedTar("ended before its trailer"));
  let globals = NO_RECORDS;
  try {
    for (;;) {
      const { header, before } = await nextHeader(input);
      if (before.g) globals = merged(globals, before.g.records);
      if (globals.size > MAX_GLOBALS) throw damagedTar("has too many global headers");
      if (!header) break;
      const records = merged(globals, before.x?.records ?? NO_RECORDS);
      const { entry, skipRest } = await openEntry(input, header, records, before);
      yield entry;
      await skipRest();
    }
    await input.drain();
  } finally {
    await input.close();
  }
}

/** Contents of the headers that speak about the entry after them. */
interface Extensions {
  readonly g?: ReadPax;
  readonly x?: ReadPax;
  readonly L?: Buffer;
  readonly K?: Buffer;
}

/** The next entry's header with those before it; without a header at the trailer. */
async function nextHeader(input: ByteInput): Promise<{ header: TarHeader | undefined; before: Extensions }> {
  let before: Extensions = {};
  for (;;) {
    const header = decodeHeader(await input.take(BLOCK));
    if (!header) break;
    if (!"gxLK".includes(header.flag)) return { header, before };
    const isPax = header.flag === "g" || header.flag === "x";
    const read = isPax ? await readPax(input, header.size) : await longName(input, header.size);
    before = { ...before, [header.flag]: read };
  }
  if (decodeHeader(await input.take(BLOCK))) throw damagedTar("has a block of zeros in its middle");
  return { header: undefined, before };
}

async function longName(input: ByteInput, size: number): Promise<Buffer> {
  if (size < 0 || size > MAX_NAME) throw damagedTar("has a name that is too long");
  const name = Buffer.from(await input.take(size));
  await input.skip(paddingOf(size));
  return name;
}

async function openEntry(input: ByteInput, header: TarHeader, records: PaxRecords, long: Extensions) {
  const type = TYPES[header.flag];
  if (!type) throw damagedTar(`has an entry of the unknown kind ${JSON.stringify(header.flag)}`);
  const stored = type === "file" ? storedSize(header, records) : 0;
  const content = await openContent(input, stored, records);
  const entry: TarEntry = {
    path: pathOf(header, records, long),
    type,
    mode: header.mode,
    uid: paxNumber(records, "uid", MAX_ID) ?? header.uid,
    gid: paxNumber(records, "gid", MAX_ID) ?? header.gid,
    user: nonEmpty(records.get("uname")?.toString() ?? header.user),
    group: nonEmpty(records.get("gname")?.toString() ?? header.group),
    mtime: paxTime(records, "mtime") ?? BigInt(header.mtime) * 1_000_000_000n,
    size: content.size,
    target:
      type === "symlink" || type === "hardlink"
        ? (records.get("linkpath") ?? untilZero(long.K) ?? header.target)
        : undefined,
    xattrs: xattrsOf(records),
    lacksXattrs: long.x?.isCut ?? false,
    sparse: content.sparse,
    holes: content.holes,
    unusable: content.unusable,
    data: content.read(),
  };
  return { entry, skipRest: () => content.skipRest() };
}

function pathOf(header: TarHeader, records: PaxRecords, long: Extensions): Buffer {
  const path = records.get("GNU.sparse.name") ?? records.get("path") ?? untilZero(long.L) ?? header.path;
  if (path.length === 0) throw damagedTar("has an entry without a name");
  return path;
}

function storedSize(header: TarHeader, records: PaxRecords): number {
  const size = paxNumber(records, "size") ?? header.size;
  if (size < 0) throw damagedTar("has an entry of negative size");
  return size;
}

function merged(first: PaxRecords, second: PaxRecords): PaxRecords {
  if (first.size === 0) return second;
  return second.size === 0 ? first : new Map([...first, ...second]);
}

function untilZero(name: Buffer | undefined): Buffer | undefined {
  const end = name?.indexOf(0) ?? -1;
  return end < 0 ? name : name?.subarray(0, end);
}

function nonEmpty(text: string): string | undefined {
  return text === "" ? undefined : text;
}
