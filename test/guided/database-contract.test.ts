import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { after, before } from "node:test";
import { differences } from "../../src/source/postgres/measure.ts";
import { replacementNames } from "../../src/source/postgres/restore/names.ts";
import { replacementContract } from "../contracts/replacement.ts";
import { seedBridge } from "../support/bridge-database.ts";
import { openBench, RUN, type StoredDatabase, storeDatabase } from "../support/database-restoring.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { measured } from "../support/postgres-captures.ts";

let pg: Postgres;
const stored = new Map<string, StoredDatabase>();
before(async () => {
  pg = await startPostgres();
});
after(() => pg[Symbol.asyncDispose]());

/** A database by its id, with its settings and its rows; one that is not there is undefined. */
async function seen(name: string): Promise<unknown> {
  const row = await pg.psql(
    "postgres",
    `SELECT oid, to_jsonb(d) - 'datfrozenxid' - 'datminmxid' FROM pg_database d WHERE datname = '${name}'`,
  );
  return row === "" ? undefined : { row, rows: await measured(pg, name) };
}

for (const old of ["changed", "empty", "absent"] as const) {
  replacementContract(`a database (the old one is ${old})`, async () => {
    await using undo = new AsyncDisposableStack();
    const name = `contract_${old}`;
    const policy = pg.policyFor(name, { name: `contract-${old}` });
    if (!stored.has(old)) {
      await seedBridge(pg, name, { messages: 50 });
      stored.set(old, await storeDatabase(policy));
    }
    const snapshot = stored.get(old);
    assert.ok(snapshot);
    await dropAll(name);
    if (old !== "absent")
      await pg.psql("postgres", `CREATE DATABASE ${name} OWNER ${name}_owner CONNECTION LIMIT 7`);
    if (old === "changed") await pg.psql(name, "CREATE TABLE only_here AS SELECT 1 AS n");
    const bench = undo.use(await openBench());
    undo.defer(() => dropAll(name));
    const open = undo.move();
    const { staged, loader } = replacementNames(name, RUN);
    return {
      open: () => bench.open(snapshot, policy),
      look: () => seen(name),
      assertNew: async () =>
        assert.deepEqual(differences(snapshot.captured.facts, await measured(pg, name)), []),
      leftOvers: async () => {
        const sql = `SELECT datname FROM pg_database WHERE datname LIKE '${name}\\_%' UNION ALL SELECT rolname FROM pg_roles WHERE rolname = '${loader}'`;
        const files = await readdir(bench.directory, { recursive: true }).catch(() => []);
        const dumps = files.filter((file) => !/^database-contract-[a-z]+(\/database\.json)?$/.test(file));
        return [...(await pg.psql("postgres", sql)).split("\n").filter((line) => line !== ""), ...dumps];
      },
      spoil: async () => {
        const isStaged = (await seenNames()).includes(staged);
        await pg.psql(
          isStaged ? staged : name,
          "UPDATE ghost SET name = 'somebody else' WHERE id = 't0example-u1'",
        );
      },
      [Symbol.asyncDispose]: () => open.disposeAsync(),
    };
  });
}

async function seenNames(): Promise<readonly string[]> {
  return (await pg.psql("postgres", "SELECT datname FROM pg_database")).split("\n");
}

async function dropAll(name: string): Promise<void> {
  for (const each of (await seenNames()).filter((other) => other.startsWith(name)))
    await pg.psql("postgres", `DROP DATABASE "${each}" WITH (FORCE)`);
}
