import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { preflightDatabase } from "../../src/guided/database/preflight.ts";
import type { CheckResult } from "../../src/guided/run/check.ts";
import { isFailure } from "../../src/lib/errors.ts";
import type { PostgresPolicy } from "../../src/policy/schema.ts";
import { seedBridge } from "../support/bridge-database.ts";
import {
  type Bench,
  databasesOf,
  openBench,
  type StoredDatabase,
  storeDatabase,
} from "../support/database-restoring.ts";
import { failingHost } from "../support/failing-host.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { toolbox } from "../support/postgres-captures.ts";

const how = { signal: AbortSignal.timeout(3_600_000) };
let pg: Postgres;
let bench: Bench;
let policy: PostgresPolicy;
let stored: StoredDatabase;
before(async () => {
  pg = await startPostgres();
  bench = await openBench();
  await seedBridge(pg, "bridge", { messages: 20 });
  policy = pg.policyFor("bridge");
  stored = await storeDatabase(policy);
});
after(async () => {
  await bench[Symbol.asyncDispose]();
  await pg[Symbol.asyncDispose]();
});

const NAMES = [
  "server",
  "server version",
  "pg_restore",
  "locale",
  "roles",
  "extensions",
  "tablespace",
  "prepared transactions",
  "space for a second copy",
];

/** By their names without the database's. */
async function checks(what = stored, as = policy): Promise<ReadonlyMap<string, CheckResult>> {
  const found = await preflightDatabase(bench.options(what, as), how);
  for (const { ok, hint } of found) assert.equal(ok, hint === undefined);
  return new Map(found.map((check) => [check.name.replace("database bridge: ", ""), check]));
}

const failed = (found: ReadonlyMap<string, CheckResult>) =>
  [...found.values()].filter(({ ok }) => !ok).map(({ found: words }) => words);

test("a server that can take the database: every check is ok, and nothing is changed", async () => {
  const before = await databasesOf(pg);
  const found = await checks();
  assert.deepEqual([...found.keys()], NAMES);
  assert.deepEqual(failed(found), []);
  assert.match(found.get("server")?.found ?? "", /^PostgreSQL \d+\.\d+.*, postgres is a superuser$/);
  assert.match(found.get("locale")?.found ?? "", /C\.UTF-8/);
  assert.match(found.get("space for a second copy")?.found ?? "", /^\d+ MiB are free for \d+ MiB in /);
  assert.equal(found.get("roles")?.found, "all there");
  assert.equal(await databasesOf(pg), before);
});

test("what the server lacks is named, all of it at once", async () => {
  const lacking = await storeDatabase(policy, {
    facts: {
      server: { version: "99.1", version_num: "990001" },
      pg_dump: "99.1",
      collate: "xx_YY.UTF-8",
      extensions: [{ name: "postgis", version: "3", schema: "public" }],
      roles: ["bridge_owner", "to be made"],
      role_passwords: false,
      tablespace: "fast",
      size_bytes: String(10 ** 18),
    },
  });
  const found = await checks(lacking);
  assert.deepEqual([...found.keys()], NAMES);
  const words = failed(found).join("\n");
  assert.match(words, /the snapshot is of 99\.1/);
  assert.match(words, /the dump was made by pg_dump 99\.1/);
  assert.match(words, /the host has no locale xx_YY\.UTF-8/);
  assert.match(words, /the server has no postgis/);
  assert.match(words, /MiB are free for 10\d+ MiB/);
  assert.equal(failed(found).length, 5);
  assert.match(found.get("pg_restore")?.hint ?? "", /apt-get install postgresql-client-99/);
  assert.equal(found.get("roles")?.found, "to be made: to be made, without passwords: the snapshot has none");
  assert.match(found.get("tablespace")?.found ?? "", /was in fast/);
});

test("who is no superuser cannot restore", async () => {
  const found = await checks(stored, { ...policy, user: "bridge_owner" });
  assert.deepEqual(found.get("server")?.ok, false);
  assert.match(found.get("server")?.found ?? "", /bridge_owner is not a superuser/);
});

test("a server that does not answer, and a missing pg_restore, are failed checks with a next command", async () => {
  await using tools = await toolbox(pg, {}, ["pg_restore"]);
  const found = await checks(stored, { ...policy, port: 1, bin: tools.bin });
  assert.deepEqual([...found.keys()], ["server", "pg_restore"]);
  assert.match(found.get("server")?.hint ?? "", /systemctl status postgresql/);
  assert.match(found.get("pg_restore")?.hint ?? "", /apt-get install postgresql-client/);
});

test("a snapshot that cannot be read is a failed check; a lost host is thrown", async () => {
  const options = bench.options(stored, policy);
  const blind = { ...options, parts: { ...options.parts, identities: [] } };
  const [check, ...others] = await preflightDatabase(blind, how);
  assert.deepEqual(others, []);
  assert.equal(check?.ok, false);
  assert.match(check?.found ?? "", /no identity given/);
  for (let n = 1; n <= 5; n++) {
    const host = failingHost(bench.host, n, "before");
    await assert.rejects(preflightDatabase({ ...options, host }, how), (error) =>
      isFailure(error, "host/unreachable"),
    );
  }
});
