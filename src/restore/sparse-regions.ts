import { BLOCK } from "../source/files/tar-header.ts";
import type { DataSegment } from "../source/files/tar-sparse.ts";

export interface SparseRegions {
  /** Where the file has data: each but the last a whole number of blocks long. */
  readonly regions: readonly DataSegment[];
  /** For each segment that was given: zeros that follow its data in the archive, as part of its region. */
  readonly fills: readonly number[];
}

/**
 * GNU tar reads the data of a sparse file region by region, each from the beginning of a block (sparse.c,
 * sparse_extract_region): a region that ends within one would shift everything behind it. Chunks end where they like, so
 * zeros of the hole behind are taken into the region, and the whole hole when it is shorter than that.
 */
export function regionsOf(segments: readonly DataSegment[]): SparseRegions {
  const regions: DataSegment[] = [];
  const fills: number[] = [];
  let start: number | undefined;
  segments.forEach(({ offset, size }, at) => {
    start ??= offset;
    const end = offset + size;
    const next = segments[at + 1];
    const room = next === undefined ? 0 : next.offset - end;
    const wanted = next === undefined ? 0 : (BLOCK - ((end - start) % BLOCK)) % BLOCK;
    const fill = Math.min(room, wanted);
    fills.push(fill);
    if (fill < wanted) return; // the hole is used up: the next segment goes on with this region
    regions.push({ offset: start, size: end + fill - start });
    start = undefined;
  });
  return { regions, fills };
}
