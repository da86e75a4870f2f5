/** What `find -printf` is asked to say of each file, and reading it back. */

import { breathe } from "../../lib/breathe.ts";
import { DropsError } from "../../lib/errors.ts";
import { MAX_PATH } from "../../snapshot/entry.ts";
import { Few } from "./few.ts";
import type { FileKind, FileListing, ListedFile } from "./listing.ts";

/** Kind, mode, user, group, size, mtime, ctime, inode, device, links; then path and link target, each ended by NUL. */
export const FIND_FORMAT = "%y %m %U %G %s %T@ %C@ %i %D %n %p\\0%l\\0";

const MAX_RECORD = 64 * 1024;
/** Without the NUL that a system call takes them with. Bytes. */
const LONGEST_PATH = MAX_PATH - 1;
/** Files that are not listed. */
export interface UnlistedFiles {
  /** Paths, or targets of symlinks, that no system call takes. */
  readonly long: Few;
  /** Sizes that no manifest holds: 8 PiB and more. */
  readonly large: Few;
}

const SPACE = 0x20;
const DOT = 0x2e;
const MINUS = 0x2d;
const ZERO = 0x30;

/** What a listing is held in memory for at most: files, and bytes of their paths. */
export interface ListingBounds {
  readonly files: number;
  readonly bytes: number;
}

const BOUNDS: ListingBounds = { files: 20_000_000, bytes: 2 ** 32 };

/**
 * Add every file that the stream names to `into`, paths relative to `/`. What cannot be asked for by its path, or is too
 * large for a manifest, is left out, and answered.
 *
 * @throws DropsError host/command-failed on anything else; source/failed when it is more than `bounds`
 */
export async function readFindOutput(
  stream: AsyncIterable<Uint8Array>,
  into: FileListing,
  bounds = BOUNDS,
): Promise<UnlistedFiles> {
  const leftOut: UnlistedFiles = { long: new Few(), large: new Few() };
  let rest: Buffer = Buffer.alloc(0);
  for await (const { buffer, byteOffset, byteLength } of stream) {
    const piece = Buffer.from(buffer, byteOffset, byteLength);
    const whole = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    rest = Buffer.from(whole.subarray(addRecords(whole, into, leftOut)));
    if (rest.length > MAX_RECORD) throw malformed();
    await breathe();
    if (into.length > bounds.files || into.pathBytes > bounds.bytes) throw tooMany(bounds);
  }
  if (rest.length > 0) throw malformed();
  return leftOut;
}

/** Where the first record begins that is not whole. */
function addRecords(bytes: Buffer, into: FileListing, leftOut: UnlistedFiles): number {
  const fields = new Fields(bytes);
  for (let start = 0; ; ) {
    const pathEnd = bytes.indexOf(0, start);
    const end = pathEnd < 0 ? -1 : bytes.indexOf(0, pathEnd + 1);
    if (end < 0) return start;
    addRecord(fields.from(start), pathEnd, end, into, leftOut);
    start = end + 1;
  }
}

function addRecord(
  fields: Fields,
  pathEnd: number,
  end: number,
  into: FileListing,
  leftOut: UnlistedFiles,
): void {
  const kind = fields.letter();
  const file: ListedFile = {
    kind,
    mode: fields.octal(),
    uid: fields.number(),
    gid: fields.number(),
    size: fields.number(Number.POSITIVE_INFINITY),
    mtime: fields.time(),
    ctime: fields.time(),
    inode: fields.bigint(),
    device: fields.device(),
    links: fields.number(),
  };
  const path = fields.rootless(pathEnd);
  if (path.length > LONGEST_PATH || end - pathEnd > MAX_PATH) leftOut.long.add(path);
  else if (kind === "f" && file.size > Number.MAX_SAFE_INTEGER) leftOut.large.add(path);
  else if (path.length > 0) into.add(path, fields.bytes.subarray(pathEnd + 1, end), file);
}

/** A cursor over one record's fields; as few allocations as there are values. */
class Fields {
  readonly bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  from(at: number): this {
    this.#at = at;
    return this;
  }

  letter(): FileKind {
    const letter = this.word();
    if (!"fdlpsbc".includes(letter) || letter.length !== 1) throw malformed();
    return letter as FileKind;
  }

  octal(): number {
    return atMost(0o177777, this.#digits(8));
  }

  /** Owners and links have 32 bits. */
  number(most = 2 ** 32 - 1): number {
    return atMost(most, this.#digits(10));
  }

  device(): string {
    const word = this.word();
    if (!/^\d{1,20}$/.test(word)) throw malformed();
    return word;
  }

  /** Below 2^53 by way of a number, which is much faster. */
  bigint(): bigint {
    const start = this.#at;
    const value = this.#digits(10);
    if (Number.isSafeInteger(value)) return BigInt(value);
    if (value > 2 ** 64) throw malformed();
    return BigInt.asUintN(64, BigInt(this.bytes.toString("latin1", start, this.#at - 1)));
  }

  word(): string {
    const end = this.bytes.indexOf(SPACE, this.#at);
    if (end < 0) throw malformed();
    const word = this.bytes.toString("latin1", this.#at, end);
    this.#at = end + 1;
    return word;
  }

  /** Seconds and a fraction as nanoseconds. Find writes a time before 1970 as the second below it plus a fraction. */
  time(): bigint {
    const negative = this.bytes[this.#at] === MINUS;
    if (negative) this.#at++;
    const start = this.#at;
    const seconds = this.#digits(10, DOT);
    const whole = Number.isSafeInteger(seconds)
      ? BigInt(seconds)
      : BigInt(this.bytes.toString("latin1", start, this.#at - 1));
    let nanoseconds = 0;
    let scale = 100_000_000;
    for (; this.bytes[this.#at] !== SPACE; this.#at++) {
      nanoseconds += this.#digit(10) * Math.floor(scale);
      scale /= 10;
    }
    this.#at++;
    return (negative ? -whole : whole) * 1_000_000_000n + BigInt(nanoseconds);
  }

  /** The path up to `end`, without the slash it begins with. */
  rootless(end: number): Buffer {
    if (this.bytes[this.#at] !== 0x2f) throw malformed();
    return this.bytes.subarray(this.#at + 1, end);
  }

  #digits(base: number, stop = SPACE): number {
    let value = 0;
    for (; this.bytes[this.#at] !== stop; this.#at++) value = value * base + this.#digit(base);
    this.#at++;
    return value;
  }

  #digit(base: number): number {
    const digit = (this.bytes[this.#at] ?? 0) - ZERO;
    if (digit < 0 || digit >= base) throw malformed();
    return digit;
  }
}

function atMost(most: number, value: number): number {
  if (value > most) throw malformed();
  return value;
}

function tooMany({ files, bytes }: ListingBounds): DropsError {
  return new DropsError(
    "source/failed",
    `find listed more than ${files} files, or more than ${bytes} bytes of paths`,
    { hint: "split the source, or exclude files that need no backup" },
  );
}

function malformed(): DropsError {
  return new DropsError("host/command-failed", "find printed something that is not a listing", {
    hint: "install the package findutils on the host",
  });
}
