import assert from "node:assert/strict";
import { lstat, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { damagedPath } from "../../src/restore/damage.ts";
import type { RestoredSource } from "../../src/restore/report.ts";
import type { RestoreResult } from "../../src/restore/restore.ts";
import type { ChunkRef } from "../../src/snapshot/entry.ts";
import type { SnapshotRecord, SourceRecord } from "../../src/snapshot/record.ts";
import { listKey, manifestKey, packKey } from "../../src/store/keys.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { restoring } from "../support/restoring.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const SIZE = 200_000;
const content = (name: string) => fixedBytes(name, SIZE);
const EARLIER = { started: "2026-11-19T01:30:00.000Z", ended: "2026-11-19T01:32:00.000Z" };

/** Files of the newest snapshot by name, with the names of their chunks. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  big: ["one", "two", "three"],
  "dir/two": ["two"],
  kept: ["kept"],
  "new": ["new"],
};

/** Two snapshots of `data`, of which the newer has one file more, and of `other`. Every chunk has a pack of its own. */
class Example {
  readonly tiny: TinyRepository;
  readonly chunks: ReadonlyMap<string, ChunkRef>;
  readonly earlier: SnapshotRecord;
  readonly data: SourceRecord;
  readonly other: SourceRecord;

  private constructor(
    tiny: TinyRepository,
    chunks: ReadonlyMap<string, ChunkRef>,
    earlier: SnapshotRecord,
    [data, other]: readonly [SourceRecord, SourceRecord],
  ) {
    this.tiny = tiny;
    this.chunks = chunks;
    this.earlier = earlier;
    this.data = data;
    this.other = other;
  }

  static async create(): Promise<Example> {
    const tiny = await TinyRepository.create();
    const chunks = new Map<string, ChunkRef>();
    for (const name of ["one", "two", "three", "kept", "new", "other"]) {
      const [chunk] = await tiny.pack(content(name));
      if (chunk) chunks.set(name, chunk);
    }
    const of = (names: readonly string[]) => names.map((name) => chunks.get(name) as ChunkRef);
    const entries = Object.entries(FILES).map(([path, names]) => ({ path, chunks: of(names) }));
    const all = [
      ...entries,
      { path: "dir", type: "dir" as const },
      { path: "hard", type: "hardlink" as const, target: "big" },
      { path: "link", type: "symlink" as const, target: "nowhere" },
    ];
    const other = await tiny.source({ name: "other", entries: [{ path: "f", chunks: of(["other"]) }] });
    const before = await tiny.source({ name: "data", entries: all.filter(({ path }) => path !== "new") });
    const { record: earlier } = await tiny.commit([before, other], EARLIER);
    const data = await tiny.source({ name: "data", entries: all });
    await tiny.commit([data, other]);
    return new Example(tiny, chunks, earlier, [data, other]);
  }

  packKey(chunk: string): string {
    return packKey(POLICY, this.tiny.packName(this.chunks.get(chunk) as ChunkRef));
  }

  get listKey(): string {
    return listKey(POLICY, this.data.list?.sha256 ?? "");
  }

  get manifestKey(): string {
    return manifestKey(POLICY, this.data.manifest?.sha256 ?? "");
  }

  remove(key: string): Promise<void> {
    return this.tiny.store.remove(key, HOW);
  }

  async flip(key: string, at: number): Promise<void> {
    const bytes = Buffer.from(await this.tiny.get(key));
    const place = (at + bytes.length) % bytes.length;
    bytes[place] = (bytes[place] as number) ^ 0x10;
    await this.tiny.replace(key, bytes);
  }

  async cut(key: string, to: number): Promise<void> {
    await this.tiny.replace(key, (await this.tiny.get(key)).subarray(0, to));
  }
}

const sourceOf = (result: RestoreResult, name: string) =>
  result.sources.find((source) => source.name === name) as RestoredSource;

/** What came back must be what was captured, in files that have their own name; answers those names. */
async function wholeFiles(directory: string): Promise<string[]> {
  const names: string[] = [];
  for (const [path, chunks] of Object.entries(FILES)) {
    const bytes = await readFile(join(directory, path)).catch(() => undefined);
    if (bytes === undefined) continue;
    assert.ok(bytes.equals(Buffer.concat(chunks.map(content))), `${path} has its name and is not whole`);
    names.push(path);
  }
  return names;
}

interface Row {
  readonly name: string;
  readonly damage: (example: Example) => Promise<unknown>;
  /** Files of `data` that come back whole. */
  readonly whole: readonly string[];
  /** Files that do not, with the chunks of which something is missing; "" is written for nothing left. */
  readonly lost: Readonly<Record<string, readonly string[]>>;
  readonly outcome: RestoredSource["outcome"];
}

const ALL = Object.keys(FILES);
const without = (...names: readonly string[]) => ALL.filter((name) => !names.includes(name));
const TWO_IS_LOST = { big: ["two"], "dir/two": ["two"], hard: ["two"] };
const packDamages: readonly (readonly [string, (example: Example, key: string) => Promise<unknown>])[] = [
  ["a pack that is gone", (example, key) => example.remove(key)],
  ["a bit flipped at a pack's beginning", (example, key) => example.flip(key, 5)],
  ["a bit flipped in a pack's middle", (example, key) => example.flip(key, 100_000)],
  ["a bit flipped at a pack's end", (example, key) => example.flip(key, -1)],
  ["a pack cut short", (example, key) => example.cut(key, 1000)],
  ["an empty pack", (example, key) => example.cut(key, 0)],
  [
    "another authentic pack in its place",
    async (example, key) => example.tiny.replace(key, await example.tiny.get(example.packKey("kept"))),
  ],
];

const rows: readonly Row[] = [
  ...packDamages.map(
    ([name, damage]): Row => ({
      name,
      damage: (example) => damage(example, example.packKey("two")),
      whole: without("big", "dir/two"),
      lost: TWO_IS_LOST,
      outcome: "damaged",
    }),
  ),
  {
    name: "the first and the last piece of a file gone",
    damage: async (example) => {
      await example.remove(example.packKey("one"));
      await example.remove(example.packKey("three"));
    },
    whole: without("big"),
    lost: { big: ["one", "three"], hard: ["one", "three"] },
    outcome: "damaged",
  },
  {
    name: "a lost pack whose chunk another snapshot has in another one",
    damage: async (example) => {
      const { tiny } = example;
      await example.remove(example.packKey("two"));
      const [, again] = await tiny.pack(content("filler"), content("two"));
      const source = await tiny.source({
        name: "data",
        entries: [{ path: "moved", chunks: [again as ChunkRef] }],
      });
      await tiny.commit([source, example.other], { ...EARLIER, ended: "2026-11-19T05:00:00.000Z" });
    },
    whole: ALL,
    lost: {},
    outcome: "restored",
  },
  {
    name: "a list that is gone: packs are known from the snapshot before",
    damage: (example) => example.remove(example.listKey),
    whole: without("new"),
    lost: { new: ["new"] },
    outcome: "damaged",
  },
  {
    name: "a list with a flipped bit",
    damage: (example) => example.flip(example.listKey, 120),
    whole: without("new"),
    lost: { new: ["new"] },
    outcome: "damaged",
  },
  {
    name: "a list that is gone, and a pack",
    damage: async (example) => {
      await example.remove(example.listKey);
      await example.remove(example.packKey("two"));
    },
    whole: ["kept"],
    lost: { ...TWO_IS_LOST, new: ["new"] },
    outcome: "damaged",
  },
  ...(
    [
      ["a manifest that is gone", (example: Example) => example.remove(example.manifestKey)],
      ["a manifest with a flipped bit", (example: Example) => example.flip(example.manifestKey, 300)],
      ["a manifest cut short", (example: Example) => example.cut(example.manifestKey, 200)],
      [
        "a forged manifest: well-formed, sealed to the right key, and signed by nobody",
        async (example: Example) => {
          const { tiny } = example;
          const entries = [{ path: "evil", chunks: [example.chunks.get("kept") as ChunkRef] }];
          const forged = await tiny.source({ name: "data", entries });
          const bytes = await tiny.get(manifestKey(POLICY, forged.manifest?.sha256 ?? ""));
          await tiny.replace(example.manifestKey, bytes);
        },
      ],
    ] as const
  ).map(([name, damage]): Row => ({ name, damage, whole: [], lost: {}, outcome: "failed" })),
];

for (const row of rows) {
  test(`best effort: ${row.name}`, async () => {
    const example = await Example.create();
    await row.damage(example);
    await using to = await scratchDirectory();
    const result = await restoring(example.tiny, to.path, { onDamage: "best-effort" });
    assert.equal(sourceOf(result, "other").outcome, "restored");
    assert.deepEqual(await readFile(join(to.path, "other", "f")), content("other"));
    const data = sourceOf(result, "data");
    assert.equal(data.outcome, row.outcome);
    assert.deepEqual((await wholeFiles(join(to.path, "data"))).sort(), [...row.whole].sort());
    await checkRest(data, to.path, row.lost);
    const names = (await readdir(to.path)).filter((name) => name.startsWith("data"));
    const expected = {
      restored: ["data", "data.facts.json"],
      damaged: ["data", "data.damaged.txt", "data.facts.json"],
      failed: [],
    };
    assert.deepEqual(names.sort(), expected[row.outcome]);
    if (row.outcome !== "failed") return;
    assert.equal(data.damage?.wholeFiles, 0);
    assert.deepEqual(data.damage?.older, { snapshot: example.earlier.id, ended: example.earlier.ended });
  });
}

/** Files that are not whole have no name of their own, and zeros where the report says that something is missing. */
async function checkRest(data: RestoredSource, to: string, lost: Row["lost"]): Promise<void> {
  const files = data.damage?.files ?? [];
  assert.deepEqual(files.map(({ path }) => path).sort(), Object.keys(lost).sort());
  for (const { path, size, missing, writtenAs } of files) {
    const chunks = FILES[path === "hard" ? "big" : path] ?? [];
    assert.equal(size, chunks.length * SIZE);
    await assert.rejects(lstat(join(to, "data", path)), { code: "ENOENT" });
    const expected = chunks.map((name) => (lost[path]?.includes(name) ? Buffer.alloc(SIZE) : content(name)));
    const ranges = chunks.flatMap((name, at) =>
      lost[path]?.includes(name) ? [{ from: at * SIZE, to: (at + 1) * SIZE }] : [],
    );
    assert.deepEqual(missing, ranges);
    const isAnythingLeft = (lost[path]?.length ?? 0) < chunks.length;
    assert.equal(writtenAs, isAnythingLeft ? `${path}.drops-damaged` : undefined);
    if (writtenAs === undefined) continue;
    assert.ok((await readFile(join(to, "data", writtenAs))).equals(Buffer.concat(expected)), path);
    const words = await readFile(join(to, "data.damaged.txt"), "utf8");
    for (const { from, to: end } of missing) assert.ok(words.includes(`bytes ${from} to ${end - 1}`));
  }
}

test("a hard link to what is left of a file is one to the same file still; the rest keeps times and modes", async () => {
  const example = await Example.create();
  await example.remove(example.packKey("two"));
  await using to = await scratchDirectory();
  await restoring(example.tiny, to.path, { onDamage: "best-effort" });
  const rest = await stat(join(to.path, "data", "big.drops-damaged"));
  assert.equal((await stat(join(to.path, "data", "hard.drops-damaged"))).ino, rest.ino);
  assert.ok(rest.blocks * 512 < 3 * SIZE - SIZE / 2, "what is missing is a hole");
  assert.equal(rest.mtimeMs, (await stat(join(to.path, "data", "kept"))).mtimeMs);
});

test("without it nothing of the source is written, and what could come back is said", async () => {
  const example = await Example.create();
  await example.remove(example.packKey("two"));
  await using to = await scratchDirectory();
  const result = await restoring(example.tiny, to.path, { onDamage: "describe" });
  const data = sourceOf(result, "data");
  assert.equal(data.outcome, "failed");
  assert.match(data.error?.hint ?? "", /--best-effort/);
  // dir, kept, link and new are whole
  assert.equal(data.damage?.wholeFiles, 4);
  assert.equal(data.damage?.wholeBytes, 2 * SIZE);
  assert.deepEqual(
    data.damage?.packs.map(({ problem }) => problem),
    ["is not in the store"],
  );
  assert.deepEqual(
    data.damage?.files.map(({ path, writtenAs }) => [path, writtenAs]),
    [
      ["big", "big.drops-damaged"],
      ["dir/two", undefined],
      ["hard", "hard.drops-damaged"],
    ],
  );
  assert.deepEqual((await readdir(to.path)).sort(), ["other", "other.facts.json"]);
  await using elsewhere = await scratchDirectory();
  const only = { only: ["data"] };
  await assert.rejects(restoring(example.tiny, elsewhere.path, only), (error) =>
    isFailure(error, "data/missing"),
  );
});

test("another snapshot's state of a lost file is named, unless the same pack was lost with it", async () => {
  const { tiny, ...example } = await Example.create();
  const [old] = await tiny.pack(content("an older state of it"));
  const entries = [
    { path: "new", chunks: [old as ChunkRef] },
    { path: "dir", type: "dir" as const },
    { path: "dir/two", chunks: [example.chunks.get("two") as ChunkRef] },
  ];
  const source = await tiny.source({ name: "data", entries });
  const { record } = await tiny.commit([source], { ...EARLIER, ended: "2026-11-19T23:00:00.000Z" });
  for (const name of ["new", "two"])
    await tiny.store.remove(packKey(POLICY, tiny.packName(example.chunks.get(name) as ChunkRef)), HOW);
  await using to = await scratchDirectory();
  const result = await restoring(tiny, to.path, { onDamage: "best-effort" });
  const older = (path: string) =>
    sourceOf(result, "data").damage?.files.find((file) => file.path === path)?.older;
  assert.deepEqual(older("new"), { snapshot: record.id, ended: record.ended });
  assert.equal(older("dir/two"), undefined);
});

test("records and lists of others are no way in: what a stranger signed is not looked through", async () => {
  const example = await Example.create();
  const { tiny } = example;
  await example.remove(example.packKey("two"));
  const stranger = await TinyRepository.create();
  const [copy] = await tiny.pack(content("two"));
  const source = await tiny.source({ name: "data", entries: [{ path: "x", chunks: [copy as ChunkRef] }] });
  await tiny.commit([source], { ...EARLIER, ended: "2026-11-19T03:00:00.000Z", signer: stranger.signer });
  await using to = await scratchDirectory();
  const result = await restoring(tiny, to.path, { onDamage: "best-effort" });
  assert.equal(sourceOf(result, "data").damage?.chunksElsewhere, 0);
  assert.equal(sourceOf(result, "data").outcome, "damaged");
});

test("a record that was cut short gives nothing; the one before it does, and that is said", async () => {
  const example = await Example.create();
  const { tiny } = example;
  const { key } = await tiny.commit([example.data], {
    started: "2026-11-21T01:30:00.000Z",
    ended: "2026-11-21T01:32:00.000Z",
  });
  await example.cut(key, 300);
  await using to = await scratchDirectory();
  const result = await restoring(tiny, to.path, { onDamage: "best-effort" });
  assert.equal(result.chosen.snapshot.record.ended, "2026-11-20T01:32:00.000Z");
  assert.match(result.notes.join("\n"), /passed over/);
  assert.deepEqual((await wholeFiles(join(to.path, "data"))).sort(), [...ALL].sort());
});

test("a database that is whole in every byte and no database is marked, and nothing says to use it", async () => {
  const tiny = await TinyRepository.create();
  const [chunk] = await tiny.pack(content("x"));
  const entries = [{ path: "000001.sst", chunks: [chunk as ChunkRef] }];
  await tiny.snapshot({ name: "db", kind: "rocksdb", entries });
  await using to = await scratchDirectory();
  const result = await restoring(tiny, to.path, { onDamage: "best-effort" });
  assert.equal(sourceOf(result, "db").outcome, "damaged");
  assert.match(result.next.join("\n"), /db\.damaged\.txt before anything uses/);
  assert.match(await readFile(join(to.path, "db.damaged.txt"), "utf8"), /has no CURRENT file/);
});

test("when every pack is gone and only directories are left, they come back; when nothing is, it fails", async () => {
  const tiny = await TinyRepository.create();
  const [chunk] = await tiny.pack(content("x"));
  await tiny.snapshot({ name: "data", entries: [{ path: "f", chunks: [chunk as ChunkRef] }] });
  await tiny.store.remove(packKey(POLICY, tiny.packName(chunk as ChunkRef)), HOW);
  await using to = await scratchDirectory();
  await assert.rejects(restoring(tiny, to.path, { onDamage: "best-effort" }), (error) =>
    isFailure(error, "data/missing"),
  );
  assert.deepEqual(await readdir(to.path), []);
});

test("the name for what is left of a file is free, and no longer than a file system takes", () => {
  assert.equal(damagedPath("a/b", new Set()), "a/b.drops-damaged");
  assert.equal(damagedPath("a/b", new Set(["a/b.drops-damaged"])), "a/b.drops-damaged-2");
  const long = damagedPath(`a/${"x".repeat(255)}`, new Set());
  assert.equal(long.length, 2 + 255);
  assert.ok(long.endsWith(".drops-damaged"));
});

for (const [name, damage] of [
  ["gone", (tiny: TinyRepository) => tiny.store.remove("repository.json", HOW)],
  ["without its signature", (tiny: TinyRepository) => tiny.store.remove("repository.json.sig", HOW)],
  [
    "with a flipped bit",
    async (tiny: TinyRepository) => {
      const bytes = Buffer.from(await tiny.get("repository.json"));
      bytes[40] = (bytes[40] as number) ^ 1;
      await tiny.replace("repository.json", bytes);
    },
  ],
] as const) {
  test(`repository.json ${name}: signed records that agree say which repository it is`, async () => {
    const { tiny } = await Example.create();
    await damage(tiny);
    await using to = await scratchDirectory();
    await assert.rejects(restoring(tiny, to.path, { onDamage: "describe" }));
    const result = await restoring(tiny, to.path, { onDamage: "best-effort" });
    assert.deepEqual(
      result.sources.map(({ outcome }) => outcome),
      ["restored", "restored"],
    );
    assert.match(result.notes.join("\n"), /repository\.json is lost or damaged/);
    assert.deepEqual((await wholeFiles(join(to.path, "data"))).sort(), [...ALL].sort());
  });
}

test("repository.json gone and records of two repositories, or of nobody who is trusted: nothing is believed", async () => {
  const { tiny, data } = await Example.create();
  await tiny.store.remove("repository.json", HOW);
  const stranger = await TinyRepository.create();
  await using to = await scratchDirectory();
  const trust = trustOf(undefined, { signers: [stranger.signer.publicKey] });
  const refused = (error: unknown) => isFailure(error, "repository/missing");
  await assert.rejects(restoring(tiny, to.path, { onDamage: "best-effort", trust }), refused);
  await tiny.commit([data], { ...EARLIER, repository: stranger.id, ended: "2026-11-19T04:00:00.000Z" });
  await assert.rejects(restoring(tiny, to.path, { onDamage: "best-effort" }), refused);
});
