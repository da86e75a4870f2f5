import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { freezeRocksdb } from "../../src/source/rocksdb/capture/capture.ts";
import { databaseEntries } from "../guided/path-rows.ts";
import { type CollectingSink, collectingSink } from "../support/collecting-sink.ts";
import { type Hooks, hookedTools } from "../support/hooked-tools.ts";
import { captureContext, rocksdbPolicy } from "../support/rocksdb-snapshots.ts";
import { scratchDirectory } from "../support/scratch.ts";

// root backs up a database of a user who may rename, link and replace everything in it and beside it
const MALLORY = 12_345;
const AS_MALLORY = `setpriv --reuid ${MALLORY} --regid ${MALLORY} --clear-groups`;
const SECRET = "root's own secret\n";
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const host = stack.use(await openLocalHost());
const scratch = stack.use(await scratchDirectory());
chmodSync(scratch.path, 0o755);

interface Place {
  readonly home: string;
  readonly db: string;
  readonly manifest: string;
  /** A directory of root's, which nobody else may enter, and a file in it. */
  readonly vault: string;
  readonly secret: string;
  hooked(hooks: Hooks): Host;
}

function place(name: string): Place {
  const home = join(scratch.path, name);
  const db = join(home, "db");
  const vault = join(scratch.path, `${name}-vault`);
  const secret = join(vault, "secret");
  mkdirSync(db, { recursive: true });
  mkdirSync(vault, { mode: 0o700 });
  writeFileSync(secret, SECRET, { mode: 0o600 });
  for (const { path, bytes } of databaseEntries()) {
    writeFileSync(join(db, path), bytes ?? "");
    chownSync(join(db, path), MALLORY, MALLORY);
  }
  for (const path of [home, db]) chownSync(path, MALLORY, MALLORY);
  const manifest = readFileSync(join(db, "CURRENT"), "utf8").trim();
  const hooked = (hooks: Hooks) => hookedTools(host, join(scratch.path, `${name}-bin`), hooks);
  return { home, db, manifest, vault, secret, hooked };
}

async function snapshot({ db }: Place, on: Host): Promise<CollectingSink> {
  const sink = collectingSink();
  const context = captureContext(on, { random: () => 0, signal: AbortSignal.timeout(60_000) });
  await using frozen = await freezeRocksdb(rocksdbPolicy(db), context);
  await frozen.ship(sink, context);
  return sink;
}

const failing = (says: RegExp) => (error: unknown) =>
  isFailure(error, "source/failed") && says.test(error.message);

describe("a database whose owner swaps names while root freezes it", () => {
  const rows = [
    { name: "a directory with a link in it", swap: 'mkdir "$stage"; ln -s "$SECRET" "$stage/lock"' },
    { name: "a link to a directory of root's", swap: 'ln -s "$VAULT" "$stage"' },
    { name: "a link to an empty one", swap: 'ln -s "$VAULT/empty" "$stage"' },
  ];
  for (const [index, { name, swap }] of rows.entries()) {
    test(`staging, for ${name}: nothing of root's is emptied or deleted`, async () => {
      const its = place(`staging-${index}`);
      mkdirSync(join(its.vault, "empty"), { mode: 0o700 });
      const script = `stage=$(echo "$HOMEDIR"/.drops-staging-*); mv "$stage" "$HOMEDIR/away"; ${swap}`;
      const after = `SECRET=${its.secret} VAULT=${its.vault} HOMEDIR=${its.home} ${AS_MALLORY} sh -c '${script}'`;
      await assert.rejects(
        snapshot(its, its.hooked({ mktemp: { after } })),
        failing(/another user put something else in the place of/),
      );
      assert.equal(readFileSync(its.secret, "utf8"), SECRET);
      assert.deepEqual(readdirSync(its.vault).sort(), ["empty", "secret"]);
      assert.deepEqual(readdirSync(join(its.vault, "empty")), []);
    });
  }

  test("CURRENT, for a FIFO: no hang", async () => {
    const its = place("fifo");
    execFileSync("sh", ["-c", `rm ${its.db}/CURRENT; mkfifo -m 666 ${its.db}/CURRENT`]);
    await assert.rejects(snapshot(its, host), failing(/CURRENT could not be read/));
  });

  test("CURRENT, for a link", async () => {
    const its = place("current");
    execFileSync("sh", ["-c", `cd ${its.db}; mv CURRENT ${its.vault}; ln -s ${its.vault}/CURRENT CURRENT`]);
    await assert.rejects(snapshot(its, host), failing(/CURRENT could not be read/));
  });

  test("the MANIFEST, for a link to one that its owner may not read", async () => {
    const its = place("manifest");
    const { db, vault, manifest } = its;
    execFileSync("sh", ["-c", `cd ${db}; mv ${manifest} ${vault}; ln -s ${vault}/${manifest} ${manifest}`]);
    await assert.rejects(snapshot(its, host), failing(/MANIFEST-\d+ is no regular file/));
  });

  test("the MANIFEST, for a FIFO: no hang", async () => {
    const its = place("manifest-fifo");
    execFileSync("sh", ["-c", `cd ${its.db}; rm ${its.manifest}; mkfifo -m 666 ${its.manifest}`]);
    await assert.rejects(snapshot(its, host), failing(/MANIFEST-\d+ is no regular file/));
  });

  test("OPTIONS, for a link, right before they are copied", async () => {
    const its = place("options");
    const script = `for each in ${its.db}/OPTIONS-*; do rm -f "$each"; ln -s ${its.secret} "$each"; done`;
    const before = `case "$*" in *OPTIONS*) ${AS_MALLORY} sh -c '${script}' ;; esac`;
    const sink = await snapshot(its, its.hooked({ cp: { before } }));
    const names = sink.entries.map(({ path }) => path.toString());
    assert.ok(names.some((name) => name.startsWith("OPTIONS-")));
    for (const name of names) assert.ok(!sink.bytes(name).includes(SECRET), `${name} holds the secret`);
  });

  test("the way to the database, for a link to another one, once it was opened", async () => {
    const its = place("way");
    const other = place("other");
    writeFileSync(join(other.db, "IDENTITY"), "another database");
    const script = `mv ${its.db} ${its.home}/away; ln -s ${other.db} ${its.db}`;
    const after = `${AS_MALLORY} sh -c '${script}'`;
    const sink = await snapshot(its, its.hooked({ mktemp: { after } }));
    assert.notEqual(sink.bytes("IDENTITY").toString(), "another database");
  });
});
