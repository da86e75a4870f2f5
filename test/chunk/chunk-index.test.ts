import assert from "node:assert/strict";
import { hash } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import { ChunkIndex } from "../../src/chunk/chunk-index.ts";

test("an index behaves as a map of ids to pack numbers", () => {
  const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => {
    bytes[0] = (bytes[0] ?? 0) % 4; // few first bytes: collisions in the table
    bytes.fill(0, 1, 4);
    return bytes;
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(id, fc.nat(1000)), { maxLength: 300 }), (pairs) => {
      const index = new ChunkIndex();
      const map = new Map<string, number>();
      for (const [key, pack] of pairs) {
        index.set(key, pack);
        map.set(Buffer.from(key).toString("hex"), pack);
      }
      assert.equal(index.size, map.size);
      for (const [key] of pairs) assert.equal(index.get(key), map.get(Buffer.from(key).toString("hex")));
      assert.equal(index.get(new Uint8Array(32).fill(255)), map.get("ff".repeat(32)));
    }),
  );
});

test("a later place replaces an earlier one", () => {
  const index = new ChunkIndex();
  const ids = [1, 2].map((first) => new Uint8Array(32).fill(first));
  for (const [pack, id] of [...ids, ...ids.slice(0, 1)].entries()) index.set(id, pack + 10);
  assert.deepEqual([index.size, ...ids.map((id) => index.get(id))], [2, 12, 11]);
});

test("a hundred thousand chunks cost less than 15 MB, outgrown tables included", () => {
  const index = new ChunkIndex();
  const before = process.memoryUsage().arrayBuffers;
  for (let at = 0; at < 100_000; at++) index.set(hash("sha256", String(at), "buffer"), at);
  for (let at = 0; at < 100_000; at += 997) assert.equal(index.get(hash("sha256", String(at), "buffer")), at);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 100_000 * 150, `${grown} bytes`); // doubling leaves old tables to the collector
});
