import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import type { ManifestEntry } from "../../src/snapshot/entry.ts";
import { openManifest } from "../../src/snapshot/manifest-reader.ts";
import { ManifestWriter } from "../../src/snapshot/manifest-writer.ts";
import {
  getExactly,
  loadManifestAlone,
  loadSourceManifest,
  openSourceManifest,
} from "../../src/snapshot/source-manifest.ts";
import { ENTRIES, HEAD } from "../support/golden-repository.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const [first, second] = ENTRIES.filter(({ type }) => type === "dir" || type === "symlink") as [
  ManifestEntry,
  ManifestEntry,
];
const head = JSON.stringify(HEAD);
const lineOf = (path: string) =>
  `{"path":"${path}","type":"dir","mode":"0755","uid":0,"gid":0,"mtime":"1","size":"0"}`;
const endOf = (lines: readonly string[], change: object = {}) => {
  const sha256 = createHash("sha256")
    .update(lines.map((line) => `${line}\n`).join(""))
    .digest("hex");
  return JSON.stringify({ end: true, entries: lines.length, sha256, ...change });
};
const [a, b] = [lineOf("a"), lineOf("b")];

/** The paths of a manifest of this text. */
async function pathsOf(text: string, frame: Uint8Array = zstdCompressSync(text)): Promise<string[]> {
  const { entries, digest } = await openManifest(frame, () => 0, "m", HOW);
  const paths: string[] = [];
  for await (const { path } of entries) paths.push(path.toString());
  assert.equal(digest()?.length, 64);
  return paths;
}

const whole = `${[head, a, b, endOf([a, b])].join("\n")}\n`;
const hostile: readonly { name: string; text: string; frame?: Buffer; says: RegExp }[] = [
  { name: "nothing", text: "", says: /^manifest m is empty$/ },
  { name: "no frame", text: "", frame: Buffer.from("no zstd"), says: /is not a whole zstd frame$/ },
  {
    name: "half a frame",
    text: "",
    frame: zstdCompressSync(whole).subarray(0, -9),
    says: /is not a whole zstd frame$/,
  },
  { name: "half a line", text: `${head}\n${a}`, says: /ends in the middle of a line$/ },
  { name: "no end line", text: `${head}\n${a}\n`, says: /ends before its last line$/ },
  {
    name: "lines out of order",
    text: `${[head, b, a, endOf([b, a])].join("\n")}\n`,
    says: /line 3 is out of order$/,
  },
  {
    name: "a line twice",
    text: `${[head, a, a, endOf([a, a])].join("\n")}\n`,
    says: /line 3 is out of order$/,
  },
  {
    name: "another number of lines",
    text: `${[head, a, endOf([a], { entries: 2 })].join("\n")}\n`,
    says: /holds 1 entries and says 2$/,
  },
  {
    name: "other lines of the same number",
    text: `${[head, a, endOf([b])].join("\n")}\n`,
    says: /has other lines than its last one says$/,
  },
];
for (const { name, text, frame, says } of hostile) {
  test(`a manifest of ${name} is damaged`, () =>
    assert.rejects(pathsOf(text, frame), { code: "data/damaged", message: says }));
}

test("a line that never ends is refused before it fills the memory", async () => {
  const frame = zstdCompressSync(Buffer.concat([Buffer.from(`${head}\n`), Buffer.alloc(300 * 2 ** 20, "x")]));
  await assert.rejects(pathsOf("", frame), {
    code: "data/damaged",
    message: /has a line longer than \d+ bytes$/,
  });
});

test("many lines are read in order, with breaths in between", async () => {
  const lines = Array.from({ length: 5000 }, (_, at) => lineOf(String(at).padStart(5, "0")));
  let breaths = 0;
  const timer = setInterval(() => breaths++, 0);
  assert.equal((await pathsOf(`${[head, ...lines, endOf(lines)].join("\n")}\n`)).length, lines.length);
  clearInterval(timer);
  assert.ok(breaths > 0);
  assert.deepEqual(await pathsOf(whole), ["a", "b"]);
});

test("a source that gives its entries out of order has a bug, and nothing is written", () => {
  const writer = new ManifestWriter();
  const [low, high] = [first, second].sort((one, two) => Buffer.compare(one.path, two.path));
  assert.ok(low && high);
  writer.add(high);
  for (const wrong of [low, high]) assert.throws(() => writer.add(wrong), /^Error: entries out of order: /);
});

test("two manifests have one digest when they hold the same entries, and it is that of their end line", async () => {
  const [one, other] = [new ManifestWriter(), new ManifestWriter()];
  for (const writer of [one, other]) writer.add({ ...first, path: Buffer.from("a") });
  assert.equal(one.digest(), other.digest());
  const { entries, digest } = await openManifest(await one.compressed(HEAD), () => 0, "m", HOW);
  for await (const _ of entries);
  assert.equal(digest(), one.digest());
  one.add({ ...first, path: Buffer.from("b") });
  assert.notEqual(one.digest(), other.digest());
});

