import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { keysOf, nights } from "../support/nights.ts";

const HOW = { signal: new AbortController().signal };
const SOURCES = `  - { name: db, kind: command, argv: [cat, "@DIR@/db"] }
`;

const site = await nights({ sources: SOURCES, rules: { daily: 2, weekly: 0, monthly: 0 } });
after(() => site[Symbol.asyncDispose]());
const packs = async () => (await keysOf(site.store, "rehearsal/packs/")).size;
const night = async (content: string) => {
  site.sleep();
  await site.write("db", fixedBytes(content, 300_000));
  return await site.backup();
};

test("what the rules let go is forgotten, condemned after two days, and freed a day later", async () => {
  const ids = [await night("a"), await night("b"), await night("c")];
  const first = await site.prune();
  assert.deepEqual(
    first.forgotten.map(({ listed }) => listed.record.id),
    [ids[0]],
  );
  assert.equal(first.condemned.length, 0, "the pack of a night two days ago is too young");
  assert.equal(await packs(), 3);

  site.sleep(1);
  const second = await site.prune();
  assert.deepEqual(second.condemned.map(({ kind }) => kind).sort(), ["list", "manifest", "pack"]);
  assert.equal(second.removed.length, 0);
  assert.equal(await packs(), 3);

  site.sleep(25);
  const third = await site.prune();
  assert.equal(third.removed.length, 3);
  assert.equal(await packs(), 2);
  assert.deepEqual(third.spentMarks, []);

  const fourth = await site.prune();
  assert.equal(fourth.spentMarks.length, 1);
  assert.equal((await keysOf(site.store, "rehearsal/condemned/")).size, 0);
  assert.deepEqual(
    (await site.readAll()).map(({ record }) => record.id),
    ids.slice(1),
  );
});

test("what is condemned is not referred to again, though it is there yet, even when a source is as it once was", async () => {
  await using again = await nights({
    sources: `  - { name: db, kind: files, paths: ["@DIR@/data"] }\n`,
    rules: { daily: 2, weekly: 0, monthly: 0 },
    limits: { maxShare: 100, maxShrink: 100 },
  });
  const data = join(again.rehearsal.directory, "data");
  await mkdir(data);
  const backup = async (...files: string[]) => {
    again.sleep();
    for (const name of ["a", "b", "c"]) {
      if (files.includes(name)) await again.write(`data/${name}`, fixedBytes(name, 300_000));
      else await rm(join(data, name), { force: true });
    }
    await again.backup();
    return (await again.survey()).snapshots.at(-1)?.listed.record.sources[0]?.list?.sha256 ?? "";
  };
  const once = await backup("a");
  await backup("a", "b");
  await backup("a", "b", "c");
  await backup("a", "b");
  again.sleep(1);
  const { condemned } = await again.prune();
  assert.ok(condemned.some(({ kind, name }) => kind === "list" && name === once));
  const now = await backup("a");
  assert.notEqual(now, once);
  assert.match(
    Buffer.from(await again.store.get(`rehearsal/lists/${now}`, { ...HOW, maxSize: 9999 })).toString(),
    /^([0-9a-f]{64} .*)\n# \d+\n\1\n$/m,
  );
  again.sleep(5);
  const { removed } = await again.prune();
  assert.ok(removed.some(({ name }) => name === once));
  const read = await again.readAll();
  const files = [...(read.at(-1)?.sources.get("db") ?? [])];
  assert.deepEqual(
    files.map(([, content]) => content),
    [fixedBytes("a", 300_000)],
  );
});

test("no pack and no manifest is ever read, and nothing outside of the policy's folder touched", async () => {
  await night("d");
  const store = faultyStore(site.store, []);
  await site.prune({ store });
  const reads = store.calls.filter((call) => call.startsWith("get "));
  assert.ok(reads.length > 3);
  for (const call of reads)
    assert.match(call, /^get (repository\.json|rehearsal\/(snapshots|lists|condemned|pins)\/)/);
  for (const call of store.calls.filter((call) => /^(put|remove)/.test(call)))
    assert.match(call, /^(put|remove|removeAll \d+) rehearsal\/(snapshots|condemned)\//);
});
