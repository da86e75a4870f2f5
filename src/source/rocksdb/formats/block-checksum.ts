import { crc32c, maskCrc } from "./crc32c.ts";
import { xxHashes } from "./xxhash.ts";

/** Kinds of table checksums by number (include/rocksdb/table.h ChecksumType). */
export const CHECKSUM_NAMES = ["none", "crc32c", "xxhash", "xxhash64", "xxh3"] as const;

const LAST_BYTE_FACTOR = 0x6b9083d9;

/**
 * The checksum of `bytes`, whose last byte is the compression type of a block (table/format.cc ComputeBuiltinChecksum).
 * `kind` must be known, see CHECKSUM_NAMES; 0 gives 0.
 */
export type BlockChecksum = (kind: number, bytes: Buffer) => number;

/** Ready when what computes the hashes is loaded. */
export async function blockChecksums(): Promise<BlockChecksum> {
  const { xxh32, xxh64, xxh3 } = await xxHashes();
  return (kind, bytes) => {
    if (kind === 1) return maskCrc(crc32c(bytes));
    if (kind === 2) return xxh32(bytes);
    if (kind === 3) return xxh64(bytes);
    if (kind !== 4) return 0;
    const last = bytes[bytes.length - 1] ?? 0;
    return (xxh3(bytes.subarray(0, -1)) ^ Math.imul(last, LAST_BYTE_FACTOR)) >>> 0;
  };
}

/** From format 6 on a checksum also depends on where in which file its block lies; `base` 0 means that it does not. */
export function contextModifier(base: number, offset: number): number {
  if (base === 0) return 0;
  const both = (offset % 2 ** 32) + Math.floor(offset / 2 ** 32);
  return (base ^ both) >>> 0;
}
