import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";
import fc from "fast-check";
import { CHUNKER, ContentCutter } from "../../src/chunk/fastcdc.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";

const MiB = 1024 * 1024;
const SMALL = { algorithm: "fastcdc-gear32-v1", min: 64, average: 256, max: 1024 } as const;

/** Lengths of all chunks of a stream that arrives in these pieces. */
function cutAll(pieces: readonly Uint8Array[], cutter: ContentCutter): number[] {
  const lengths: number[] = [];
  let open = 0;
  for (const piece of pieces) {
    let start = 0;
    for (let length = cutter.next(piece, start); length !== -1; length = cutter.next(piece, start)) {
      lengths.push(open + length);
      open = 0;
      start += length;
    }
    open += piece.length - start;
  }
  return open > 0 ? [...lengths, open] : lengths;
}

/** The stretches of `bytes` with these lengths, one after another. */
function slices(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const ends = lengths.map((_, index) =>
    lengths.slice(0, index + 1).reduce((sum, length) => sum + length, 0),
  );
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

interface Golden {
  readonly name: string;
  readonly seed: string;
  readonly size: number;
  readonly sha256: string;
  readonly cuts: readonly number[];
}
const golden: readonly Golden[] = JSON.parse(
  readFileSync(new URL("../golden/fastcdc.json", import.meta.url), "utf8"),
);

for (const { name, seed, size, sha256, cuts } of golden) {
  test(`frozen cuts: ${name}`, () => {
    const bytes = seed === "" ? Buffer.alloc(size) : fixedBytes(seed, size);
    assert.equal(hash("sha256", bytes, "hex"), sha256);
    assert.deepEqual(cutAll([bytes], new ContentCutter()), cuts);
  });
}

test("the parameters are frozen", () => {
  assert.deepEqual(CHUNKER, { algorithm: "fastcdc-gear32-v1", min: 262144, average: 1048576, max: 4194304 });
});

test("how a stream is cut does not depend on the pieces it arrives in", () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 40 }),
      (seed, sizes) => {
        const bytes = fixedBytes(
          seed,
          sizes.reduce((sum, size) => sum + size, 0),
        );
        const pieces = slices(bytes, sizes);
        assert.deepEqual(cutAll(pieces, new ContentCutter(SMALL)), cutAll([bytes], new ContentCutter(SMALL)));
      },
    ),
  );
});

test("chunks are never below the minimum, but for the last, nor above the maximum, and lose nothing", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), fc.integer({ min: 0, max: 50_000 }), (seed, size) => {
      const lengths = cutAll([fixedBytes(seed, size)], new ContentCutter(SMALL));
      assert.equal(
        lengths.reduce((sum, length) => sum + length, 0),
        size,
      );
      assert.ok(lengths.every((length) => length <= SMALL.max));
      assert.ok(lengths.slice(0, -1).every((length) => length >= SMALL.min));
    }),
  );
});

test("an insertion changes the chunks around it and no others", () => {
  const before = fixedBytes("insertion", 32 * MiB);
  const after = Buffer.concat([
    before.subarray(0, 16 * MiB),
    Buffer.from("inserted"),
    before.subarray(16 * MiB),
  ]);
  const names = (bytes: Buffer) =>
    slices(bytes, cutAll([bytes], new ContentCutter())).map((chunk) => hash("sha256", chunk, "hex"));
  const known = new Set(names(before));
  const fresh = names(after).filter((name) => !known.has(name));
  assert.ok(fresh.length >= 1 && fresh.length <= 2, `${fresh.length} chunks are new`);
});
