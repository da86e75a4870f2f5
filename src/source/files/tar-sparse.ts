/** Sparse files as GNU tar keeps them in pax archives, version 1.0: a map of decimal lines before the data. */
import type { ByteInput } from "../../lib/byte-input.ts";
import { BLOCK, damagedTar } from "./tar-header.ts";

const MAX_MAP = 64 * 1024 * 1024;
const MAX_SEGMENTS = 2_000_000;
const NEWLINE = 0x0a;

/** Where a sparse file has data; the rest of it reads as zeros. */
export interface DataSegment {
  readonly offset: number;
  readonly size: number;
}

/**
 * Read the map at the head of a sparse entry's content: `stored` bytes in all, `realSize` when unfolded. A file in too many
 * pieces, or too large to be recorded, is `unusable`, in words: nobody's file may be in the way of the others.
 */
export async function readSparseMap(
  input: ByteInput,
  stored: number,
  realSize: number,
): Promise<{
  readonly segments: readonly DataSegment[];
  /** Bytes that were taken. */
  readonly mapSize: number;
  readonly unusable?: string;
}> {
  const numbers = new NumberLines();
  let mapSize = 0;
  let wanted = 1;
  while (numbers.count < wanted) {
    if (mapSize + BLOCK > stored) throw damagedTar("has a sparse map without an end");
    numbers.add(await input.take(BLOCK));
    mapSize += BLOCK;
    wanted = 1 + 2 * (numbers.values[0] ?? 0);
    if (wanted > 2 * MAX_SEGMENTS || mapSize > MAX_MAP)
      return { segments: [], mapSize, unusable: `it has more than ${MAX_SEGMENTS} pieces` };
  }
  if (realSize > Number.MAX_SAFE_INTEGER)
    return { segments: [], mapSize, unusable: "it is larger than 8 PiB" };
  const segments: DataSegment[] = [];
  for (let at = 1; at < wanted; at += 2)
    segments.push({ offset: numbers.values[at] ?? 0, size: numbers.values[at + 1] ?? 0 });
  checkSegments(segments, stored - mapSize, realSize);
  return { segments, mapSize };
}

/** The map as it stands before the data of a file of `size` bytes, padded to a whole block. */
export function formatSparseMap(segments: readonly DataSegment[], size: number): Buffer {
  const last = segments.at(-1);
  const reachesEnd = last !== undefined && last.offset + last.size === size;
  // GNU tar makes a file as long as its map reaches: a hole at the end needs an empty segment after it
  const all = reachesEnd ? segments : [...segments, { offset: size, size: 0 }];
  const lines = [all.length, ...all.flatMap((segment) => [segment.offset, segment.size])];
  const text = Buffer.from(`${lines.join("\n")}\n`);
  return Buffer.concat([text], Math.ceil(text.length / BLOCK) * BLOCK);
}

function checkSegments(segments: readonly DataSegment[], stored: number, realSize: number): void {
  let end = 0;
  let total = 0;
  for (const { offset, size } of segments) {
    if (offset < end) throw damagedTar("has a sparse map that goes back");
    end = offset + size;
    total += size;
  }
  if (end > realSize || total !== stored) throw damagedTar("has a sparse map that contradicts its sizes");
}

/** Decimal numbers, one a line, possibly cut anywhere. */
class NumberLines {
  readonly values: number[] = [];
  #digits = 0;
  #value = 0;

  get count(): number {
    return this.values.length;
  }

  add(block: Buffer): void {
    for (const byte of block) {
      if (byte === 0) return; // padding
      if (byte === NEWLINE && this.#digits > 0) {
        this.values.push(this.#value);
        this.#digits = 0;
        this.#value = 0;
      } else if (byte >= 0x30 && byte <= 0x39 && this.#digits < 19) {
        this.#value = this.#value * 10 + byte - 0x30;
        this.#digits++;
      } else {
        throw damagedTar("has a malformed sparse map");
      }
    }
  }
}
