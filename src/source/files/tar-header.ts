/**
 * Header blocks of POSIX ustar with GNU's extensions (https://www.gnu.org/software/tar/manual/html_node/Standard.html).
 * Read here byte by byte and not with a library's decoder: names are bytes of any value, and a name that was cut at 100
 * bytes may end in a slash without being a directory.
 */
import { DropsError } from "../../lib/errors.ts";

export const BLOCK = 512;

const CHECKSUM_AT = 148;
const SPACE = 0x20;

export interface TarHeader {
  readonly path: Buffer;
  readonly target: Buffer;
  /** The type flag: `0` file, `1` hard link, `2` symlink, `5` directory, `6` fifo, `x` pax header, `L` long name, … */
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly group: string;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

/** The header in a block, or undefined for a block of zeros. Throws data/damaged when its checksum does not match. */
export function decodeHeader(block: Buffer): TarHeader | undefined {
  if (!isHeader(block)) return undefined;
  const flag = String.fromCharCode(block[156] ?? 0);
  const name = cString(block, 0, 100);
  // `ustar\0` has a prefix field; GNU's own `ustar  ` uses the place for other things
  const prefix =
    block.toString("latin1", 257, 263) === "ustar\0" ? cString(block, 345, 155) : Buffer.alloc(0);
  return {
    path: Buffer.concat(prefix.length === 0 ? [name] : [prefix, Buffer.from("/"), name]),
    target: Buffer.from(cString(block, 157, 100)),
    flag: flag === "\0" || flag === "7" ? "0" : flag,
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    user: cString(block, 265, 32).toString(),
    group: cString(block, 297, 32).toString(),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
  };
}

/** Sum of a header's bytes, its checksum field taken as spaces. */
export function headerSum(block: Buffer): number {
  let sum = 8 * SPACE;
  for (let at = 0; at < CHECKSUM_AT; at++) sum += block[at] as number;
  for (let at = CHECKSUM_AT + 8; at < BLOCK; at++) sum += block[at] as number;
  return sum;
}

/** How many bytes of zeros follow `size` bytes of content. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

export function damagedTar(what: string): DropsError {
  return new DropsError("data/damaged", `a tar stream ${what}`);
}

function isHeader(block: Buffer): boolean {
  const sum = headerSum(block);
  if (sum === 8 * SPACE && block[CHECKSUM_AT] === 0) return false;
  if (number(block, CHECKSUM_AT, 8) !== sum) throw damagedTar("has a header whose checksum does not match");
  return true;
}

function cString(block: Buffer, at: number, size: number): Buffer {
  const field = block.subarray(at, at + size);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/** Octal digits between spaces and NULs, or GNU's base-256: the first byte's high bit set, then big-endian two's complement. */
function number(block: Buffer, from: number, size: number): number {
  const end = from + size;
  const first = block[from] as number;
  if ((first & 0x80) !== 0) return base256(block.subarray(from, end), first);
  let at = from;
  while (at < end && block[at] === SPACE) at++;
  let value = 0;
  for (; at < end && isOctal(block[at] as number); at++) value = value * 8 + (block[at] as number) - 0x30;
  for (; at < end; at++) {
    if (block[at] !== 0 && block[at] !== SPACE) throw damagedTar("has a header with a malformed number");
  }
  return value;
}

function isOctal(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x37;
}

function base256(field: Buffer, first: number): number {
  const negative = first === 0xff;
  let value = negative ? -1n : BigInt(first & 0x7f);
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
  if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER)
    throw damagedTar("has a header with a number out of range");
  return Number(value);
}
