/** Databases of SQLite inside a files source: what is in use comes out as one state. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { chmod, chown, copyFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { freezeFiles } from "../../src/source/files/capture.ts";
import { readAnswers } from "../../src/source/sqlite/facts.ts";
import { alteredHost } from "../support/altered-host.ts";
import { type CollectingSink, collectingSink } from "../support/collecting-sink.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const { signal } = new AbortController();
const local = await openLocalHost();
after(() => local[Symbol.asyncDispose]());
const WRITER = new URL("../support/sqlite-writer.mjs", import.meta.url).pathname;
const NOBODY = 65534;

interface Taken {
  readonly sink: CollectingSink;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly failure: unknown;
}

/** Freeze and ship a directory into memory. `between`: after the freeze. */
async function taken(path: string, more: { host?: Host; between?: () => void } = {}): Promise<Taken> {
  const source = {
    name: "data",
    kind: "files",
    paths: [path],
    exclude: [],
    optional: false,
    one_file_system: true,
  } as const;
  const context = {
    host: more.host ?? local,
    signal,
    rereadShare: 0,
    random: () => 0.5,
    policyName: "test",
    sources: [],
  };
  await using frozen = await freezeFiles(
    { ...source, paths: [path], exclude: [] },
    { ...context, now: () => new Date(), say: () => {} },
  );
  more.between?.();
  const sink = collectingSink();
  const failure = await frozen.ship(sink, { signal }).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { sink, facts: frozen.facts, failure };
}

/** What is restored: the entry's bytes as a file of its own, opened by the real library. */
async function opened(sink: CollectingSink, path: string, at: string): Promise<DatabaseSync> {
  const file = join(at, "restored.db");
  await writeFile(file, sink.bytes(path.slice(1)));
  return new DatabaseSync(file, { readOnly: true });
}

