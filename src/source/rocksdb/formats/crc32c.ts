/** CRC-32C (Castagnoli, RFC 3720): what RocksDB puts into logs, old tables and backups. node:zlib has only CRC-32. */

const TABLES = eightTables();

function eightTables(): readonly Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    (tables[0] as Uint32Array)[byte] = crc;
  }
  for (let slice = 1; slice < 8; slice++) {
    const before = tables[slice - 1] as Uint32Array;
    for (let byte = 0; byte < 256; byte++) {
      const crc = before[byte] as number;
      (tables[slice] as Uint32Array)[byte] = (crc >>> 8) ^ ((tables[0] as Uint32Array)[crc & 0xff] as number);
    }
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/** The checksum of bytes `from` to `to`; hand the previous result in as `crc` to go on where it ended. */
export function crc32c(bytes: Uint8Array, from = 0, to: number = bytes.length, crc = 0): number {
  let c = ~crc;
  let at = from;
  // Indices are in bounds by construction; `as number` only answers noUncheckedIndexedAccess and costs nothing.
  for (const last = to - 8; at <= last; at += 8) {
    const a =
      c ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    c =
      (T7[a & 0xff] as number) ^
      (T6[(a >>> 8) & 0xff] as number) ^
      (T5[(a >>> 16) & 0xff] as number) ^
      (T4[a >>> 24] as number) ^
      (T3[bytes[at + 4] as number] as number) ^
      (T2[bytes[at + 5] as number] as number) ^
      (T1[bytes[at + 6] as number] as number) ^
      (T0[bytes[at + 7] as number] as number);
  }
  for (; at < to; at++) c = (T0[(c ^ (bytes[at] as number)) & 0xff] as number) ^ (c >>> 8);
  return ~c >>> 0;
}

/** RocksDB stores checksums of data that may itself hold checksums in this disguise (util/crc32c.h). */
export function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
