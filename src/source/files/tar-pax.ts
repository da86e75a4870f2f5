/** Pax extended headers (POSIX pax, "pax Extended Header"): records `LENGTH KEY=VALUE\n`, values of any bytes. */
import { damagedTar } from "./tar-header.ts";

const XATTR = "SCHILY.xattr.";
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

export type PaxRecords = ReadonlyMap<string, Buffer>;

/** The records of a pax header's content; values are copies. Throws data/damaged on malformed ones. */
export function parsePax(content: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const digits = space < 0 ? "" : content.toString("latin1", at, space);
    const end = at + Number(digits);
    if (!/^[1-9]\d{0,9}$/.test(digits) || end > content.length || content[end - 1] !== NEWLINE)
      throw damagedTar("has a malformed pax header");
    const equals = content.indexOf(EQUALS, space + 1);
    if (equals < 0 || equals >= end) throw damagedTar("has a malformed pax record");
    records.set(
      content.toString("utf8", space + 1, equals),
      Buffer.from(content.subarray(equals + 1, end - 1)),
    );
    at = end;
  }
  return records;
}

/** Records as a pax header's content. */
export function formatPax(records: PaxRecords): Buffer {
  const parts: Buffer[] = [];
  for (const [key, value] of records) {
    const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
    let length = body.length + String(body.length).length;
    if (String(length).length > String(body.length).length) length++; // the length counts its own digits
    parts.push(Buffer.from(String(length)), body);
  }
  return Buffer.concat(parts);
}

/** The extended attributes among the records: name to raw value; undefined when there are none. */
export function xattrsOf(records: PaxRecords): Record<string, Buffer> | undefined {
  const found: [string, Buffer][] = [];
  for (const [key, value] of records) {
    if (isXattrKey(key)) found.push([decodeKey(key.slice(XATTR.length)), value]);
  }
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

export function isXattrKey(key: string): boolean {
  return key.startsWith(XATTR);
}

export function xattrKey(name: string): string {
  return XATTR + name.replaceAll("%", "%25").replaceAll("=", "%3D");
}

/** A whole number that is not negative and not above `most`; undefined when the key is absent. */
export function paxNumber(
  records: PaxRecords,
  key: string,
  most: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = records.get(key)?.toString("latin1");
  if (value === undefined) return undefined;
  const number = /^\d{1,19}$/.test(value) ? Number(value) : Number.POSITIVE_INFINITY;
  if (number > most) throw damagedTar(`has a pax header whose ${key} is malformed or out of range`);
  return number;
}

/** Seconds with a fraction as nanoseconds; undefined when the key is absent. */
export function paxTime(records: PaxRecords, key: string): bigint | undefined {
  const value = records.get(key)?.toString("latin1");
  if (value === undefined) return undefined;
  const found = /^(-?)(\d{1,19})(?:\.(\d*))?$/.exec(value);
  if (!found) throw damagedTar(`has a pax header whose ${key} is malformed`);
  const [, sign, seconds = "0", fraction = ""] = found;
  const nanoseconds = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign === "-" ? -nanoseconds : nanoseconds;
}

/** Nanoseconds as pax writes them. */
export function formatPaxTime(nanoseconds: bigint): string {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = (magnitude % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const seconds = `${nanoseconds < 0n ? "-" : ""}${magnitude / 1_000_000_000n}`;
  return fraction === "" ? seconds : `${seconds}.${fraction}`;
}

/** GNU tar writes `=` and `%` of an attribute's name as `%3D` and `%25`. */
function decodeKey(name: string): string {
  return name.replaceAll("%3D", "=").replaceAll("%25", "%");
}
