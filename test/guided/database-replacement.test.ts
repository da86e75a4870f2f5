import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { isFailure } from "../../src/lib/errors.ts";
import { differences } from "../../src/source/postgres/measure.ts";
import { replacementNames } from "../../src/source/postgres/restore/names.ts";
import { seedBridge } from "../support/bridge-database.ts";
import {
  type Bench,
  databasesOf,
  openBench,
  RUN,
  type StoredDatabase,
  storeDatabase,
} from "../support/database-restoring.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { measured } from "../support/postgres-captures.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const how = { signal: AbortSignal.timeout(3_600_000) };

let pg: Postgres;
let bench: Bench;
before(async () => {
  pg = await startPostgres();
  bench = await openBench();
});
after(async () => {
  await bench[Symbol.asyncDispose]();
  await pg[Symbol.asyncDispose]();
});

/** Everything pg_dump can say of a database but its rows: owners, privileges, comments, settings of the database too. */
async function schemaOf(database: string): Promise<string> {
  const args = ["-h", pg.socketDir, "-p", String(pg.port), "-U", "postgres", "--schema-only", database];
  const { stdout } = await run(`${pg.bin}/pg_dump`, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.replaceAll(/^\\(un)?restrict .*$/gm, "");
}

describe("a bridge's database, changed since", () => {
  let stored: StoredDatabase;
  before(async () => {
    await seedBridge(pg, "bridge", { messages: 300 });
    stored = await storeDatabase(pg.policyFor("bridge"));
    await pg.psql("bridge", "DELETE FROM reaction; CREATE TABLE later AS SELECT 1");
    await pg.psql("postgres", "ALTER DATABASE bridge CONNECTION LIMIT 23");
  });

  test("is staged, compared, swapped, put back as it was, swapped again and finished", async () => {
    const policy = pg.policyFor("bridge");
    const before = await databasesOf(pg);
    const changed = await measured(pg, "bridge");
    const open = () => bench.open(stored, policy); // every verb by another machine
    assert.equal(await open().state(how), "untouched");
    let bytes = 0;
    const staged = await open().stage({
      ...how,
      onBytes: (more) => {
        bytes += more;
      },
    });
    assert.deepEqual(staged, { files: 3, bytes: stored.record.bytes, notes: [] });
    assert.equal(bytes, stored.record.bytes);
    assert.equal(await open().state(how), "staged");
    assert.deepEqual(await open().check(how), []);
    assert.deepEqual(await open().stage(how), staged);

    await open().swap(how);
    await open().swap(how);
    assert.equal(await open().state(how), "swapped");
    assert.deepEqual(await open().check(how), []);
    assert.deepEqual(differences(stored.captured.facts, await measured(pg, "bridge")), []);
    await assert.rejects(pg.psql("bridge_before_a1b2c3", "SELECT 1"), /not currently accepting connections/);
    assert.equal(await pg.psql("postgres", LEFT_OF_LOADING), "");
    await assert.rejects(open().discard(how), (error) => isFailure(error, "safety/refused"));

    await open().unswap(how);
    await open().unswap(how);
    assert.equal(await open().state(how), "staged");
    assert.deepEqual(differences(changed, await measured(pg, "bridge")), []);
    await assert.rejects(open().finish(how), (error) => isFailure(error, "safety/refused"));
    await open().discard(how);
    await open().discard(how);
    assert.equal(await open().state(how), "untouched");
    assert.equal(await databasesOf(pg), before);

    await open().stage(how);
    await open().swap(how);
    await open().finish(how);
    await open().finish(how);
    assert.equal(await open().state(how), "finished");
    assert.deepEqual(await open().check(how), []);
    assert.doesNotMatch(await databasesOf(pg), /_before_|_drops_|bridge\|.*\|23\|/);
    for (const verb of ["unswap", "discard"] as const)
      await assert.rejects(open()[verb](how), (error) => isFailure(error, "safety/refused"));
  });
});

/** Roles and files that only the loading needs. */
const LEFT_OF_LOADING = "SELECT rolname FROM pg_roles WHERE rolname LIKE '%loader%'";

describe("whatever a database may hold", () => {
  const NAME = 'A "quoted" ünlucky näme, upper CASE, of 63 bytes for PosTgreS';
  const q = `"${NAME.replaceAll('"', '""')}"`;
  let stored: StoredDatabase;
  let schema: string;
  let asBefore: string;

  before(async () => {
    assert.equal(Buffer.byteLength(NAME), 63);
    await pg.psql(
      "postgres",
      `CREATE ROLE "Shop Owner" LOGIN; CREATE ROLE shop_reader LOGIN PASSWORD 'not-a-secret' VALID UNTIL '2099-01-01';
       CREATE ROLE shop_group; GRANT shop_group TO shop_reader WITH ADMIN OPTION; CREATE ROLE other_owner;
       COMMENT ON ROLE shop_reader IS 'it''s a reader'; ALTER ROLE shop_reader SET search_path TO "$user", shop;
       CREATE DATABASE ${q} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' OWNER "Shop Owner" CONNECTION LIMIT 17;
       COMMENT ON DATABASE ${q} IS 'it''s a shop';
       REVOKE ALL ON DATABASE ${q} FROM PUBLIC; GRANT CONNECT ON DATABASE ${q} TO shop_reader;
       ALTER DATABASE ${q} SET default_transaction_read_only TO on;
       ALTER DATABASE ${q} SET log_statement TO 'none';
       ALTER ROLE shop_reader IN DATABASE ${q} SET statement_timeout TO '5min';`,
    );
    await pg.psql(
      NAME,
      `SET default_transaction_read_only = off; BEGIN READ WRITE;
       CREATE SCHEMA shop AUTHORIZATION "Shop Owner"; CREATE SCHEMA tools AUTHORIZATION "Shop Owner";
       CREATE EXTENSION hstore SCHEMA tools; CREATE EXTENSION dblink SCHEMA tools;
       SET ROLE "Shop Owner";
       CREATE TYPE shop.mood AS ENUM ('sad', 'ok');
       CREATE TABLE shop.items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text DEFAULT chr(233), h tools.hstore, m shop.mood);
       INSERT INTO shop.items (h, m) SELECT tools.hstore('n', n::text), 'ok' FROM generate_series(1, 50) n;
       CREATE TABLE shop.sales (item int REFERENCES shop.items, at timestamptz) PARTITION BY RANGE (at);
       CREATE TABLE shop.sales_2026 PARTITION OF shop.sales FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
       INSERT INTO shop.sales SELECT id, '2026-05-01' FROM shop.items;
       CREATE SEQUENCE shop.numbers START 5; SELECT nextval('shop.numbers'), nextval('shop.numbers');
       CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';
       CREATE TRIGGER touch BEFORE UPDATE ON shop.items FOR EACH ROW EXECUTE FUNCTION shop.touch();
       CREATE MATERIALIZED VIEW shop.total AS SELECT count(*) FROM shop.sales;
       ALTER TABLE shop.items ENABLE ROW LEVEL SECURITY; ALTER TABLE shop.items FORCE ROW LEVEL SECURITY;
       CREATE POLICY mine ON shop.items TO shop_reader USING (id < 10);
       GRANT USAGE ON SCHEMA shop TO shop_reader; GRANT SELECT (id, t) ON shop.items TO shop_reader WITH GRANT OPTION;
       ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO shop_group;
       SELECT lo_from_bytea(4711, 'large'); GRANT SELECT ON LARGE OBJECT 4711 TO shop_reader;
       CREATE TABLE shop.of_another (n int); RESET ROLE; ALTER TABLE shop.of_another OWNER TO other_owner;
       INSERT INTO shop.of_another VALUES (1);
       CREATE FUNCTION shop.of_another() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION shop.of_another() OWNER TO other_owner;
       REVOKE CREATE ON SCHEMA public FROM PUBLIC; COMMENT ON SCHEMA shop IS 'the shop'; COMMIT;`,
    );
    stored = await storeDatabase(pg.policyFor(NAME, { name: "shop" }));
    schema = await schemaOf(NAME);
    asBefore = await databasesOf(pg);
    await pg.psql("postgres", `DROP DATABASE ${q}`);
    await pg.psql("postgres", `DROP ROLE shop_reader, shop_group, other_owner, "Shop Owner"`);
  });

  test("comes back with roles, owners, privileges, settings, onto a server that never had it", async () => {
    const policy = pg.policyFor(NAME, { name: "shop" });
    const shop = bench.open(stored, policy);
    const without = await databasesOf(pg);
    const { notes } = await shop.stage(how);
    assert.deepEqual(notes, ["made the roles Shop Owner, other_owner, shop_group, shop_reader"]);
    assert.deepEqual(await shop.check(how), []);
    assert.deepEqual(await shop.check(how), []);
    await shop.swap(how);
    assert.equal(await shop.state(how), "swapped");
    assert.deepEqual(await shop.check(how), []);
    assert.equal(await schemaOf(NAME), schema);
    assert.equal(await databasesOf(pg), asBefore);
    assert.equal(await pg.psql(NAME, "SELECT convert_from(lo_get(4711), 'UTF8')"), "large");
    assert.equal(await pg.psql("postgres", LEFT_OF_LOADING), "");
    assert.equal(
      await pg.psql(
        "postgres",
        `SELECT rolcanlogin, rolvaliduntil, rolpassword LIKE 'SCRAM-SHA-256$%', shobj_description(oid, 'pg_authid'),
           (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0),
           (SELECT (roleid::regrole, admin_option) FROM pg_auth_members WHERE member = r.oid)
         FROM pg_authid r WHERE rolname = 'shop_reader'`,
      ),
      `t|2099-01-01 00:00:00+00|t|it's a reader|{"search_path=\\"$user\\", shop"}|(shop_group,t)`,
    );

    await shop.unswap(how); // there was none before
    assert.equal(await shop.state(how), "staged");
    await assert.rejects(pg.psql(NAME, "SELECT 1"), /does not exist/);
    await shop.swap(how);
    await shop.unswap(how);
    await shop.discard(how);
    assert.equal(await databasesOf(pg), without);
    assert.equal(
      await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolname ~ 'shop|Shop|other_owner'"),
      "",
    );
    await assert.rejects(readdir(`${bench.directory}/database-shop`), { code: "ENOENT" });

    await shop.stage(how);
    await shop.swap(how);
    await shop.finish(how);
    assert.equal(await shop.state(how), "finished");
    assert.equal(await databasesOf(pg), asBefore);
    // the passing files are gone, what was noted is not
    assert.deepEqual(await readdir(`${bench.directory}/database-shop`), ["database.json"]);
  });

  test("existing roles are left as they are", async () => {
    await pg.psql(
      "postgres",
      `ALTER ROLE shop_reader PASSWORD NULL NOLOGIN; REVOKE shop_group FROM shop_reader`,
    );
    const roles = await pg.psql("postgres", "SELECT * FROM pg_authid ORDER BY 1");
    const again = bench.open(stored, pg.policyFor("another_name", { name: "shop" }), {
      run: "20261124t003638-000001",
      directory: `${bench.directory}-2`,
    });
    assert.deepEqual((await again.stage(how)).notes, []);
    assert.equal(await pg.psql("postgres", "SELECT * FROM pg_authid ORDER BY 1"), roles);
    assert.equal(
      await pg.psql("postgres", "SELECT count(*) FROM pg_auth_members WHERE member = 'shop_reader'::regrole"),
      "0",
    );
    await again.discard(how);
    assert.equal(await pg.psql("postgres", "SELECT * FROM pg_authid ORDER BY 1"), roles);
  });
});

test("an empty database that a service made in between goes aside, by its id, and comes back", async () => {
  await seedBridge(pg, "ensured", { messages: 20 });
  const policy = pg.policyFor("ensured", { name: "ensured-db" });
  const stored = await storeDatabase(policy);
  const database = bench.open(stored, policy);
  await pg.psql("postgres", "DROP DATABASE ensured");
  await database.stage(how);
  await pg.psql("postgres", "CREATE DATABASE ensured OWNER ensured_owner CONNECTION LIMIT 3");
  const oid = await pg.psql("postgres", "SELECT oid FROM pg_database WHERE datname = 'ensured'");
  await database.swap(how);
  assert.deepEqual(differences(stored.captured.facts, await measured(pg, "ensured")), []);
  await database.unswap(how);
  const back = await pg.psql(
    "postgres",
    "SELECT oid, datallowconn, datconnlimit FROM pg_database WHERE datname = 'ensured'",
  );
  assert.equal(back, `${oid}|t|3`);
  // dropped and made again: another one now
  await pg.psql("postgres", "DROP DATABASE ensured");
  await pg.psql("postgres", "CREATE DATABASE ensured OWNER ensured_owner");
  await database.swap(how);
  assert.deepEqual(await database.check(how), []);
  await database.finish(how);
  assert.doesNotMatch(await databasesOf(pg), /ensured_(before|drops)/);
});

test("who is connected is thrown out, and sees the old database or the new one, nothing between", async () => {
  const bridge = await seedBridge(pg, "busy", { messages: 100 });
  const policy = pg.policyFor("busy", { name: "busy-db" });
  const database = bench.open(await storeDatabase(policy), policy);
  await pg.psql("busy", "CREATE TABLE old_mark ()");
  await database.stage(how);
  const writer = await bridge.write();
  let isOver = false;
  const seen = new Set<string>();
  const visitor = (async () => {
    while (!isOver) {
      const sql = "SELECT to_regclass('old_mark') IS NOT NULL, (SELECT count(*) > 0 FROM kv_store)";
      seen.add(
        await pg
          .psql("busy", sql)
          .catch((error: Error) => /FATAL: +(.*)/.exec(error.message)?.[1] ?? error.message),
      );
    }
  })();
  for (let round = 0; round < 5; round++) {
    await database.swap(how);
    await database.unswap(how);
  }
  await database.swap(how);
  isOver = true;
  await visitor;
  await writer[Symbol.asyncDispose]();
  assert.deepEqual(await database.check(how), []); // the writer wrote to the old one alone
  const refused = [...seen].filter((line) => !/^[tf]\|t$/.test(line));
  for (const line of refused)
    assert.match(line, /not currently accepting connections|terminating connection|does not exist/);
  assert.ok(seen.has("f|t") || refused.length > 0);
  await database.finish(how);
});

test("two databases of one run are staged at the same time, also when they make the same roles", async () => {
  await pg.psql("postgres", "CREATE ROLE twin_owner; CREATE ROLE twin_reader");
  const [one, two] = await Promise.all(
    ["twin_one", "twin_two"].map(async (name) => {
      await pg.psql("postgres", `CREATE DATABASE ${name} OWNER twin_owner`);
      await pg.psql(
        name,
        "SET ROLE twin_owner; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT generate_series(1, 10); GRANT SELECT ON s.t TO twin_reader",
      );
      const policy = pg.policyFor(name, { name: name.replace("_", "-") });
      return bench.open(await storeDatabase(policy), policy);
    }),
  );
  assert.ok(one && two);
  await pg.psql("postgres", "DROP DATABASE twin_one");
  await pg.psql("postgres", "DROP DATABASE twin_two");
  await pg.psql("postgres", "DROP ROLE twin_owner, twin_reader");
  await Promise.all([one.stage(how), two.stage(how)]);
  await Promise.all([one.swap(how), two.swap(how)]);
  assert.deepEqual(await Promise.all([one.check(how), two.check(how)]), [[], []]);
  await Promise.all([one.unswap(how), two.unswap(how)]);
  await one.discard(how);
  await two.discard(how);
  await pg.psql("postgres", "DROP ROLE IF EXISTS twin_owner, twin_reader");
  assert.doesNotMatch(await databasesOf(pg), /twin/);
});

test("what a lost connection left running on the server is ended, and does nothing later", async () => {
  await seedBridge(pg, "slow", { messages: 20 });
  const policy = pg.policyFor("slow", { name: "slow-db" });
  const database = bench.open(await storeDatabase(policy), policy);
  await database.stage(how);
  // holds the row of the database, so that the swap waits with its first change
  const holder = pg.psql(
    "postgres",
    "SET application_name = 'holder'; BEGIN; ALTER DATABASE slow CONNECTION LIMIT -1; SELECT pg_sleep(600); COMMIT",
  );
  const held = assert.rejects(holder, /terminating connection/);
  const count = (sql: string) => pg.psql("postgres", `SELECT count(*) FROM pg_stat_activity WHERE ${sql}`);
  const untilCount = (sql: string, wanted: string) =>
    until(`${wanted} of ${sql}`, async () => (await count(sql)) === wanted);
  await untilCount("application_name = 'holder' AND wait_event = 'PgSleep'", "1");
  const stop = new AbortController();
  const broken = assert.rejects(database.swap({ signal: stop.signal }), /broken off/);
  await untilCount("application_name LIKE 'drops-%' AND wait_event_type = 'Lock'", "1");
  stop.abort(new Error("broken off"));
  await broken;
  await untilCount("application_name LIKE 'drops-%' AND wait_event_type = 'Lock'", "1"); // its client is gone, it waits on

  await database.discard(how);
  await untilCount("application_name LIKE 'drops-%'", "0");
  await pg.psql(
    "postgres",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'",
  );
  await held;
  assert.equal(await pg.psql("slow", "SELECT count(*) FROM emoji"), "30");
  assert.equal(await database.state(how), "untouched");
});

test("what the new database lacks is told, and a strange database of a name that is needed is left alone", async () => {
  await seedBridge(pg, "strange", { messages: 20 });
  const policy = pg.policyFor("strange", { name: "strange-db" });
  const database = bench.open(await storeDatabase(policy), policy);
  const { staged, kept } = replacementNames("strange", RUN);
  await pg.psql("postgres", `CREATE DATABASE ${staged}`);
  const refused = (error: unknown) =>
    isFailure(error, "safety/refused") && /did not make/.test(error.message);
  await assert.rejects(database.stage(how), refused);
  await pg.psql("postgres", `ALTER DATABASE ${staged} RENAME TO ${kept}`);
  await database.stage(how);
  await pg.psql(staged, "DELETE FROM emoji");
  assert.deepEqual(await database.check(how), ["table public.emoji has 0 rows instead of 30"]);
  await assert.rejects(database.swap(how), refused);
  assert.equal(await pg.psql("strange", "SELECT count(*) FROM emoji"), "30");
  await database.discard(how);
  await pg.psql("postgres", `DROP DATABASE ${kept}`);
});

describe("what cannot be done is said", () => {
  const cases = [
    {
      name: "a missing locale",
      facts: { collate: "xx_YY.UTF-8", ctype: "xx_YY.UTF-8" },
      expected: /making the new database .*invalid locale name: "xx_YY.UTF-8"/,
    },
    {
      name: "a missing extension",
      facts: { extensions: [{ name: "no_such", version: "1", schema: "public" }] },
      expected: /making the extensions .*extension "no_such" is not available/,
    },
    {
      name: "a dump that is none",
      files: { "database.dump": "rubbish" },
      expected: /reading the archive list of the dump/,
    },
  ];
  for (const { name, expected, ...change } of cases) {
    test(`${name}; nothing is in the way afterwards`, async () => {
      await pg.psql("postgres", "CREATE DATABASE plain");
      const policy = pg.policyFor("plain", { name: "plain-db" });
      const stored = await storeDatabase(policy, change);
      const before = await databasesOf(pg);
      const database = bench.open(stored, policy);
      await assert.rejects(
        database.stage(how),
        (error) => isFailure(error, "source/failed") && expected.test(error.message),
      );
      assert.equal(await database.state(how), "staging");
      await assert.rejects(database.swap(how), (error) => isFailure(error, "safety/refused"));
      await database.discard(how);
      assert.equal(await databasesOf(pg), before);
      assert.equal(await pg.psql("postgres", LEFT_OF_LOADING), "");
      await pg.psql("postgres", "DROP DATABASE plain");
    });
  }
});
