/**
 * The tar inside a pack: ustar headers written and read as bytes. Every entry is a chunk named by the SHA-256 of its
 * plaintext; owner, time and mode are constants, so the same chunks in the same order give the same bytes.
 */
import { DropsError } from "../lib/errors.ts";

export const BLOCK = 512;
/** Two zero blocks end a tar. */
export const TAR_TRAILER = 2 * BLOCK;

const SIZE_AT = 124;
const CHECKSUM_AT = 148;
const TYPE_AT = 156;
const TEMPLATE = headerTemplate();
/** Sum of the template's bytes with the checksum field as spaces. */
const TEMPLATE_SUM = sum(TEMPLATE);

/** The bytes that a content of `size` bytes takes in a tar, padding included. */
export function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** Write the header of a chunk at `at`; `name` is 64 hex digits. */
export function writeChunkHeader(into: Buffer, at: number, name: string, size: number): void {
  TEMPLATE.copy(into, at);
  into.write(name, at, 64, "latin1");
  const digits = size.toString(8).padStart(11, "0");
  into.write(digits, at + SIZE_AT, 11, "latin1");
  let total = TEMPLATE_SUM;
  for (let index = 0; index < 64; index++) total += into[at + index] as number;
  for (let index = 0; index < 11; index++) total += into[at + SIZE_AT + index] as number;
  into.write(`${total.toString(8).padStart(6, "0")}\0 `, at + CHECKSUM_AT, 8, "latin1");
}

export interface TarChunk {
  readonly id: string;
  /** Where the content begins in the tar. */
  readonly offset: number;
  readonly size: number;
}

/** The chunks of a pack's tar. Throws data/damaged on anything but plain chunk entries and a whole trailer. */
export function readChunkHeaders(tar: Buffer): TarChunk[] {
  const chunks: TarChunk[] = [];
  let at = 0;
  for (;;) {
    if (at + BLOCK > tar.length) throw damaged("ends without a trailer");
    if (tar[at] === 0) return chunks;
    const id = tar.toString("latin1", at, at + 64);
    const size = Number.parseInt(tar.toString("latin1", at + SIZE_AT, at + SIZE_AT + 11), 8);
    const stated = Number.parseInt(tar.toString("latin1", at + CHECKSUM_AT, at + CHECKSUM_AT + 6), 8);
    if (!/^[0-9a-f]{64}$/.test(id) || tar[at + TYPE_AT] !== 0x30 || stated !== checksum(tar, at)) {
      throw damaged(`has a malformed header at byte ${at}`);
    }
    const offset = at + BLOCK;
    if (!(size >= 0) || offset + size > tar.length)
      throw damaged(`has a chunk that passes its end at byte ${at}`);
    chunks.push({ id, offset, size });
    at = offset + padded(size);
  }
}

function damaged(what: string): DropsError {
  return new DropsError("data/damaged", `the tar inside a pack ${what}`);
}

function checksum(tar: Buffer, at: number): number {
  return (
    sum(tar.subarray(at, at + BLOCK)) - sum(tar.subarray(at + CHECKSUM_AT, at + CHECKSUM_AT + 8)) + 8 * 0x20
  );
}

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (const byte of bytes) total += byte;
  return total;
}

function headerTemplate(): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write("0000400\0", 100, "latin1"); // mode: owner may read
  header.write("0000000\0", 108, "latin1");
  header.write("0000000\0", 116, "latin1");
  header.write("           \0", SIZE_AT, "latin1");
  header.fill(0, SIZE_AT, SIZE_AT + 12);
  header.write("00000000000\0", 136, "latin1");
  header.write("        ", CHECKSUM_AT, "latin1");
  header.write("0", TYPE_AT, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  return header;
}
