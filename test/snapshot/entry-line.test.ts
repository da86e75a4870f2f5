import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { type ChunkRef, type Hole, isSafePath, type ManifestEntry } from "../../src/snapshot/entry.ts";
import { decodeEntry, encodeEntry } from "../../src/snapshot/entry-line.ts";
import { requireRecordable } from "../../src/snapshot/recordable.ts";

const segment = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0 && byte !== 0x2f)))
  .filter(
    (bytes) => ![0, 1, 2].includes(bytes.length) || ![".", "..", ""].includes(bytes.toString("latin1")),
  );
const path = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((parts) => Buffer.from(parts.map((part) => part.toString("latin1")).join("/"), "latin1"));
const chunk = fc.record({
  pack: fc.nat(5),
  id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex")),
  size: fc.integer({ min: 1, max: 4 * 1024 * 1024 }),
});
const entry: fc.Arbitrary<ManifestEntry> = fc
  .record({
    path,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.nat(),
    gid: fc.nat(),
    user: fc.option(fc.string(), { nil: undefined }),
    group: fc.option(fc.string(), { nil: undefined }),
    mtime: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
    same: fc.option(fc.string({ maxLength: 50 }), { nil: undefined }),
    xattrs: fc.option(
      fc.dictionary(
        fc.string().filter((name) => name !== "__proto__"),
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      ),
      { nil: undefined },
    ),
    pieces: fc.array(fc.oneof(chunk, fc.integer({ min: 1, max: 2 ** 48 })), { maxLength: 5 }),
  })
  .map(({ pieces, ...parts }) => {
    const holes: Hole[] = [];
    const chunks: ChunkRef[] = [];
    let size = 0;
    for (const piece of pieces) {
      if (typeof piece === "number") holes.push({ offset: size, size: piece });
      else chunks.push(piece);
      size += typeof piece === "number" ? piece : piece.size;
    }
    return { ...parts, type: "file" as const, size, chunks, holes: holes.length === 0 ? undefined : holes };
  });

test("an entry of any bytes survives its line", () => {
  fc.assert(
    fc.property(entry, (before) => {
      const line = encodeEntry(before, (pack) => pack + 10);
      assert.ok(line.endsWith("\n") && !line.slice(0, -1).includes("\n"));
      const after = decodeEntry(line.slice(0, -1), (index) => index - 10, "line");
      assert.deepEqual(JSON.parse(encodeEntry(after, (pack) => pack + 10)), JSON.parse(line));
      assert.deepEqual(after.path, before.path);
      assert.equal(after.mtime, before.mtime);
      assert.deepEqual(after.chunks, structuredClone(before.chunks));
      assert.deepEqual(after.holes, structuredClone(before.holes));
    }),
  );
});

const anyEntry = fc.record({
  path: fc.oneof(
    path,
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom("", "/", ".", "a/..", "../b", "a//b", "a/", "a\0b", "x".repeat(4096), "x".repeat(4097))
      .map(Buffer.from),
  ),
  type: fc.constantFrom("file", "dir", "symlink", "hardlink", "fifo"),
  mode: fc.oneof(fc.integer({ min: -8, max: 0o20000 }), fc.double()),
  uid: fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double()),
  gid: fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double()),
  user: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
  group: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
  mtime: fc.bigInt({ min: -(10n ** 29n), max: 10n ** 29n }),
  size: fc.oneof(fc.nat(), fc.maxSafeInteger(), fc.double()),
  same: fc.option(fc.string({ maxLength: 300, size: "max" }), { nil: undefined }),
  sparse: fc.constantFrom(undefined, true),
  target: fc.option(
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    { nil: undefined },
  ),
  xattrs: fc.option(
    fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "7", "")),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    ),
    { nil: undefined },
  ),
  holes: fc.option(
    fc.array(fc.record({ offset: fc.nat(9), size: fc.integer({ min: -1, max: 9 }) }), { maxLength: 2 }),
    {
      nil: undefined,
    },
  ),
  chunks: fc.array(chunk, { maxLength: 3 }),
}) as fc.Arbitrary<ManifestEntry>;

test("whatever an entry holds, it is refused before it is written or comes back as it was", () => {
  let written = 0;
  fc.assert(
    fc.property(anyEntry, fc.boolean(), (wild, isTrue) => {
      const total = wild.chunks.reduce((sum, { size }) => sum + size, 0);
      const before = isTrue
        ? {
            ...wild,
            size: total,
            mode: 0o644,
            uid: 1,
            gid: 2 ** 32 - 1,
            path: Buffer.from("a/b"),
            mtime: wild.mtime / 10n,
          }
        : wild;
      try {
        requireRecordable(before);
      } catch (error) {
        assert.ok(isFailure(error, "source/failed"));
        return;
      }
      written++;
      const line = encodeEntry(before, (pack) => pack);
      const after = decodeEntry(line.slice(0, -1), (index) => index, "line");
      const chunks = before.type === "file" ? before.chunks : [];
      const holes = before.holes?.length ? { holes: before.holes } : {};
      const { holes: _holes, ...rest } = before;
      assert.deepEqual(structuredClone(after), structuredClone({ ...rest, ...holes, chunks }));
    }),
    { numRuns: 2000 },
  );
  assert.ok(written > 50, `${written}`);
});

