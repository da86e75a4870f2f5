import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { ChunkIndex } from "../../../src/chunk/chunk-index.ts";
import {
  BLOCK,
  padded,
  readChunkHeaders,
  TAR_TRAILER,
  writeChunkHeader,
} from "../../../src/pack/tar-bytes.ts";
import { decompressInto } from "../../../src/pack/zstd-in-place.ts";
import { headerSum } from "../../../src/source/files/tar-header.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const CHUNKS = [Buffer.from("a chunk"), Buffer.alloc(1000, "another "), Buffer.alloc(512, 1)];

function packTar(chunks: readonly Buffer[]): Buffer {
  const tar = Buffer.alloc(chunks.reduce((sum, chunk) => sum + BLOCK + padded(chunk.length), TAR_TRAILER));
  let at = 0;
  for (const chunk of chunks) {
    writeChunkHeader(tar, at, hash("sha256", chunk, "hex"), chunk.length);
    chunk.copy(tar, at + BLOCK);
    at += BLOCK + padded(chunk.length);
  }
  return tar;
}

const PACK_TAR: FuzzTarget = {
  name: "pack-tar",
  mayThrow: ["data/damaged"],
  unit: BLOCK,
  seeds: () => [packTar(CHUNKS), packTar([])],
  words: ["77777777777", "-7777777777", "0000000000 "],
  mend(bytes) {
    for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
      const block = bytes.subarray(at, at + BLOCK);
      if (block.toString("latin1", 257, 262) === "ustar")
        block.write(`${headerSum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    }
    return bytes;
  },
  run(bytes) {
    const chunks = readChunkHeaders(bytes);
    let end = 0;
    for (const { offset, size } of chunks) {
      assert.ok(
        offset >= end && size >= 0 && offset + size <= bytes.length,
        "chunks lie in the tar, one after the other",
      );
      end = offset + size;
    }
    return 100 * chunks.length;
  },
};

const ZSTD: FuzzTarget = {
  name: "pack-zstd",
  mayThrow: [],
  refuses: (error) => error instanceof RangeError || (error instanceof Error && "code" in error),
  seeds: () => [zstdCompressSync(packTar(CHUNKS)), zstdCompressSync(Buffer.alloc(100_000))],
  async run(bytes) {
    const out = new Uint8Array(512 * 1024);
    const written = await decompressInto(bytes, out);
    assert.ok(written <= out.length);
    return written;
  },
};

/** Each 33 bytes put a chunk in or look for one; a Map of strings knows what is right. */
const INDEX: FuzzTarget = {
  name: "chunk-index",
  mayThrow: [],
  unit: 33,
  seeds: () => [
    Buffer.concat(CHUNKS.flatMap((chunk, at) => [Buffer.from([at]), hash("sha256", chunk, "buffer")])),
  ],
  run(bytes) {
    const index = new ChunkIndex();
    const right = new Map<string, number>();
    const whole = bytes.subarray(0, 33 * 4000);
    for (let at = 0; at + 33 <= whole.length; at += 33) {
      const id = whole.subarray(at + 1, at + 33);
      const pack = whole[at] as number;
      assert.equal(index.get(id), right.get(id.toString("hex")));
      index.set(id, pack);
      right.set(id.toString("hex"), pack);
    }
    assert.equal(index.size, right.size);
    return 36 * right.size;
  },
};

export const PACK_TARGETS: readonly FuzzTarget[] = [PACK_TAR, ZSTD, INDEX];