function names(sink: CollectingSink): string[] {
  return sink.entries.map(({ path }) => path.toString().replace(/^.*\//, ""));
}

/** A database with two rows, in WAL mode when asked for; still open, as by a service. */
function inUse(file: string, mode = "WAL"): DatabaseSync {
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)`);
  return db;
}

function counted(db: DatabaseSync): unknown {
  return db.prepare("SELECT count(*) AS n FROM t").get()?.["n"];
}

describe("under constant writing", () => {
  for (const mode of ["WAL", "DELETE"])
    for (const size of [100, 20_000])
      test(`${mode}, rows of ${size} bytes: every copy is whole, and has what was committed before`, async () => {
        await using scratch = await scratchDirectory();
        const dir = join(scratch.path, "app");
        await mkdir(dir);
        const file = join(dir, "app.db");
        const writer = spawn(
          process.execPath,
          ["--disable-warning=ExperimentalWarning", WRITER, file, mode, String(size)],
          {
            stdio: ["pipe", "pipe", "inherit"],
          },
        );
        let committed = 0;
        writer.stdout.on("data", (text: Buffer) => {
          committed = Number.parseInt(text.toString().trimEnd().split("\n").at(-1) ?? "", 10);
        });
        try {
          await until("rows were committed", () => committed > 100);
          for (let count = 0; count < 5; count++) {
            const before = committed;
            const { sink, failure, facts } = await taken(dir);
            assert.equal(failure, undefined, String(failure));
            const db = await opened(sink, file, scratch.path);
            assert.deepEqual({ ...db.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
            const last = db.prepare("SELECT max(id) AS id, count(*) AS n FROM rows").get() as {
              id: number;
              n: number;
            };
            assert.ok(last.id >= before, `${last.id} of ${before}`);
            assert.equal(last.id % 2, 0, "half of a transaction");
            db.close();
            assert.deepEqual(
              names(sink).filter((name) => name.startsWith("app.db")),
              ["app.db"],
            );
            const [fact] = facts["sqlite"] as [{ integrity: string; rows: { rows: number } }];
            assert.deepEqual([fact.integrity, fact.rows.rows], ["ok", last.n]);
          }
        } finally {
          writer.stdin.end();
          writer.kill();
        }
      });
});

test("what lies beside a database is found by its magic, whatever it is called; a restore gets no log of another state", async () => {
  await using scratch = await scratchDirectory();
  const dir = join(scratch.path, "odd");
  await mkdir(dir);
  const odd = ["plain.db", "store", 'it\'s 100% "odd"; $(id)\nname', "ünï.sqlite3", "-wal"];
  const open = odd.map((name) => inUse(join(dir, name)));
  await writeFile(join(dir, "letter.db"), "Dear SQLite format 3, ".repeat(100));
  await writeFile(join(dir, "lonely-wal"), "beside nothing");
  const { sink, failure, facts } = await taken(dir);
  assert.equal(failure, undefined, String(failure));
  assert.deepEqual(
    names(sink).sort(),
    ["odd", ...odd.map((name) => name.replace(/^.*\//, "")), "letter.db", "lonely-wal"].sort(),
  );
  for (const name of odd) {
    const db = await opened(sink, join(dir, name), scratch.path);
    assert.equal(counted(db), 2, name);
    db.close();
  }
  assert.equal((facts["sqlite"] as unknown[]).length, odd.length);
  for (const db of open) db.close();
});

test("owner, mode and times are those of the database, and the live one is not touched", async () => {
  await using scratch = await scratchDirectory();
  const dir = join(scratch.path, "owned");
  await mkdir(dir);
  await chmod(scratch.path, 0o755);
  const file = join(dir, "app.db");
  const db = inUse(file);
  await chmod(file, 0o640);
  for (const name of await readdir(dir)) await chown(join(dir, name), NOBODY, NOBODY);
  await chown(dir, NOBODY, NOBODY);
  const before = await stat(file);
  const { sink, failure } = await taken(dir);
  assert.equal(failure, undefined, String(failure));
  const { mode, uid, gid, mtime } = sink.entry(file.slice(1));
  assert.deepEqual(
    [mode, uid, gid, mtime / 1_000_000n],
    [0o640, NOBODY, NOBODY, BigInt(Math.trunc(before.mtimeMs))],
  );
  const later = await stat(file);
  assert.deepEqual([later.mtimeMs, later.ctimeMs, later.size], [before.mtimeMs, before.ctimeMs, before.size]);
  assert.deepEqual((await readdir(dir)).sort(), ["app.db", "app.db-shm", "app.db-wal"]);
  db.close();
  assert.deepEqual(
    (await readdir(scratch.path)).filter((name) => name.startsWith(".drops")),
    [],
    "no staging is left",
  );
});

test("a database in a directory that its owner cannot reach, as those of containers, is copied too", async () => {
  await using scratch = await scratchDirectory();
  const closed = join(scratch.path, "closed");
  const dir = join(closed, "volume");
  await mkdir(dir, { recursive: true });
  await chmod(closed, 0o700);
  const db = inUse(join(dir, "app.db"));
  for (const name of await readdir(dir)) await chown(join(dir, name), NOBODY, NOBODY);
  await chown(dir, NOBODY, NOBODY);
  const { sink, failure } = await taken(dir);
  assert.equal(failure, undefined, String(failure));
  assert.equal(counted(await opened(sink, join(dir, "app.db"), scratch.path)), 2);
  db.close();
});

describe("a user of the host who may swap directories gains nothing", () => {
  test("copies are made where nobody but root can put another directory in their place", async () => {
    await using scratch = await scratchDirectory();
    await chmod(scratch.path, 0o755);
    const parent = join(scratch.path, "service");
    const dir = join(parent, "data");
    await mkdir(dir, { recursive: true });
    const db = inUse(join(dir, "app.db"));
    for (const name of await readdir(dir)) await chown(join(dir, name), NOBODY, NOBODY);
    for (const path of [dir, parent]) await chown(path, NOBODY, NOBODY);
    const beside: string[] = [];
    const { sink, failure } = await taken(dir, { between: () => void beside.push(...readdirSync(parent)) });
    assert.deepEqual(beside, ["data"]);
    assert.equal(failure, undefined, String(failure));
    assert.equal(counted(await opened(sink, join(dir, "app.db"), scratch.path)), 2);
    db.close();
  });

  test("root's own database, below a directory of another user, is not opened by root", async () => {
    await using scratch = await scratchDirectory();
    await chmod(scratch.path, 0o755);
    const dir = join(scratch.path, "service", "data");
    await mkdir(dir, { recursive: true });
    const db = inUse(join(dir, "app.db"));
    await chown(join(scratch.path, "service"), NOBODY, NOBODY);
    const { failure } = await taken(dir);
    assert.ok(isFailure(failure, "source/incomplete"), String(failure));
    assert.match(failure.message, /owned by root, in or below a directory that others may write to/);
    db.close();
  });
});

test("a copy of which not all could be read is in no snapshot, and costs itself alone", async () => {
  await using scratch = await scratchDirectory();
  const db = inUse(join(scratch.path, "app.db"));
  await writeFile(join(scratch.path, "letter"), "words");
  for (const cut of [["head", "-c", "100"], ["false"]]) {
    const host = alteredHost(local, (argv) => {
      const copy = argv[0] === "dd" ? argv[1]?.replace("if=", "") : undefined;
      return copy === undefined ? argv : [...cut, copy];
    });
    const { failure, sink } = await taken(scratch.path, { host });
    assert.ok(isFailure(failure, "source/incomplete"), String(failure));
    assert.match(failure.message, /app\.db: its copy on this machine gave (100|0) bytes instead of/);
    assert.ok(!names(sink).includes("app.db") && names(sink).includes("letter"));
  }
  db.close();
});

/** What a crash leaves of a database: its files in the middle of a transaction, without what lies in shared memory. */
async function crashed(mode: string, live: string, dead: string): Promise<void> {
  const db = inUse(join(live, "app.db"), mode);
  if (mode === "DELETE") {
    db.exec("PRAGMA cache_size = 1; INSERT INTO t VALUES (zeroblob(1000000))");
    db.exec("BEGIN; UPDATE t SET x = zeroblob(3000000); DELETE FROM t WHERE rowid = 1");
  }
  const files = (await readdir(live)).filter((name) => !name.endsWith("-shm"));
  for (const name of files) await copyFile(join(live, name), join(dead, name));
  if (mode === "DELETE") db.exec("ROLLBACK");
  db.close();
}

describe("a writer that crashed", () => {
  for (const [mode, rows] of [
    ["WAL", 2],
    ["DELETE", 3],
  ] as const)
    test(`${mode}: its last commit is there, what it had not committed is not; only the copy is recovered`, async () => {
      await using scratch = await scratchDirectory();
      const [live, dead] = [join(scratch.path, "live"), join(scratch.path, "dead")];
      await mkdir(live);
      await mkdir(dead);
      await crashed(mode, live, dead);
      const bytes = await readFile(join(dead, "app.db"));
      const { sink, failure } = await taken(dead);
      assert.equal(failure, undefined, String(failure));
      assert.equal(counted(await opened(sink, join(dead, "app.db"), scratch.path)), rows);
      assert.deepEqual(await readFile(join(dead, "app.db")), bytes, "the live one is as it was");
    });
});

describe("what cannot be copied as one state makes the source incomplete, and is told", () => {
  const withTool = (tool: string) =>
    alteredHost(local, (argv) =>
      argv.map((word, at) => (argv[3] === "drops-sqlite" && at === 5 ? tool : word)),
    );

  test("neither sqlite3 nor python3 on the host", async () => {
    await using scratch = await scratchDirectory();
    const db = inUse(join(scratch.path, "app.db"));
    const { failure, sink } = await taken(scratch.path, { host: withTool("no-such-program") });
    assert.ok(isFailure(failure, "source/incomplete"), String(failure));
    assert.match(
      failure.message,
      /app\.db: a SQLite database that was written to .*install the package sqlite3/,
    );
    assert.ok(names(sink).includes("app.db-wal"), "it is there as it lay");
    db.close();
  });

  test("one that nobody uses needs no tool", async () => {
    await using scratch = await scratchDirectory();
    inUse(join(scratch.path, "app.db"), "DELETE").close();
    const { failure, sink } = await taken(scratch.path, { host: withTool("no-such-program") });
    assert.equal(failure, undefined, String(failure));
    assert.equal(counted(await opened(sink, join(scratch.path, "app.db"), scratch.path)), 2);
  });

  test("with python3 alone it is copied", async () => {
    await using scratch = await scratchDirectory();
    const db = inUse(join(scratch.path, "app.db"));
    const { failure, sink } = await taken(scratch.path, { host: withTool("python3") });
    assert.equal(failure, undefined, String(failure));
    assert.equal(counted(await opened(sink, join(scratch.path, "app.db"), scratch.path)), 2);
    db.close();
  });

  test("a database that no name tells of, written to after it was listed", async () => {
    await using scratch = await scratchDirectory();
    const db = inUse(join(scratch.path, "cache"), "DELETE");
    const { failure } = await taken(scratch.path, { between: () => db.exec("INSERT INTO t VALUES (3)") });
    assert.ok(isFailure(failure, "source/incomplete"), String(failure));
    assert.match(failure.message, /cache: a SQLite database that was written to while it was read/);
    db.close();
  });

  test("a database that is damaged on the server", async () => {
    await using scratch = await scratchDirectory();
    const file = join(scratch.path, "app.db");
    const db = inUse(file, "DELETE");
    db.exec("CREATE INDEX i ON t (x); INSERT INTO t SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]')");
    db.close();
    const bytes = await readFile(file);
    bytes.fill(0x55, 4096, 4200); // the root of the table
    await writeFile(file, bytes);
    const { failure, sink } = await taken(scratch.path);
    assert.ok(isFailure(failure, "source/incomplete"), String(failure));
    assert.match(failure.message, /app\.db: a SQLite database that is damaged on the server: .*malformed/);
    assert.ok(sink.bytes(file.slice(1)).length > 0);
  });

  test("a lock that is held for longer than anybody waits", async () => {
    await using scratch = await scratchDirectory();
    const db = inUse(join(scratch.path, "app.db"), "DELETE");
    db.exec("BEGIN EXCLUSIVE; INSERT INTO t VALUES (3)");
    const { failure } = await taken(scratch.path);
    assert.ok(isFailure(failure, "source/incomplete"), String(failure));
    assert.match(failure.message, /could not be copied as one state: it was locked for 20 seconds/);
    db.close();
  });
});

test("what a copy answers is read strictly", () => {
  const good =
    "integrity|6F6B\nbroken_keys|0\npage_size|4096\nencoding|UTF-8\nuser_version|7\napplication_id|-1\nrows|74|12";
  const how = { how: "online", check: "integrity_check" };
  assert.deepEqual(readAnswers(good, how)?.rows, { t: 12 });
  const bad: readonly [string, typeof how][] = [
    ["", how],
    [good.replace("integrity|6F6B\n", ""), how],
    [good.replace("4096", "1e3"), how],
    [good.replace("|12", "|-1"), how],
    [good.replace("|12", "|many"), how],
    [good, { ...how, how: "guessed" }],
    [good, { ...how, check: "none" }],
  ];
  for (const [text, of] of bad) assert.equal(readAnswers(text, of), undefined, text);
  const odd = readAnswers(
    good.replace("rows|74|12", `rows|${Buffer.from("__proto__").toString("hex").toUpperCase()}|1`),
    how,
  );
  assert.equal(Object.getPrototypeOf(odd?.rows ?? {}), Object.prototype);
});
