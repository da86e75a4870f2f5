import { DropsError } from "../../../lib/errors.ts";
import { type BlockChecksum, CHECKSUM_NAMES, contextModifier } from "./block-checksum.ts";
import { Cursor } from "./cursor.ts";

/** Where a block lies; its 5 bytes of trailer are not counted. */
export interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

/** The end of a block-based table (table/format.cc Footer::DecodeFrom). */
export interface TableFooter {
  readonly formatVersion: number;
  readonly checksum: number;
  /** Where the footer begins: blocks fill everything before it. */
  readonly offset: number;
  readonly metaindex: BlockHandle;
  /** From format 6 on the metaindex has it instead. */
  readonly index: BlockHandle | undefined;
  /** See contextModifier. */
  readonly base: number;
}

export const FOOTER_SIZE = 53;
export const TRAILER_SIZE = 5;
const LEGACY_FOOTER_SIZE = 48;
const MAGIC = 0x88e241b785f4cff7n;
const LEGACY_MAGIC = 0xdb4775248b80fb57n;
const NEWEST_FORMAT = 7;
const EXTENDED = Buffer.from([0x3e, 0x00, 0x7a, 0x00]);

/**
 * Reads the footer from the last 53 bytes (or all, when there are fewer) of a table of `fileSize` bytes. Throws
 * data/damaged when it is none, format/unsupported when it is newer than this reader.
 */
export function parseFooter(
  end: Buffer,
  fileSize: number,
  what: string,
  checksumOf: BlockChecksum,
): TableFooter {
  if (end.length < LEGACY_FOOTER_SIZE) throw damaged(what, "it is too short for a table");
  const magic = end.readBigUInt64LE(end.length - 8);
  if (magic === LEGACY_MAGIC) return legacy(end.subarray(-LEGACY_FOOTER_SIZE), fileSize, what);
  if (magic !== MAGIC || end.length < FOOTER_SIZE) throw damaged(what, "it does not end as a table does");
  const formatVersion = end.readUInt32LE(41);
  const checksum = end[0] as number;
  if (formatVersion > NEWEST_FORMAT || checksum >= CHECKSUM_NAMES.length) {
    const text = `${what} has table format ${formatVersion} with checksum kind ${checksum}, which this version of drops cannot read`;
    throw new DropsError("format/unsupported", text);
  }
  const offset = fileSize - FOOTER_SIZE;
  const head = { formatVersion, checksum, offset };
  if (formatVersion >= 6) return { ...head, ...extended(end, head, what, checksumOf) };
  const [metaindex, index] = handles(end.subarray(1, 41), what);
  return { ...head, metaindex, index, base: 0 };
}

function legacy(footer: Buffer, fileSize: number, what: string): TableFooter {
  const [metaindex, index] = handles(footer.subarray(0, 40), what);
  const offset = fileSize - LEGACY_FOOTER_SIZE;
  return { formatVersion: 0, checksum: 1, offset, metaindex, index, base: 0 };
}

function handles(part: Buffer, what: string): readonly [BlockHandle, BlockHandle] {
  const cursor = new Cursor(part, `the footer of ${what}`);
  return [readHandle(cursor), readHandle(cursor)];
}

function extended(
  end: Buffer,
  { checksum, offset }: { checksum: number; offset: number },
  what: string,
  checksumOf: BlockChecksum,
): Pick<TableFooter, "metaindex" | "index" | "base"> {
  if (!end.subarray(1, 5).equals(EXTENDED)) throw damaged(what, "its footer is malformed");
  const stored = end.readUInt32LE(5);
  const base = end.readUInt32LE(9);
  const size = end.readUInt32LE(13);
  const blank = Buffer.from(end);
  blank.fill(0, 5, 9);
  const computed = (checksumOf(checksum, blank) + contextModifier(base, offset)) >>> 0;
  if (checksum !== 0 && computed !== stored) throw damaged(what, "the checksum of its footer is wrong");
  const metaindex = { offset: offset - TRAILER_SIZE - size, size };
  if (metaindex.offset < 0) throw damaged(what, "its footer points before its beginning");
  return { metaindex, index: undefined, base };
}

export function readHandle(cursor: Cursor): BlockHandle {
  return { offset: cursor.varint(), size: cursor.varint() };
}

export function damaged(what: string, why: string): DropsError {
  return new DropsError("data/damaged", `${what} is damaged: ${why}`);
}
