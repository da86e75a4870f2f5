import assert from "node:assert/strict";
import type { BigIntStats } from "node:fs";
import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { PackPool } from "../../src/pack/pool.ts";
import { openSource } from "../../src/restore/open-source.ts";
import { RestorePlanner } from "../../src/restore/plan.ts";
import { writePlan } from "../../src/restore/source-writer.ts";
import { alteredHost } from "../support/altered-host.ts";
import { faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { restoring } from "../support/restoring.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import { readPartsOf, TinyRepository } from "../support/tiny-repository.ts";

const isRoot = process.getuid?.() === 0;
const OWNER = isRoot
  ? { uid: 12_345, gid: 54_321 }
  : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const NANOSECONDS = 1_699_999_999_987_654_321n;

test("whoever is not root is told of the attributes that did not come back", async () => {
  const tiny = await TinyRepository.create();
  const [one] = await tiny.pack(fixedBytes("one", 1000));
  assert.ok(one);
  const secret = { "trusted.t": Buffer.from("t"), "user.u": Buffer.from("u") };
  const names = Array.from({ length: 12 }, (_, at) => `f${String(at).padStart(2, "0")}`);
  const entries = names.map((path) => ({ path, chunks: [one], xattrs: secret }));
  const { record } = await tiny.snapshot({
    name: "media",
    entries: [...entries, { path: "plain", chunks: [one] }],
  });
  const [source] = record.sources;
  assert.ok(source);
  await using to = await scratchDirectory();
  await using here = await openLocalHost();
  const nobody = { name: "nobody", uid: 65_534 };
  const host: Host = isRoot ? { ...alteredHost(here, undefined, { as: nobody.name }), user: nobody } : here;
  const directory = join(to.path, "media");
  await mkdir(directory);
  if (isRoot) await chmod(to.path, 0o755);
  if (isRoot) await chown(directory, nobody.uid, nobody.uid);
  const { store, identities } = readPartsOf(tiny);
  const how = { signal: new AbortController().signal, onBytes: () => {} };
  const opened = await openSource({ store, identities }, record, source, how);
  const planner = new RestorePlanner("media");
  for await (const entry of opened.entries) planner.add(entry);
  const plan = await planner.finish(opened.manifest.numbers);
  await using pool = new PackPool(1);
  const parts = { store, identities, pool, policyName: record.policy, scratch: to.path };
  const { notes } = await writePlan(
    parts,
    { source: "media", plan, packs: opened.packs },
    { host, directory },
    how,
  );
  assert.deepEqual(
    notes.filter((note) => !note.includes("owners")),
    [
      "not root: attributes that only root may set (trusted.*, security.*) are not back on 12 files: /f00, /f01, /f02, /f03, /f04 and 7 more",
    ],
  );
  assert.match((await runTool("getfattr", "-d", join(directory, "f00"))).toString(), /user\.u="u"/);
});

test("every kind of entry comes back as it was", async () => {
  const tiny = await TinyRepository.create();
  const [one, two] = await tiny.pack(fixedBytes("one", 300_000), fixedBytes("two", 70_000));
  const [three] = await tiny.pack(fixedBytes("three", 1_500_000));
  const zeros = Buffer.alloc(1_000_000);
  const [hole] = await tiny.pack(zeros);
  assert.ok(one && two && three && hole);
  const odd = Buffer.from([0x66, 0xff, 0x0a, 0x2a, 0x5c]);
  await tiny.snapshot({
    name: "media",
    entries: [
      { path: "dir", type: "dir", mode: 0o2755, mtime: 1n, ...OWNER },
      { path: "dir/two chunks", chunks: [one, three], mtime: NANOSECONDS, mode: 0o4751, ...OWNER },
      { path: "dir/again", chunks: [one, one, two], xattrs: { "user.note": Buffer.from([0, 255]) } },
      { path: odd, chunks: [two] },
      { path: `${"deep/".repeat(60)}file`, chunks: [two], mtime: -1_500_000_000n },
      { path: "empty" },
      { path: "hard", type: "hardlink", target: "dir/two chunks" },
      { path: "a hard link before its file", type: "hardlink", target: odd },
      { path: "link", type: "symlink", mode: 0o777, target: "../../nowhere", mtime: NANOSECONDS },
      { path: "pipe", type: "fifo", mode: 0o600 },
      { path: "locked", type: "dir", mode: 0o555, mtime: NANOSECONDS },
      { path: "locked/inside", chunks: [two], mode: 0 },
      { path: "sparse", sparse: true, chunks: [hole, one, hole, hole] },
    ],
    facts: { found: "12345678901234567890" },
  });
  await using to = await scratchDirectory();
  const result = await restoring(tiny, join(to.path, "new"));
  const at = join(to.path, "new", "media");
  const stat = (path: string): Promise<BigIntStats> => lstat(join(at, path), { bigint: true });
  assert.deepEqual(
    result.sources.map(({ outcome, files, bytes }) => ({ outcome, files, bytes })),
    [{ outcome: "restored", files: 13, bytes: 1_800_000 + 670_000 + 70_000 * 3 + 3_300_000 }],
  );

  const whole = await stat("dir/two chunks");
  assert.equal(whole.mode & 0o7777n, 0o4751n);
  assert.equal(whole.mtimeNs, NANOSECONDS);
  assert.equal(whole.nlink, 2n);
  assert.deepEqual([Number(whole.uid), Number(whole.gid)], [OWNER.uid, OWNER.gid]);
  assert.equal((await stat("hard")).ino, whole.ino);
  const expected = Buffer.concat([fixedBytes("one", 300_000), fixedBytes("three", 1_500_000)]);
  assert.deepEqual(await readFile(join(at, "dir/two chunks")), expected);
  const again = [fixedBytes("one", 300_000), fixedBytes("one", 300_000), fixedBytes("two", 70_000)];
  assert.deepEqual(await readFile(join(at, "dir/again")), Buffer.concat(again));
  assert.match(
    await runText("getfattr", "--absolute-names", "-d", "-e", "hex", join(at, "dir/again")),
    /user.note=0x00ff/,
  );
  const oddPath = Buffer.concat([Buffer.from(`${at}/`), odd]);
  assert.deepEqual(await readFile(oddPath), fixedBytes("two", 70_000));
  assert.equal((await lstat(oddPath)).ino, (await lstat(join(at, "a hard link before its file"))).ino);
  assert.equal((await stat(`${"deep/".repeat(60)}file`)).mtimeNs, -1_500_000_000n);
  assert.equal((await stat("empty")).size, 0n);
  assert.equal(await readlink(join(at, "link")), "../../nowhere");
  assert.equal((await stat("link")).mtimeNs, NANOSECONDS);
  assert.ok((await stat("pipe")).isFIFO());
  assert.equal((await stat("dir")).mode & 0o7777n, 0o2755n);
  assert.equal((await stat("dir")).mtimeNs, 1n);
  assert.equal((await stat("locked")).mode & 0o7777n, 0o555n);
  assert.equal((await stat("locked")).mtimeNs, NANOSECONDS);
  assert.equal((await stat("locked/inside")).mode & 0o7777n, 0n);
  const sparse = await stat("sparse");
  assert.equal(sparse.size, 3_300_000n);
  assert.ok(sparse.blocks * 512n < 1_000_000n, `${sparse.blocks} blocks`);
  assert.deepEqual(
    await readFile(join(at, "sparse")),
    Buffer.concat([zeros, fixedBytes("one", 300_000), zeros, zeros]),
  );

  assert.deepEqual((await readdir(join(to.path, "new"))).sort(), ["media", "media.facts.json"]);
  assert.equal((await lstat(join(to.path, "new"))).mode & 0o777, 0o700);
  const facts = JSON.parse(await readFile(join(to.path, "new", "media.facts.json"), "utf8"));
  assert.equal(facts.facts.found, "12345678901234567890");
});

test("only the sources that are asked for; the others are not fetched", async () => {
  const tiny = await TinyRepository.create();
  const [a] = await tiny.pack(Buffer.from("a"));
  const [b] = await tiny.pack(Buffer.from("b"));
  assert.ok(a && b);
  const sources = [
    await tiny.source({ name: "first", entries: [{ path: "f", chunks: [a] }] }),
    await tiny.source({ name: "second", entries: [{ path: "f", chunks: [b] }] }),
  ];
  await tiny.commit(sources);
  const store = faultyStore(tiny.store, []);
  await using to = await scratchDirectory();
  await restoring(tiny, to.path, { store, only: ["second"] });
  assert.equal(await readFile(join(to.path, "second", "f"), "utf8"), "b");
  assert.ok(!store.calls.some((call) => call.includes(tiny.packName(a))));
  await assert.rejects(
    restoring(tiny, join(to.path, "x"), { only: ["third"] }),
    (error) => isFailure(error, "usage/invalid") && error.hint?.includes("first, second") === true,
  );
});

test("one source that is hurt does not keep the others from coming back", async () => {
  const tiny = await TinyRepository.create();
  const [a] = await tiny.pack(Buffer.from("a"));
  const [b] = await tiny.pack(Buffer.from("b"));
  assert.ok(a && b);
  await tiny.commit([
    await tiny.source({
      name: "hurt",
      entries: [
        { path: "x/lost", chunks: [a] },
        { path: "x/lost too", chunks: [b, a] },
      ],
    }),
    await tiny.source({ name: "whole", entries: [{ path: "f", chunks: [b] }] }),
  ]);
  const name = tiny.packName(a);
  await tiny.store.remove(`tiny/packs/${name.slice(0, 2)}/${name}`, { signal: new AbortController().signal });
  await using to = await scratchDirectory();
  const { sources } = await restoring(tiny, to.path);
  assert.deepEqual(
    sources.map(({ name, outcome }) => [name, outcome]),
    [
      ["hurt", "failed"],
      ["whole", "restored"],
    ],
  );
  const error = sources[0]?.error;
  assert.equal(error?.code, "data/missing");
  assert.match(error?.message ?? "", new RegExp(`${name}.* missing .*hurt loses x/lost, x/lost too$`));
  assert.deepEqual((await readdir(to.path)).sort(), ["whole", "whole.facts.json"]);
});

test("what a snapshot lacks of a source is said", async () => {
  const tiny = await TinyRepository.create();
  const error = { code: "source/incomplete", message: "1 file of source etc could not be read: /etc/x" };
  await tiny.commit([{ ...(await tiny.source({ name: "etc", entries: [] })), error }]);
  await using to = await scratchDirectory();
  const { notes } = await restoring(tiny, to.path);
  assert.deepEqual(notes, [`etc is incomplete in this snapshot: ${error.message}`]);
});

test("what a source could not be captured of is said, and asking for it alone fails", async () => {
  const tiny = await TinyRepository.create();
  const failed = {
    name: "dead",
    kind: "command",
    outcome: "failed",
    notes: [],
    error: { code: "source/failed", message: "it was dead" },
  } as const;
  const { record } = await tiny.commit(
    [await tiny.source({ name: "alive", entries: [] }), { ...failed, notes: [] }],
    {
      state: "partial",
    },
  );
  await using to = await scratchDirectory();
  const { notes, sources } = await restoring(tiny, to.path, { choice: { id: record.id } });
  assert.deepEqual(
    sources.map(({ name }) => name),
    ["alive"],
  );
  assert.ok(
    notes.some((note) => note.includes("dead") && note.includes("it was dead")),
    notes.join(),
  );
  assert.ok(
    notes.some((note) => note.includes("partial")),
    notes.join(),
  );
  await assert.rejects(
    restoring(tiny, join(to.path, "x"), { choice: { id: record.id }, only: ["dead"] }),
    (error) => isFailure(error, "data/missing"),
  );
});

test("a directory that holds something is refused and left alone", async () => {
  const tiny = await TinyRepository.create();
  await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
  await using to = await scratchDirectory();
  await writeFile(join(to.path, "mine"), "precious");
  await assert.rejects(
    restoring(tiny, to.path),
    (error) => isFailure(error, "safety/refused") && error.exitCode === 22,
  );
  await assert.rejects(restoring(tiny, join(to.path, "mine")), (error) => isFailure(error, "usage/invalid"));
  assert.deepEqual(await readdir(to.path), ["mine"]);
  assert.equal(await readFile(join(to.path, "mine"), "utf8"), "precious");
});

test("what a killed restore left is removed by the next one; that of a living process is not", async () => {
  const tiny = await TinyRepository.create();
  await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
  await using to = await scratchDirectory();
  const gone = Number((await runText("sh", "-c", "echo $$")).trim());
  await mkdir(join(to.path, `.drops-partial-${gone}`, "data", "half"), { recursive: true });
  const said: string[] = [];
  await restoring(tiny, to.path, { say: (line) => said.push(line) });
  assert.ok(said.some((line) => line.includes(`.drops-partial-${gone}`)));
  assert.deepEqual((await readdir(to.path)).sort(), ["data", "data.facts.json"]);

  await using busy = await scratchDirectory();
  await mkdir(join(busy.path, ".drops-partial-1"));
  await assert.rejects(restoring(tiny, busy.path), (error) => isFailure(error, "safety/refused"));
  assert.deepEqual(await readdir(busy.path), [".drops-partial-1"]);
});

test("an aborted restore leaves nothing", async () => {
  const tiny = await TinyRepository.create();
  const refs = [];
  for (let at = 0; at < 6; at++) refs.push(...(await tiny.pack(fixedBytes(String(at), 2_000_000))));
  await tiny.snapshot({
    name: "data",
    entries: refs.map((ref, at) => ({ path: `locked/f${at}`, chunks: [ref] })),
  });
  for (const nth of [1, 3, 6]) {
    const stop = new AbortController();
    const reason = new Error("stop here");
    const store = faultyStore(tiny.store, [
      { nth, call: "get", key: /packs/, when: "after", error: () => void stop.abort(reason) as undefined },
    ]);
    await using to = await scratchDirectory();
    await assert.rejects(
      restoring(tiny, to.path, { store, signal: stop.signal }),
      (error) => error === reason,
    );
    assert.deepEqual(await readdir(to.path), []);
  }
});

async function runText(...command: [string, ...string[]]): Promise<string> {
  return (await runTool(...command)).toString();
}