test("an unfinished file stands in the checkpoint's manifest alone", async () => {
  const writer = new ManifestWriter();
  const entry = (path: string): ManifestEntry => {
    const chunks = [{ pack: 7, id: path.repeat(64), size: 1 }];
    return { ...first, type: "file", target: undefined, path: Buffer.from(path), size: 1, chunks };
  };
  writer.add(entry("a"));
  const checkpoint = await writer.compressed(HEAD, { file: entry("b") });
  assert.deepEqual(await pathsOf("", checkpoint), ["a", "b"]);
  assert.deepEqual(await pathsOf("", await writer.compressed(HEAD)), ["a"]);
  assert.deepEqual([writer.entries, writer.packs()], [1, [7]]);
});

test("entries are taken back by their paths, hard links to them too; what is left is what the manifest holds", async () => {
  const chunks = [{ pack: 7, id: "0".repeat(64), size: 1 }];
  const file = { ...first, type: "file", target: undefined, size: 1, chunks } as const;
  const entry = (path: string, change: Partial<ManifestEntry> = {}) => ({
    ...file,
    path: Buffer.from(path),
    ...change,
  });
  const link = { type: "hardlink", size: 0, chunks: [] } as const;
  const writer = new ManifestWriter();
  writer.add(entry("a"));
  writer.add(entry("b", { ...link, target: Buffer.from("a") }));
  writer.add(entry("c", { same: "as before" }), true);
  writer.add(entry("d", { ...link, target: Buffer.from("c") }));
  writer.add({ ...first, path: Buffer.from("e") });
  const links = await writer.drop([Buffer.from("a")]);
  assert.deepEqual([links.map(String), writer.entries, writer.bytes], [["b"], 3, 1]);
  assert.deepEqual(await pathsOf("", await writer.compressed(HEAD)), ["c", "d", "e"]);
  const { entries } = await openManifest(
    await writer.compressed(HEAD, { file: undefined }),
    () => 0,
    "m",
    HOW,
  );
  const same: (string | undefined)[] = [];
  for await (const one of entries) same.push(one.same);
  assert.deepEqual(
    same,
    [undefined, undefined, undefined],
    "a checkpoint does not say that what is doubtful is unchanged",
  );
  const whole_ = await openManifest(await writer.compressed(HEAD), () => 0, "m", HOW);
  for await (const one of whole_.entries)
    assert.equal(one.same, one.path.toString() === "c" ? "as before" : undefined);
});

test("a source without a manifest or a list has nothing to load; without its list its files are known still", async () => {
  const tiny = await TinyRepository.create();
  const source = await tiny.source({ name: "files", entries: [{ path: "a", type: "dir" }] });
  const { manifest, list, ...nothing } = source;
  const keys = { identities: [tiny.identity], packs: tiny.packs };
  for (const without of [nothing, { ...nothing, manifest }, { ...nothing, list }])
    await assert.rejects(loadSourceManifest(tiny.store, POLICY, without, keys, HOW), {
      code: "data/missing",
    });
  const alone = { identities: keys.identities, nowhere: 3 };
  await assert.rejects(loadManifestAlone(tiny.store, POLICY, nothing, alone, HOW), { code: "data/missing" });
  const packed = await tiny.source({
    name: "packed",
    entries: [{ path: "b", chunks: await tiny.pack(Buffer.from("content")) }],
  });
  await tiny.store.remove(`${POLICY}/lists/${packed.list?.sha256}`, HOW);
  const lost = openSourceManifest(tiny.store, POLICY, packed, keys, HOW);
  await assert.rejects(lost, { code: "store/missing" });
  const { entries } = await (await loadManifestAlone(tiny.store, POLICY, packed, alone, HOW)).entries(HOW);
  for await (const { path, chunks } of entries)
    assert.deepEqual([path.toString(), chunks.map(({ pack }) => pack)], ["b", [3]]);
});

test("bytes of another size or another hash are not what a name promises", async () => {
  const { store } = await TinyRepository.create();
  await store.put("x", Buffer.from("abc"), HOW);
  const sha256 = createHash("sha256").update("abc").digest("hex");
  const get = (expected: { sha256: string; size: number }) => getExactly(store, "x", expected, 100, HOW);
  assert.equal(Buffer.from(await get({ sha256, size: 3 })).toString(), "abc");
  for (const other of [
    { sha256, size: 4 },
    { sha256: "0".repeat(64), size: 3 },
  ])
    await assert.rejects(get(other), { code: "data/damaged" });
});
