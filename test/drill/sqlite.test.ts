/** Databases of SQLite in a files source, from the running service to the drill, a restore and the standard tools. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { checkSqlite } from "../../src/drill/check-sqlite.ts";
import { CheckBook } from "../../src/drill/checks.ts";
import { drillNewest } from "../support/drillable.ts";
import { rehearse } from "../support/rehearsal.ts";

async function backedUp() {
  const rehearsal = await rehearse({ sources: `  - { name: data, kind: files, paths: ["@DIR@/app"] }` });
  const directory = join(rehearsal.directory, "app");
  await mkdir(directory);
  const db = new DatabaseSync(join(directory, "app.db"));
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE "an ""odd"" one" (x); CREATE VIEW v AS SELECT 1 AS x');
  db.exec('INSERT INTO "an ""odd"" one" VALUES (1), (2), (3)');
  const { record } = await rehearsal.night();
  db.close();
  return { rehearsal, record };
}

test("a drill opens what was copied from the running service, and counts its rows", async () => {
  const { rehearsal, record } = await backedUp();
  await using _closing = rehearsal;
  assert.equal(record.state, "complete");
  const { verdict, book } = await drillNewest({ rehearsal, postgres: { bin: "/nonexistent" } }, {});
  const check = book.checks.find(({ id }) => id === "data/sqlite");
  assert.deepEqual([check?.outcome, check?.found], ["passed", "1 whole"], JSON.stringify(book.checks));
  assert.equal(verdict, "proven");
});

test("other rows than those of the capture, and a file that is none, are no pass", async () => {
  const head = (path: string, rows: Record<string, number>) => {
    const facts = {
      how: "online",
      check: "integrity_check",
      integrity: "ok",
      broken_keys: 0,
      page_size: 4096,
    };
    const more = { encoding: "UTF-8", user_version: 0, application_id: 0, size: 1, rows, path };
    return { facts: { sqlite: [{ ...facts, ...more }] } };
  };
  const answers = {
    "/app.db": { integrity: "ok", rows: { t: 2 } },
    "/none.db": { integrity: "file is not a database", rows: {} },
  };
  const rows: readonly [path: keyof typeof answers, rows: Record<string, number>, found: RegExp][] = [
    ["/app.db", { t: 3 }, /table t has 2 rows and had 3/],
    ["/app.db", { t: 2, gone: 1 }, /table gone has no rows and had 1/],
    ["/none.db", {}, /file is not a database/],
  ];
  for (const [path, wanted, found] of rows) {
    const book = new CheckBook({ now: () => new Date(0), say: () => {} });
    const ran = {
      exit: 0,
      signal: undefined,
      stderr: "",
      stdout: Buffer.from(`${JSON.stringify(answers[path])}\n`),
    };
    const sandbox = { user: { name: "nobody" }, run: async () => ran };
    const context = { book, sandbox, node: process.execPath } as never;
    await checkSqlite(context, { name: "data", directory: "/", head: head(path, wanted) } as never, {
      signal: new AbortController().signal,
    });
    assert.equal(book.checks[0]?.outcome, "failed");
    assert.match(book.checks[0]?.found ?? "", found);
  }
});
