import assert from "node:assert/strict";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { drillNewest, REGISTRATION } from "../support/drillable.ts";
import { startPostgres } from "../support/postgres.ts";
import { rehearse } from "../support/rehearsal.ts";
import { startRocksdbWriter } from "../support/rocksdb-writer.ts";

// What a drill makes for one source does not stand in another's way, however many there are of a kind.

const NUMBERS = Array.from({ length: 10 }, (_, nr) => nr);
/** Checks of each kind, in the order of the book, besides the policy's. */
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  db: [
    "restore",
    "server",
    "start",
    "roles",
    "extensions",
    "database",
    "load",
    "rows",
    "privileges",
    "check/rows of @",
  ],
  store: ["restore", "blocks", "library", "check/store @"],
  media: ["restore", "registrations", "check/media @"],
  said: ["restore", "output"],
};

test("every check of a drill runs for ten sources of each kind", async () => {
  await using pg = await startPostgres();
  await pg.psql("postgres", "CREATE ROLE app LOGIN; CREATE DATABASE d0 OWNER app");
  await pg.psql("d0", "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT generate_series(1, 9) AS n");
  for (const nr of NUMBERS.slice(1))
    await pg.psql("postgres", `CREATE DATABASE d${nr} OWNER app TEMPLATE d0`);
  await using stack = new AsyncDisposableStack();
  const writer = stack.use(await startRocksdbWriter({ families: 1 }));
  await writer.reached(100);
  await writer.kill();
  const store = (nr: number) => join(writer.scratch, `store-${nr}`);
  for (const nr of NUMBERS) await cp(writer.directory, store(nr), { recursive: true });
  const place = `run_as: ${pg.hostUser}, host: ${pg.socketDir}, port: ${pg.port}, user: postgres, bin: ${pg.bin}`;
  const sources = NUMBERS.flatMap((nr) => [
    `  - { name: db-${nr}, kind: postgres, database: d${nr}, ${place} }`,
    `  - { name: store-${nr}, kind: rocksdb, path: ${store(nr)}, min_free: 1MiB }`,
    `  - { name: media-${nr}, kind: files, paths: ["@DIR@/media-${nr}"] }`,
    `  - { name: said-${nr}, kind: command, argv: [echo, "${nr}"] }`,
  ]);
  const checks = NUMBERS.flatMap((nr) => [
    `    - { name: rows of db-${nr}, source: db-${nr}, sql: "SELECT count(*) = 9 FROM s.t" }`,
    ...["store", "media"].map(
      (kind) => `    - { name: ${kind} ${kind}-${nr}, source: ${kind}-${nr}, command: ["true"] }`,
    ),
  ]);
  await using rehearsal = await rehearse({
    sources: `${sources.join("\n")}\nrestore:\n  checks:\n${checks.join("\n")}\n`,
  });
  for (const nr of NUMBERS) {
    await mkdir(join(rehearsal.directory, `media-${nr}`));
    await writeFile(join(rehearsal.directory, `media-${nr}`, "slack.yaml"), REGISTRATION);
  }
  const { record } = await rehearsal.night();
  assert.equal(record.state, "complete");
  await stack.disposeAsync();
  const { book, verdict } = await drillNewest({ rehearsal, postgres: pg });
  const bad = book.checks.filter(({ outcome }) => outcome !== "passed");
  assert.deepEqual(
    bad.map(({ id, found }) => `${id}: ${found}`),
    [],
  );
  assert.equal(verdict, "proven");
  const wanted = Object.entries(CHECKS).flatMap(([kind, ids]) =>
    NUMBERS.flatMap((nr) => ids.map((id) => `${kind}-${nr}/${id.replace("@", `${kind}-${nr}`)}`)),
  );
  const ran = book.checks.map(({ id }) => id).filter((id) => /^(db|store|media|said)-\d\//.test(id));
  assert.deepEqual(ran.toSorted(), wanted.toSorted());
  assert.deepEqual(
    book.notTested.map(({ what }) => what),
    ["registration, bridge and homeserver fit together"],
  );
});
