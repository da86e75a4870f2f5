import assert from "node:assert/strict";
import { after, test } from "node:test";
import { preflightDatabase } from "../../src/guided/database/preflight.ts";
import { checkService } from "../../src/guided/services/service-checks.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { PostgresClient } from "../../src/source/postgres/client.ts";
import { differences } from "../../src/source/postgres/measure.ts";
import { seedBridge } from "../support/bridge-database.ts";
import { startContainerPostgres } from "../support/container-postgres.ts";
import { openBench, type StoredDatabase, storeDatabase } from "../support/database-restoring.ts";
import { capture, measured } from "../support/postgres-captures.ts";

// A database in a real container of podman, which the host reaches by `podman exec` alone: captured and replaced.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const pg = stack.use(await startContainerPostgres());
const host = stack.use(await openLocalHost());
const name = "inside";
await seedBridge(pg, name, { messages: 50 });
const policy = pg.policyFor(name, { name: "inside-db" });
const stored: StoredDatabase = await storeDatabase(policy);
const how = { signal: new AbortController().signal };

test("captured by the programs of the container, with nothing left in it, and nothing spooled there", async () => {
  for (let night = 0; night < 5; night++) {
    const { facts, sink } = await capture(policy);
    assert.deepEqual(differences(facts, await measured(pg, name)), []);
    assert.deepEqual(sink.notes, []);
    assert.equal(await files(), "");
  }
});

test("preflight finds room, programs and server in the container, and a check is asked there", async () => {
  await using bench = await openBench();
  const checks = await preflightDatabase(bench.options(stored, policy), how);
  assert.deepEqual(
    checks.filter(({ ok }) => !ok),
    [],
  );
  assert.match(
    checks.map(({ found }) => found).join("\n"),
    / MiB are free for \d+ MiB in \/var\/lib\/postgresql\/data\/pgdata/,
  );
  const sql = "SELECT count(*) > 0 FROM ghost";
  const asked = await checkService(bench.host, [{ name: "ghosts", source: policy.name, sql }], [policy], how);
  assert.deepEqual(asked, [{ name: "ghosts", ok: true, found: "true" }]);
});

test("replaced and put back, in a container that its unit stopped: it is started alone, and nothing is left in it", async () => {
  await using bench = await openBench();
  await pg.psql(
    "postgres",
    `DROP DATABASE ${name}; CREATE DATABASE ${name} OWNER ${name}_owner CONNECTION LIMIT 7`,
  );
  const before = await look();
  await pg.podman("stop", "-t", "20", pg.container);
  await bench.open(stored, policy).stage(how);
  assert.deepEqual(await bench.open(stored, policy).check(how), []);
  assert.equal(await look(), before);
  await pg.podman("stop", "-t", "20", pg.container);
  await bench.open(stored, policy).swap(how);
  assert.deepEqual(differences(stored.captured.facts, await measured(pg, name)), []);
  await bench.open(stored, policy).unswap(how);
  assert.equal(await look(), before);
  await bench.open(stored, policy).swap(how);
  await bench.open(stored, policy).finish(how);
  assert.deepEqual(differences(stored.captured.facts, await measured(pg, name)), []);
  const names = "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles";
  assert.doesNotMatch(await pg.psql("postgres", names), /drops|inside_(?!owner)/);
  assert.equal(await files(), "");
});

test("a staging that is taken away leaves nothing in the container", async () => {
  await using bench = await openBench();
  const cut = new AbortController();
  const staging = bench.open(stored, policy).stage({ signal: cut.signal, onBytes: () => cut.abort() });
  await assert.rejects(staging);
  await bench.open(stored, policy).discard(how);
  assert.equal(await files(), "");
});

// A server that is process 1 takes an orphan that a signal ended for a crash of its own.
test("what is broken off in the container does not make its server end every session", async () => {
  const client = new PostgresClient(host, policy);
  for (const words of [
    ["sleep", "1000"],
    ["sh", "-c", "sleep 3 & exec sleep 1000"],
  ]) {
    const command = await client.start(words, how);
    await command[Symbol.asyncDispose]();
  }
  assert.doesNotMatch(await pg.podman("exec", pg.container, "ps", "-eo", "args"), /sleep 1000$/m);
  assert.doesNotMatch(await pg.podman("logs", pg.container), /terminated by signal|reinitializing/);
});

function look(): Promise<string> {
  const row = "oid, to_jsonb(d) - 'datfrozenxid' - 'datminmxid'";
  return pg.psql("postgres", `SELECT ${row} FROM pg_database d WHERE datname = '${name}'`);
}

function files(): Promise<string> {
  return pg.podman("exec", pg.container, "find", "/var/tmp", "/tmp", "-mindepth", "1");
}