const times: readonly { name: string; mtime: bigint }[] = [
  { name: "the year 5138", mtime: 10n ** 20n },
  { name: "the year 287000", mtime: 9_000_000_000_000n * 10n ** 9n },
  { name: "the last second of 64 bits", mtime: (2n ** 63n - 1n) * 10n ** 9n + 999_999_999n },
  { name: "the first second of 64 bits", mtime: -(2n ** 63n) * 10n ** 9n },
];
for (const { name, mtime } of times) {
  test(`a time is read back: ${name}`, () => {
    const line = encodeEntry(
      { path: Buffer.from("a"), type: "dir", mode: 0o755, uid: 0, gid: 0, mtime, size: 0, chunks: [] },
      () => 0,
    );
    requireRecordable(decodeEntry(line.trimEnd(), () => 0, "line"));
    assert.equal(decodeEntry(line.trimEnd(), () => 0, "line").mtime, mtime);
  });
}

const good = encodeEntry(
  {
    path: Buffer.from("a/b"),
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 1n,
    size: 3,
    chunks: [{ pack: 0, id: "ab".repeat(32), size: 3 }],
  },
  (pack) => pack,
).trimEnd();

test("an entry of more pieces than a reader takes is not written, whether they are chunks or holes", () => {
  const entry = decodeEntry(good, (index) => index, "line");
  const many = 1_500_000;
  const refused = { code: "source/failed", message: /has more than 1500000 chunks$/ };
  const chunks = new Array<ChunkRef>(many).fill(entry.chunks[0] as ChunkRef);
  assert.throws(() => requireRecordable({ ...entry, chunks, holes: [{ offset: 0, size: 1 }] }), refused);
  assert.throws(() => requireRecordable({ ...entry, chunks: [...chunks, ...entry.chunks] }), refused);
});

const misfits: readonly { name: string; change: Partial<ManifestEntry>; says: RegExp }[] = [
  { name: "a size below nothing", change: { size: -1, chunks: [] }, says: /its size is out of range$/ },
  { name: "a size that no number holds", change: { size: 2 ** 53 }, says: /its size is out of range$/ },
  { name: "chunks of another size", change: { size: 4 }, says: /its chunks do not add up to its size$/ },
  { name: "a directory with chunks", change: { type: "dir" }, says: /its chunks do not add up to its size$/ },
  {
    name: "a hole inside a chunk",
    change: { size: 5, holes: [{ offset: 2, size: 2 }] },
    says: /its holes lie in its chunks$/,
  },
  {
    name: "a hole of nothing",
    change: { holes: [{ offset: 3, size: 0 }] },
    says: /its holes lie in its chunks$/,
  },
  { name: "a mode of more bits", change: { mode: 0o10000 }, says: /its mode or owner is out of range$/ },
  { name: "an owner below nobody", change: { uid: -1 }, says: /its mode or owner is out of range$/ },
  {
    name: "a hard link to nothing",
    change: { type: "hardlink", size: 0, chunks: [] },
    says: /it links outside of its source$/,
  },
  {
    name: "a hard link out of the source",
    change: { type: "hardlink", size: 0, chunks: [], target: Buffer.from("../b") },
    says: /it links outside of its source$/,
  },
];
for (const { name, change, says } of misfits) {
  test(`not written: ${name}`, () => {
    const entry = decodeEntry(good, (index) => index, "line");
    requireRecordable(entry);
    assert.throws(() => requireRecordable({ ...entry, ...change }), { code: "source/failed", message: says });
  });
}

const hostile: readonly { name: string; line: string }[] = [
  { name: "a path that climbs", line: good.replace("a/b", "a/../b") },
  { name: "an absolute path", line: good.replace("a/b", "/a/b") },
  { name: "an empty path", line: good.replace("a/b", "") },
  { name: "a dot segment", line: good.replace("a/b", "./b") },
  { name: "a NUL in a path", line: good.replace('"path":"a/b"', '"path":"a\\u0000b"') },
  { name: "a key twice", line: good.replace('"type"', '"path":"c","type"') },
  { name: "a path in two forms", line: good.replace('"type"', '"path_b64":"YQ==","type"') },
  { name: "an unknown field", line: good.replace('"type"', '"extra":1,"type"') },
  { name: "a pack that the list does not have", line: good.replace("[[0,", "[[7,") },
  { name: "a size that its chunks do not add up to", line: good.replace('"size":"3"', '"size":"4"') },
  { name: "a chunk without bytes", line: good.replace(",3]]", ",0]]") },
  { name: "a chunk of negative size", line: good.replace(",3]]", ",-3]]") },
  { name: "a chunk id that is a path", line: good.replace("ab".repeat(32), "../".repeat(21)) },
  { name: "space where there is none", line: good.replace('"type":', '"type": ') },
  { name: "half a line", line: good.slice(0, 40) },
  { name: "a mode that is a number", line: good.replace('"0644"', "420") },
  {
    name: "a hard link to nothing",
    line: '{"path":"a","type":"hardlink","mode":"0644","uid":0,"gid":0,"mtime":"1","size":"0"}',
  },
  {
    name: "a hard link out of the source",
    line: '{"path":"a","type":"hardlink","mode":"0644","uid":0,"gid":0,"mtime":"1","size":"0","target":"../b"}',
  },
];
for (const { name, line } of hostile) {
  test(`refused: ${name}`, () => {
    assert.notEqual(line, good);
    assert.throws(
      () => decodeEntry(line, (index) => (index === 0 ? 0 : undefined), "the line"),
      (error) => isFailure(error, "data/damaged"),
    );
  });
}

test("a path is safe when no segment is empty, a dot or two", () => {
  const table: readonly [string, boolean][] = [
    ["a", true],
    ["a/b", true],
    ["...", true],
    ["a/.hidden", true],
    ["a\n", true],
    ["", false],
    ["/a", false],
    ["a/", false],
    ["a//b", false],
    [".", false],
    ["..", false],
    ["a/..", false],
    ["../a", false],
    ["a\0b", false],
  ];
  for (const [text, safe] of table) assert.equal(isSafePath(Buffer.from(text)), safe, JSON.stringify(text));
});
