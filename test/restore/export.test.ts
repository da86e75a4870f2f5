import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { PackPool } from "../../src/pack/pool.ts";
import { type ExportParts, type ExportResult, exportEntry } from "../../src/restore/export.ts";
import type { ChunkRef } from "../../src/snapshot/entry.ts";
import { readTar } from "../../src/source/files/tar-stream.ts";
import { faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { readPartsOf, TinyRepository } from "../support/tiny-repository.ts";

interface Exported extends ExportResult {
  readonly output: Buffer;
}

async function exported(
  tiny: TinyRepository,
  path: string | undefined,
  change: Partial<ExportParts> = {},
): Promise<Exported> {
  const parts: Buffer[] = [];
  const into = new Writable({
    write: (bytes: Buffer, _encoding, done) => {
      parts.push(Buffer.from(bytes)); // its memory is used again
      setImmediate(done);
    },
  });
  await using pool = new PackPool(1);
  const what = { choice: { date: "latest" }, source: "data", path, into };
  const how = { signal: new AbortController().signal };
  const result = await exportEntry({ ...readPartsOf(tiny), pool, ...change }, what, how);
  assert.equal(into.destroyed, false, "the stream is the caller's to end");
  return { ...result, output: Buffer.concat(parts) };
}

async function contents(tar: Buffer): Promise<Map<string, string | Buffer>> {
  const found = new Map<string, string | Buffer>();
  for await (const entry of readTar(Readable.from([tar]))) {
    const parts: Buffer[] = [];
    for await (const view of entry.data) parts.push(Buffer.from(view));
    const content =
      entry.type === "file" ? Buffer.concat(parts) : `${entry.type} ${entry.target ?? ""}`.trim();
    found.set(entry.path.toString("latin1").replace(/\/$/, ""), content);
  }
  return found;
}

async function someFiles(): Promise<TinyRepository> {
  const tiny = await TinyRepository.create();
  const [big, small] = await tiny.pack(fixedBytes("big", 400_000), Buffer.from("small"));
  const [more] = await tiny.pack(fixedBytes("more", 200_000));
  const [zeros] = await tiny.pack(Buffer.alloc(100_000));
  assert.ok(big && small && more && zeros);
  await tiny.snapshot({
    name: "data",
    entries: [
      { path: "a", type: "dir" },
      { path: "a/big", chunks: [big, more, small] },
      { path: "a/link", type: "symlink", target: "big" },
      { path: "ab", chunks: [small] },
      { path: "b/outside 1", type: "hardlink", target: "a/big" },
      { path: "b/outside 2", type: "hardlink", target: "a/big" },
      { path: "sparse", sparse: true, chunks: [zeros, small] },
    ],
  });
  return tiny;
}

const BIG = Buffer.concat([fixedBytes("big", 400_000), fixedBytes("more", 200_000), Buffer.from("small")]);

test("a file is written as it is, whatever stands before its path", async () => {
  const tiny = await someFiles();
  for (const path of ["a/big", "/a/big", "./a/big"]) {
    const { output, form, bytes } = await exported(tiny, path);
    assert.equal(form, "file");
    assert.deepEqual(output, BIG);
    assert.equal(bytes, BIG.length);
  }
});

test("a hard link is its file, and holes of a single file are written", async () => {
  const tiny = await someFiles();
  assert.deepEqual((await exported(tiny, "b/outside 2")).output, BIG);
  assert.deepEqual(
    (await exported(tiny, "sparse")).output,
    Buffer.concat([Buffer.alloc(100_000), Buffer.from("small")]),
  );
});

test("a directory is a tar of what is below it and of nothing beside it", async () => {
  const tiny = await someFiles();
  const { output, form } = await exported(tiny, "a/");
  assert.equal(form, "tar");
  const found = await contents(output);
  assert.deepEqual([...found.keys()].sort(), ["a", "a/big", "a/link"]);
  assert.deepEqual(found.get("a/big"), BIG);
  assert.equal(found.get("a/link"), "symlink big");
});

test("hard links to what is outside of the directory become the file once", async () => {
  const found = await contents((await exported(await someFiles(), "b")).output);
  assert.deepEqual(found.get("b/outside 1"), BIG);
  assert.equal(found.get("b/outside 2"), "hardlink b/outside 1");
});

test("a source of several files is a tar, a source of one is that file", async () => {
  const found = await contents((await exported(await someFiles(), undefined)).output);
  assert.equal(found.size, 7);
  const tiny = await TinyRepository.create();
  const chunks = await tiny.pack(Buffer.from("the output"));
  await tiny.snapshot({ name: "data", kind: "command", entries: [{ path: "output", chunks }] });
  const { output, form } = await exported(tiny, undefined);
  assert.deepEqual([form, output.toString()], ["file", "the output"]);
});

test("a path that is not there or has no content is a wrong use, and nothing is written", async () => {
  const tiny = await someFiles();
  for (const path of ["c", "a/bi", "a/link", "a/big/x"]) {
    await assert.rejects(exported(tiny, path), (error) => isFailure(error, "usage/invalid"), path);
  }
});

test("damage is found before the damaged bytes are written", async () => {
  const tiny = await TinyRepository.create();
  const [good] = await tiny.pack(fixedBytes("good", 100_000));
  const [bad] = await tiny.pack(fixedBytes("bad", 100_000));
  assert.ok(good && bad);
  await tiny.snapshot({ name: "data", entries: [{ path: "f", chunks: [good, bad] }] });
  const name = tiny.packName(bad);
  const key = `tiny/packs/${name.slice(0, 2)}/${name}`;
  const bytes = Buffer.from(await tiny.get(key));
  bytes[50_000] = (bytes[50_000] ?? 0) ^ 1;
  await tiny.replace(key, bytes);
  await assert.rejects(
    exported(tiny, "f"),
    (error) => isFailure(error, "data/damaged") && /data loses f$/.test(error.message),
  );
});

test("a reader that goes away ends it, one that stands still can be left", async () => {
  const tiny = await someFiles();
  await using pool = new PackPool(1);
  const parts = { ...readPartsOf(tiny), pool };
  const gone = new PassThrough();
  gone.once("pipe", () => {});
  gone.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  await once(gone, "close").catch(() => {});
  const what = { choice: { date: "latest" }, source: "data", path: "a/big" };
  await assert.rejects(exportEntry(parts, { ...what, into: gone }, { signal: new AbortController().signal }));
  const still = new Writable({ write: () => {} });
  const stop = new AbortController();
  const reason = new Error("enough");
  const waiting = exportEntry(parts, { ...what, into: still }, { signal: stop.signal });
  setTimeout(() => stop.abort(reason), 300);
  await assert.rejects(waiting, (error) => error === reason);
});

test("any files over any packs come out whole, and every pack that is needed is fetched once", async () => {
  const pieces = Array.from({ length: 24 }, (_, index) => fixedBytes(`c${index}`, 1 + index * 1777));
  const layout = fc.record({
    packOf: fc.array(fc.nat(9), { minLength: 24, maxLength: 24 }),
    files: fc.array(fc.array(fc.nat(23), { maxLength: 9 }), { minLength: 2, maxLength: 12 }),
  });
  await using pool = new PackPool(1);
  await fc.assert(
    fc.asyncProperty(layout, async ({ packOf, files }) => {
      const tiny = await TinyRepository.create();
      const refs: ChunkRef[] = [];
      for (let pack = 0; pack < 10; pack++) {
        const members = [...packOf.keys()].filter((index) => packOf[index] === pack);
        const made =
          members.length === 0 ? [] : await tiny.pack(...members.map((index) => at(pieces, index)));
        for (const [position, index] of members.entries()) refs[index] = at(made, position);
      }
      const entries = files.map((chunks, index) => ({
        path: `file ${index}`,
        chunks: chunks.map((each) => at(refs, each)),
      }));
      await tiny.snapshot({ name: "data", entries });
      const store = faultyStore(tiny.store, []);
      const found = await contents((await exported(tiny, undefined, { store, pool })).output);
      for (const [index, chunks] of files.entries()) {
        const expected = Buffer.concat(chunks.map((each) => at(pieces, each)));
        assert.deepEqual(found.get(`file ${index}`), expected);
      }
      const gets = store.calls.filter((call) => call.startsWith("get tiny/packs/"));
      assert.equal(gets.length, new Set(files.flat().map((index) => packOf[index])).size);
    }),
    { numRuns: 15 },
  );
});

function at<Item>(items: readonly Item[], index: number): Item {
  return items[index] as Item;
}
