import assert from "node:assert/strict";
import { lstat, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { PackPool } from "../../src/pack/pool.ts";
import { exportEntry } from "../../src/restore/export.ts";
import { regionsOf } from "../../src/restore/sparse-regions.ts";
import type { ChunkRef } from "../../src/snapshot/entry.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { restoring } from "../support/restoring.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { readPartsOf, type TinyEntry, TinyRepository } from "../support/tiny-repository.ts";

/** Lengths of pieces, data and holes in turn or in any order: chunks end anywhere, not at blocks. */
const pieces = fc.array(
  fc.record({
    isHole: fc.boolean(),
    size: fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.constantFrom(511, 512, 513, 4096, 100_001)),
  }),
  { minLength: 1, maxLength: 12 },
);

test("sparse files come back byte for byte, wherever their chunks end", async () => {
  const tiny = await TinyRepository.create();
  const entries: TinyEntry[] = [];
  const expected = new Map<string, Buffer>();
  let made = 0;
  const files = [
    ...fc.sample(pieces, { numRuns: 60, seed: 7 }),
    [
      { isHole: false, size: 300_001 },
      { isHole: true, size: 1_000_000 },
      { isHole: false, size: 5 },
    ],
  ];
  for (const [number, file] of files.entries()) {
    const bytes = file.map(({ isHole, size }) =>
      isHole ? Buffer.alloc(size) : fixedBytes(`piece ${++made}`, size),
    );
    const chunks: ChunkRef[] = await tiny.pack(...bytes);
    entries.push({ path: `sparse ${number}`, sparse: true, chunks });
    expected.set(`sparse ${number}`, Buffer.concat(bytes));
  }
  await tiny.snapshot({ name: "disks", entries });
  await using to = await scratchDirectory();
  await restoring(tiny, to.path);
  for (const [name, bytes] of expected)
    assert.ok((await readFile(join(to.path, "disks", name))).equals(bytes), name);
  const { blocks } = await lstat(join(to.path, "disks", `sparse ${files.length - 1}`));
  assert.ok(blocks * 512 < 400_000, `${blocks} blocks`);
});

test("a hole that no chunk stores comes back as one, whatever its length, and costs nothing", async () => {
  const tiny = await TinyRepository.create();
  const [first, last] = (await tiny.pack(Buffer.from("first"), Buffer.from("last"))) as [ChunkRef, ChunkRef];
  const holes = [
    { offset: 5, size: 2 ** 40 },
    { offset: 5 + 2 ** 40 + 4, size: 2 ** 30 },
  ];
  const size = 9 + 2 ** 40 + 2 ** 30;
  const small = {
    path: "small",
    size: 300_009,
    holes: [{ offset: 5, size: 300_000 }],
    chunks: [first, last],
  };
  await tiny.snapshot({
    name: "disks",
    entries: [
      { path: "big", sparse: true, size, holes, chunks: [first, last] },
      { path: "only", sparse: true, size: 2 ** 41, holes: [{ offset: 0, size: 2 ** 41 }], chunks: [] },
      small,
    ],
  });
  await using to = await scratchDirectory();
  await restoring(tiny, to.path);
  const at = (name: string) => join(to.path, "disks", name);
  const found = await lstat(at("big"));
  assert.deepEqual([found.size, found.blocks < 100], [size, true]);
  await using file = await open(at("big"));
  const end = Buffer.alloc(8);
  await file.read(end, 0, 8, 5 + 2 ** 40 - 4);
  assert.equal(end.toString(), "\0\0\0\0last");
  assert.deepEqual((await lstat(at("only"))).size, 2 ** 41);
  const expected = Buffer.concat([Buffer.from("first"), Buffer.alloc(300_000), Buffer.from("last")]);
  assert.ok((await readFile(at("small"))).equals(expected));
  const chunks: Buffer[] = [];
  const into = new Writable({
    write(bytes, _encoding, done) {
      chunks.push(Buffer.from(bytes));
      done();
    },
  });
  await using pool = new PackPool(1);
  const what = { choice: { date: "latest" }, source: "disks", path: "small", into };
  await exportEntry({ ...readPartsOf(tiny), pool }, what, { signal: new AbortController().signal });
  assert.ok(Buffer.concat(chunks).equals(expected));
});

test("regions hold every segment, lie apart, and are whole blocks but for the last", () => {
  fc.assert(
    fc.property(pieces, (file) => {
      const segments: { offset: number; size: number }[] = [];
      let at = 0;
      for (const { isHole, size } of file) {
        const last = segments.at(-1);
        if (!isHole && last && last.offset + last.size === at) last.size += size;
        else if (!isHole) segments.push({ offset: at, size });
        at += size;
      }
      const { regions, fills } = regionsOf(segments);
      const stored = segments.reduce((sum, { size }, index) => sum + size + (fills[index] ?? 0), 0);
      assert.equal(
        regions.reduce((sum, { size }) => sum + size, 0),
        stored,
      );
      regions.forEach(({ offset, size }, index) => {
        const before = regions[index - 1];
        assert.ok(before === undefined || before.offset + before.size <= offset);
        assert.ok(index === regions.length - 1 || size % 512 === 0);
      });
      for (const { offset, size } of segments) {
        assert.ok(
          regions.some((region) => region.offset <= offset && offset + size <= region.offset + region.size),
        );
      }
      assert.ok(fills.every((fill) => fill < 512));
    }),
  );
});
