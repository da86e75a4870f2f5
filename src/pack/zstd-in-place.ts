import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { copyBytes } from "../lib/copy-bytes.ts";
import { freeMemory } from "../lib/free-memory.ts";

/** zstd hands its output over in pieces of this size. Bytes. */
const PIECE = 1024 * 1024;

/**
 * Compress `plain` into one zstd frame at the start of `out`, which may begin before `plain` in the same memory: a pack
 * then needs no second one. zstd has taken what it answers for, and an incompressible block of 128 KiB grows by 3 bytes.
 *
 * @returns bytes written
 * @throws RangeError when `out` is too small, or so close before `plain` that bytes to come would be written over
 */
export function compressInto(plain: Uint8Array, out: Uint8Array, level: number): Promise<number> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 };
  return run(createZstdCompress({ params, chunkSize: PIECE }), plain, out);
}

/**
 * Write what the zstd frame in `compressed` holds to the start of `out`, which may begin before it in the same memory.
 * When that content, and a block of 128 KiB and a few bytes for each block more, ends before `compressed` does, every block
 * is read before its place is written (zstd.h, "in-place decompression").
 *
 * @returns bytes written
 * @throws RangeError as `compressInto`; zlib's errors when it is not a whole frame
 */
export function decompressInto(compressed: Uint8Array, out: Uint8Array): Promise<number> {
  return run(createZstdDecompress({ chunkSize: PIECE }), compressed, out);
}

type Zstd = ReturnType<typeof createZstdCompress> | ReturnType<typeof createZstdDecompress>;

async function run(zstd: Zstd, source: Uint8Array, out: Uint8Array): Promise<number> {
  const isOneMemory = source.buffer === out.buffer;
  const target = Buffer.from(out.buffer, out.byteOffset, out.length);
  let last: Buffer | undefined;
  let written = 0;
  zstd.end(source);
  for await (const piece of zstd as AsyncIterable<Buffer>) {
    const end = written + piece.length;
    if (end > out.length) throw new RangeError(`zstd's output passes the ${out.length} bytes given to it`);
    if (isOneMemory && out.byteOffset + end > source.byteOffset + zstd.bytesWritten)
      throw new RangeError("zstd's output would be written over bytes that it has not read");
    copyBytes(piece, target, written);
    written = end;
    if (last?.buffer !== piece.buffer) free(last); // pieces may share one
    last = piece;
  }
  free(last);
  return written;
}

/** Nobody else has it any more; left to the collector, which does not come by for large things alone, packs of pieces gather. */
function free(piece: Buffer | undefined): void {
  if (piece !== undefined) freeMemory(piece);
}
