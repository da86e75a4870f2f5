import type { ByteInput } from "../../lib/byte-input.ts";
import { damagedTar, paddingOf } from "./tar-header.ts";
import { isXattrKey, type PaxRecords, parsePax } from "./tar-pax.ts";

/** What of a pax header is held in memory. Bytes. */
const MAX_PAX = 1024 * 1024;
/** Of a record's length and key; a name of an attribute has 255 bytes at most, escaped three times as many. */
const MAX_KEY = 1024;
const SPACE = 0x20;
const EQUALS = 0x3d;

export interface ReadPax {
  readonly records: PaxRecords;
  /** Attributes were passed over, since there is more of them than is held. */
  readonly isCut: boolean;
}

/** A pax header of `size` bytes. However many attributes somebody gave a file, the other records are read. */
export async function readPax(input: ByteInput, size: number): Promise<ReadPax> {
  if (size < 0) throw damagedTar("has a pax header of negative size");
  const read =
    size <= MAX_PAX
      ? { records: parsePax(await input.take(size)), isCut: false }
      : { records: await withoutAttributes(input, size), isCut: true };
  await input.skip(paddingOf(size));
  return read;
}

async function withoutAttributes(input: ByteInput, size: number): Promise<PaxRecords> {
  const records = new Map<string, Buffer>();
  let held = 0;
  for (let left = size; left > 0; ) {
    const { head, key, rest } = await readKey(input, left);
    left -= head.length + rest;
    if (isXattrKey(key)) {
      await input.skip(rest);
      continue;
    }
    held += head.length + rest;
    if (held > MAX_PAX) throw damagedTar("has a pax header that is too long");
    const record = Buffer.concat([head, await input.take(rest)]);
    for (const [name, value] of parsePax(record)) records.set(name, value);
  }
  return records;
}

/** The beginning of a record, its equals sign included, and how many bytes of it follow. */
async function readKey(input: ByteInput, left: number): Promise<{ head: Buffer; key: string; rest: number }> {
  const head: number[] = [];
  let space = -1;
  while (head.at(-1) !== EQUALS || space < 0) {
    if (head.length === Math.min(left, MAX_KEY)) throw damagedTar("has a malformed pax record");
    const byte = (await input.take(1))[0] as number;
    if (byte === SPACE && space < 0) space = head.length;
    head.push(byte);
  }
  const bytes = Buffer.from(head);
  const digits = bytes.toString("latin1", 0, space);
  const rest = Number(digits) - bytes.length;
  if (!/^[1-9]\d{0,9}$/.test(digits) || rest < 1 || bytes.length + rest > left)
    throw damagedTar("has a malformed pax header");
  return { head: bytes, key: bytes.toString("utf8", space + 1, bytes.length - 1), rest };
}
