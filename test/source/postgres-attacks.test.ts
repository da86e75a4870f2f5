/**
 * Whoever owns a database decides what is in it: functions, indexes, casts, views, settings. A backup reads all of it as a
 * superuser, and must run none of it: that would be the superuser's power, and that of the server's user of the machine.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openLocalHost } from "../../src/host/local.ts";
import type { DropsError } from "../../src/lib/errors.ts";
import { databaseSql } from "../../src/source/postgres/database-sql.ts";
import { type PostgresFacts, parsePostgresFacts } from "../../src/source/postgres/facts.ts";
import { quoteIdentifier, quoteLiteral } from "../../src/source/postgres/quote.ts";
import { ServerAdmin } from "../../src/source/postgres/restore/admin.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { capture, measured } from "../support/postgres-captures.ts";

let pg: Postgres;
before(async () => {
  pg = await startPostgres();
  await pg.psql("postgres", "CREATE ROLE mallory LOGIN; CREATE DATABASE traps OWNER mallory");
  await pg.psql("postgres", "GRANT pg_read_all_stats TO mallory"); // so that the race is no matter of luck
  await pg.psql("traps", ARM(pg.socketDir));
});
after(() => pg[Symbol.asyncDispose]());

/** `evil(name)` leaves a mark as the server's user, if a superuser runs it, even in a transaction that may only read. */
const ARM = (directory: string) => `
SET SESSION AUTHORIZATION mallory;
CREATE FUNCTION harm(name text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user) THEN
    EXECUTE pg_catalog.format('COPY (SELECT 1) TO PROGRAM %L', pg_catalog.concat('cat > ${directory}/mark-', name));
  END IF;
  RETURN 1;
END $$;
CREATE FUNCTION evil(name text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.harm(name); END $$;
`;
const marked = (name: string) => existsSync(join(pg.socketDir, `mark-${name}`));

describe("a backup runs nothing that the database's owner wrote", () => {
  const TRAPS: readonly { readonly name: string; readonly set: string; readonly springs: string }[] = [
    {
      name: "index",
      set: "CREATE TABLE @.t AS SELECT 1 AS n; CREATE INDEX ON @.t ((evil('index')))",
      springs: "SELECT count(*) FROM @.t",
    },
    {
      name: "predicate",
      set: "CREATE TABLE @.t AS SELECT 1 AS n; CREATE INDEX ON @.t (n) WHERE evil('predicate') = 1",
      springs: "SELECT count(*) FROM @.t",
    },
    {
      name: "statistics",
      set: "CREATE TABLE @.t AS SELECT 1 AS n; CREATE STATISTICS @.s ON (n + evil('statistics')), n FROM @.t; ANALYZE @.t",
      springs: "SELECT count(*) FROM @.t",
    },
    {
      name: "partition",
      set: "CREATE TABLE @.t (n int) PARTITION BY RANGE ((n + evil('partition'))); CREATE TABLE @.low PARTITION OF @.t DEFAULT",
      springs: "SELECT count(*) FROM @.t",
    },
    {
      name: "constraint",
      set: "CREATE TABLE @.t (n int, CHECK (n >= evil('constraint')))",
      springs: "SET constraint_exclusion = on; SELECT FROM @.t WHERE n = 0",
    },
    {
      name: "domain",
      set: "CREATE DOMAIN @.d AS int CHECK (evil('domain') = VALUE); CREATE TABLE @.t (d @.d); INSERT INTO @.t VALUES (1)",
      springs: "INSERT INTO @.t VALUES (1)",
    },
    {
      name: "generated",
      set: "CREATE TABLE @.t (n int, g int GENERATED ALWAYS AS (n + evil('generated')) STORED); INSERT INTO @.t VALUES (1)",
      springs: "INSERT INTO @.t VALUES (2)",
    },
    {
      name: "cast",
      set: `CREATE TABLE @.t AS SELECT 1 AS n;
        CREATE FUNCTION @.f(@.t) RETURNS text LANGUAGE sql AS $$ SELECT public.evil('cast')::text $$;
        CREATE CAST (@.t AS text) WITH FUNCTION @.f(@.t)`,
      springs: "SELECT t::text FROM @.t",
    },
    {
      name: "json",
      set: `CREATE TYPE @.e AS ENUM ('a'); CREATE TABLE @.t AS SELECT 1 AS n; ALTER TABLE @.t ADD e @.e DEFAULT 'a';
        CREATE FUNCTION @.f(@.e) RETURNS json LANGUAGE sql AS $$ SELECT to_json(public.evil('json')) $$;
        CREATE CAST (@.e AS json) WITH FUNCTION @.f(@.e)`,
      springs: "SELECT to_jsonb(a) FROM pg_attribute a WHERE attrelid = '@.t'::regclass",
    },
    {
      name: "view",
      set: "CREATE VIEW @.v AS SELECT evil('view'); CREATE MATERIALIZED VIEW @.m AS SELECT * FROM @.v",
      springs: "SELECT * FROM @.v",
    },
    {
      name: "shadow",
      set: `CREATE FUNCTION @.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS $$ SELECT public.evil('shadow') = 1 $$;
        CREATE FUNCTION @.current_database() RETURNS name LANGUAGE sql AS $$ SELECT public.evil('shadow')::text::name $$;
        CREATE FUNCTION @.unlike(name, text) RETURNS bool LANGUAGE sql AS $$ SELECT public.evil('shadow') = 1 $$;
        CREATE OPERATOR @.!~ (LEFTARG = name, RIGHTARG = text, FUNCTION = @.unlike);
        CREATE VIEW @.pg_class AS SELECT public.evil('shadow') AS n, c.* FROM pg_catalog.pg_class c;
        CREATE VIEW @.pg_settings AS SELECT public.evil('shadow') AS n, s.* FROM pg_catalog.pg_settings s;
        ALTER DATABASE traps SET search_path = @, pg_catalog, public`,
      springs: "SELECT pg_is_in_recovery()",
    },
  ];
  before(async () => {
    for (const { name, set } of TRAPS) {
      const sql = `SET SESSION AUTHORIZATION mallory; SET search_path = public; CREATE SCHEMA trap_${name}; ${set}`;
      await pg.psql("traps", sql.replaceAll("@", `trap_${name}`));
    }
    for (const digests of [true, false]) {
      const captured = await capture(pg.policyFor("traps", { digests }));
      assert.equal(captured.facts.tables.length, 9);
    }
    await measured(pg, "traps");
  });

  for (const { name, springs } of TRAPS) {
    test(name, async () => {
      assert.equal(marked(name), false, "a superuser ran it");
      await pg.psql("traps", springs.replaceAll("@", `trap_${name}`));
      assert.equal(marked(name), true, "the trap was not armed");
    });
  }
});

