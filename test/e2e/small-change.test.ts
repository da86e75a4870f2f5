import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startCountingProxy } from "../support/counting-proxy.ts";
import { openRocksdb, type Rocksdb } from "../support/rocksdb-library.ts";
import { openSite, type Site } from "../support/site.ts";
import { startSshd } from "../support/sshd.ts";

const MiB = 1024 * 1024;

/** Bytes that came over SSH and bytes that were put into the repository, by one backup. */
async function costOf(site: Site, received: () => number): Promise<{ read: number; stored: number }> {
  const before = new Set(await site.objects());
  received();
  const { exit, stderr } = await site.drops("backup");
  assert.equal(exit, 0, stderr);
  const fresh = (await site.objects()).filter((object) => !before.has(object));
  const sizes = await Promise.all(fresh.map(async (object) => (await stat(object)).size));
  return { read: received(), stored: sizes.reduce((sum, size) => sum + size, 0) };
}

async function overSsh(sources: (directory: string) => string, fill: (directory: string) => Promise<void>) {
  const stack = new AsyncDisposableStack();
  const sshd = stack.use(await startSshd());
  const proxy = stack.use(await startCountingProxy(sshd.port));
  const site = stack.use(await openSite());
  const pinned = { ...sshd.policy, port: proxy.port, host_key: sshd.hostKey };
  await fill(site.directory);
  await site.policy({
    host: JSON.stringify({ ssh: pinned }),
    sources: sources(site.directory),
    more: "reread_percent: 0\n",
  });
  return {
    site,
    cost: () => costOf(site, proxy.received),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function assertSmall(
  cost: { read: number; stored: number },
  changed: number,
  t: { diagnostic(words: string): void },
): void {
  const [read, stored] = [cost.read / changed, cost.stored / changed];
  t.diagnostic(
    `${changed} bytes changed: ${read.toFixed(2)} x of them read over SSH, ${stored.toFixed(2)} x stored`,
  );
  assert.ok(read <= 1.2, `${read.toFixed(2)} x the changed bytes were read over SSH`);
  assert.ok(stored <= 1.2, `${stored.toFixed(2)} x the changed bytes were stored`);
}

test("1 % of a tree changes: little more than that is read over SSH and stored", async (t) => {
  const large = async (directory: string) => {
    await mkdir(join(directory, "tree"));
    for (let at = 0; at < 200; at++) await writeFile(join(directory, "tree", `file-${at}`), randomBytes(MiB));
  };
  await using world = await overSsh(
    (directory) => `  - { name: tree, kind: files, paths: [${directory}/tree] }\n`,
    large,
  );
  const first = await world.cost();
  assert.ok(first.read > 200 * MiB && first.stored > 200 * MiB);
  for (const at of [17, 120])
    await writeFile(join(world.site.directory, "tree", `file-${at}`), randomBytes(MiB));
  assertSmall(await world.cost(), 2 * MiB, t);
});

test("1 % is added to a RocksDB: little more than that is read over SSH and stored", async (t) => {
  const path = (directory: string) => join(directory, "db");
  const open = (directory: string, create = false) =>
    openRocksdb(path(directory), { families: 2, create, memtableBytes: 256 * MiB });
  await using world = await overSsh(
    (directory) => `  - { name: db, kind: rocksdb, path: ${path(directory)}, min_free: 64MiB }\n`,
    async (directory) => {
      const db = await open(directory, true);
      write(db, 200 * MiB);
      await db.close();
      await (await open(directory)).close(); // its log becomes a table
    },
  );
  const first = await world.cost();
  assert.ok(first.read > 200 * MiB && first.stored > 200 * MiB);
  const db = await open(world.site.directory);
  write(db, 2 * MiB);
  const cost = await world.cost(); // hot: the log is all that is new
  await db.close();
  assertSmall(cost, 2 * MiB, t);
});

function write(db: Rocksdb, size: number): void {
  const column = db.columns["default"];
  for (let written = 0; written < size; ) {
    const batch = db.batch();
    for (let count = 0; count < 64; count++, written += 4096)
      batch._put(randomBytes(16), randomBytes(4080), { column });
    batch._writeSync({});
    batch._closeSync();
  }
}
