import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { Parser } from "tar";
import { isFailure } from "../../src/lib/errors.ts";
import { MAX_PACK_TAR, PACK_BUFFER_SIZE, PackBuffer, TAR_AT } from "../../src/pack/pack-buffer.ts";
import { readChunkHeaders } from "../../src/pack/tar-bytes.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";

function filled(chunks: readonly Uint8Array[]): { tar: Buffer; ids: string[] } {
  const buffer = new PackBuffer(new ArrayBuffer(PACK_BUFFER_SIZE));
  const ids = chunks.map((chunk) => {
    buffer.append(chunk);
    const id = buffer.chunkId();
    buffer.keepChunk(id);
    return id;
  });
  return { tar: Buffer.from(buffer.memory, TAR_AT, buffer.finish()), ids };
}

test("chunks come back from a pack's tar under their names", () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 3000 });
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 10 }), (chunks) => {
      const { tar, ids } = filled(chunks);
      const found = readChunkHeaders(tar);
      assert.deepEqual(
        found.map(({ id }) => id),
        ids,
      );
      for (const [index, { offset, size }] of found.entries()) {
        assert.deepEqual(tar.subarray(offset, offset + size), Buffer.from(chunks[index] ?? []));
      }
    }),
    { numRuns: 30 },
  );
});

test("GNU tar extracts a pack's tar", () => {
  const directory = mkdtempSync(join(tmpdir(), "drops-tar-"));
  try {
    const chunks = [1, 511, 512, 513, 70_000].map((size) => fixedBytes("tar", size));
    const { tar, ids } = filled(chunks);
    writeFileSync(join(directory, "pack.tar"), tar);
    execFileSync("tar", ["-xf", "pack.tar"], { cwd: directory });
    for (const [index, id] of ids.entries()) {
      const bytes = readFileSync(join(directory, id));
      assert.deepEqual(bytes, chunks[index]);
      assert.equal(hash("sha256", bytes, "hex"), id);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the tar package, which has nothing of ours, reads the same chunks from a pack's tar", async () => {
  const chunks = [1, 511, 512, 513, 70_000].map((size) => fixedBytes("package", size));
  const { tar, ids } = filled(chunks);
  const found: { path: string; content: Buffer }[] = [];
  const parser = new Parser({
    strict: true, // what it would warn of is an error
    onReadEntry: (entry) => {
      const pieces: Buffer[] = [];
      entry.on("data", (piece: Buffer) => pieces.push(piece));
      entry.on("end", () => found.push({ path: entry.path, content: Buffer.concat(pieces) }));
    },
  });
  await new Promise<void>((resolve, reject) => {
    parser.on("end", () => resolve());
    parser.on("error", reject);
    parser.end(tar);
  });
  assert.deepEqual(
    found,
    ids.map((path, at) => ({ path, content: Buffer.from(chunks[at] ?? []) })),
  );
});

test("a dropped chunk leaves no trace", () => {
  const buffer = new PackBuffer(new ArrayBuffer(PACK_BUFFER_SIZE));
  buffer.append(fixedBytes("dropped", 1000));
  buffer.dropChunk();
  buffer.append(Buffer.from("kept"));
  buffer.keepChunk(buffer.chunkId());
  assert.deepEqual(filled([Buffer.from("kept")]).tar, Buffer.from(buffer.memory, TAR_AT, buffer.finish()));
});

test("a pack without room says so before a chunk of the largest size could pass its end", () => {
  const buffer = new PackBuffer(new ArrayBuffer(PACK_BUFFER_SIZE));
  const chunk = fixedBytes("large", 4 * 1024 * 1024);
  while (buffer.hasRoom) {
    buffer.append(chunk);
    buffer.keepChunk("00".repeat(32));
  }
  assert.ok(buffer.finish() <= MAX_PACK_TAR);
  assert.ok(buffer.used > MAX_PACK_TAR - 5 * 1024 * 1024);
});

test("any damage to a tar is noticed or leaves its chunks as they were", () => {
  const { tar, ids } = filled([fixedBytes("x", 700), fixedBytes("y", 100)]);
  fc.assert(
    fc.property(fc.nat(tar.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = Buffer.from(tar);
      bad[at] = (bad[at] ?? 0) ^ flip;
      try {
        const found = readChunkHeaders(bad);
        // What the headers do not cover, the chunk's own hash does.
        assert.ok(found.length === ids.length || at < 512 || (at >= 1536 && at < 2048));
      } catch (error) {
        assert.ok(isFailure(error, "data/damaged"), String(error));
      }
    }),
  );
  for (const length of [0, 1, 511, 600, 1024, tar.length - 1024]) {
    assert.throws(
      () => readChunkHeaders(tar.subarray(0, length)),
      (error) => isFailure(error, "data/damaged"),
    );
  }
});