describe("a table that is replaced while the backup waits for its lock", () => {
  const REPLACEMENTS: Readonly<Record<string, string>> = {
    view: "ALTER TABLE swapped.t RENAME TO was; CREATE VIEW swapped.t AS SELECT public.evil('race-view') AS n",
    table:
      "ALTER TABLE swapped.t RENAME TO was; CREATE TABLE swapped.t AS SELECT 1 AS n; CREATE INDEX ON swapped.t ((public.evil('race-table')))",
    schema:
      "ALTER SCHEMA swapped RENAME TO was; CREATE SCHEMA swapped; CREATE VIEW swapped.t AS SELECT public.evil('race-schema') AS n",
  };
  for (const [name, replacement] of Object.entries(REPLACEMENTS)) {
    test(`by a ${name}: the source fails, and nothing of it was run`, async () => {
      const database = `race_${name}`;
      await pg.psql("postgres", `CREATE DATABASE ${database} OWNER mallory`);
      await pg.psql(database, ARM(pg.socketDir));
      await pg.psql(
        database,
        "SET SESSION AUTHORIZATION mallory; CREATE SCHEMA swapped; CREATE TABLE swapped.t AS SELECT 1 AS n",
      );
      const waits = `SELECT count(*) FROM pg_catalog.pg_stat_activity
        WHERE datname = '${database}' AND application_name = 'drops' AND wait_event_type = 'Lock'`;
      const swap = pg.psql(
        database,
        `SET SESSION AUTHORIZATION mallory; BEGIN; LOCK TABLE swapped.t IN ACCESS EXCLUSIVE MODE; SELECT pg_advisory_lock(1);
         DO $$ BEGIN
           FOR tries IN 1..5000 LOOP
             EXIT WHEN (${waits}) > 0;
             PERFORM pg_stat_clear_snapshot(), pg_sleep(0.02);
           END LOOP;
         END $$;
         ${replacement}; COMMIT`,
      );
      const isLocked = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted`;
      while ((await pg.psql(database, isLocked)) === "0") await sleep(20);
      const error = await capture(pg.policyFor(database)).then(
        () => assert.fail("it succeeded"),
        (reason: DropsError) => reason,
      );
      await swap;
      assert.equal(marked(`race-${name}`), false, "a superuser ran it");
      assert.equal(error.code, "source/failed", error.stack);
      assert.match(error.message, /table swapped\.t was replaced while it was being locked/);
      await pg.psql(database, "SELECT * FROM swapped.t");
      assert.equal(marked(`race-${name}`), true, "the trap was not armed");
    });
  }
});

test("a role that can take a superuser's power counts as one", async () => {
  await pg.psql(
    "postgres",
    `CREATE ROLE plain; CREATE ROLE watcher; GRANT pg_monitor TO watcher; CREATE ROLE maker CREATEROLE; CREATE ROLE writer;
     GRANT pg_write_server_files TO writer; CREATE ROLE group_of_writer; GRANT writer TO group_of_writer; CREATE ROLE admins; GRANT postgres TO admins`,
  );
  await using host = await openLocalHost();
  const admin = new ServerAdmin(host, pg.policyFor("traps"), "test");
  const roles = [...(await admin.roles({ signal: AbortSignal.timeout(60_000) })).values()];
  const strong = roles.filter(({ name, superuser }) => superuser && !name.startsWith("pg_"));
  assert.deepEqual(strong.map(({ name }) => name).sort(), [
    "admins",
    "group_of_writer",
    "maker",
    "postgres",
    "writer",
  ]);
});

test("names that are statements stay names when database.sql is run", async () => {
  const mark = join(pg.socketDir, "mark-name");
  const name = `x"; \\! touch ${mark}\n\\! touch ${mark}\n--`.slice(0, 63);
  const quoted = quoteIdentifier(name);
  await pg.psql("postgres", `CREATE ROLE ${quoted}`);
  await pg.psql("postgres", `CREATE DATABASE ${quoted} OWNER ${quoted}`);
  await pg.psql("postgres", `COMMENT ON DATABASE ${quoted} IS ${quoteLiteral(`'\n\\! touch ${mark}\n`)}`);
  const captured = await capture(pg.policyFor(name));
  await pg.psql("postgres", `DROP DATABASE ${quoted}`);
  await pg.psql("postgres", captured.sink.bytes("database.sql").toString());
  assert.equal(existsSync(mark), false);
  assert.equal(
    await pg.psql(
      "postgres",
      `SELECT datdba::regrole::text = ${quoteLiteral(quoted)} FROM pg_database WHERE datname = ${quoteLiteral(name)}`,
    ),
    "t",
  );
});

describe("facts in a form that is none of PostgreSQL's are refused where they are read and where they are written", () => {
  const LINE = "15.13\n\\! touch /tmp/mark\n";
  const ROWS: readonly { readonly name: string; readonly facts: Readonly<Record<string, unknown>> }[] = [
    { name: "a version of several lines", facts: { server: { version: LINE, version_num: "150013" } } },
    {
      name: "a version with a command",
      facts: { server: { version: "15.13 \\! id", version_num: "150013" } },
    },
    { name: "a version that is no number", facts: { server: { version: "15.13", version_num: "15; DROP" } } },
    { name: "an encoding that is a statement", facts: { encoding: "UTF8'; DROP" } },
    { name: "a locale of several lines", facts: { collate: LINE } },
    { name: "a provider that is none", facts: { provider: "libc LOCALE" } },
    {
      name: "a privilege that is none",
      facts: { acl: [{ grantee: null, privilege: "ALL ON SCHEMA", grantable: false }] },
    },
    {
      name: "a privilege of other things",
      facts: { acl: [{ grantee: null, privilege: "EXECUTE", grantable: false }] },
    },
    {
      name: "a parameter that is a statement",
      facts: { settings: [{ role: null, name: "a TO b; --", value: "" }] },
    },
    { name: "a name with NUL", facts: { owner: "a\0b" } },
    { name: "a name that is too long", facts: { database: "a".repeat(256) } },
  ];
  let facts: PostgresFacts;
  before(async () => {
    ({ facts } = await capture(pg.policyFor("postgres")));
  });
  for (const row of ROWS) {
    test(row.name, () => {
      const hostile = { ...facts, ...row.facts } as PostgresFacts;
      assert.throws(() => parsePostgresFacts(hostile), { code: "format/unsupported" });
      assert.throws(() => databaseSql(hostile), { name: "ZodError" });
    });
  }

  test("a setting that loads code is left out of database.sql", () => {
    const sql = databaseSql({
      ...facts,
      settings: [
        { role: null, name: "session_preload_libraries", value: '"/tmp/evil.so"' },
        { role: "postgres", name: "local_preload_libraries", value: "evil" },
        { role: null, name: "work_mem", value: "64MB" },
      ],
    });
    assert.doesNotMatch(sql, /evil/);
    assert.match(sql, /SET "work_mem" TO '64MB'/);
  });
});
