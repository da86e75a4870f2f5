import assert from "node:assert/strict";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import {
  loadScratch,
  makeDatabase,
  makeRoles,
  scratchAdmin,
  scratchName,
} from "../../src/drill/load-dump.ts";
import { isFailure } from "../../src/lib/errors.ts";
import type { PostgresFacts } from "../../src/source/postgres/facts.ts";
import { differences, measureNow } from "../../src/source/postgres/measure.ts";
import { privilegeDifferences } from "../../src/source/postgres/privileges.ts";
import { parseRolesFile } from "../../src/source/postgres/restore/roles-file.ts";
import { digestOf } from "../../src/source/postgres/row-digest.ts";
import { PsqlSession } from "../../src/source/postgres/session.ts";
import { type Bench, openBench, type StoredDatabase, storeDatabase } from "../support/database-restoring.ts";
import { drillNewest } from "../support/drillable.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { rehearse } from "../support/rehearsal.ts";
import { type ScratchServer, startScratchServer } from "../support/scratch-server.ts";

// What a role that is no superuser cannot load: told when it is backed up, the same in a drill and in a restore, and never an error
// whose hint does not help.

const how = { signal: AbortSignal.timeout(1_800_000) };

interface Row {
  readonly name: string;
  /** Run by a superuser in a database that belongs to `app`, in schemas of the row's own. */
  readonly sql: string;
  /** Notes of the backup. */
  readonly says?: readonly RegExp[];
  /** Notes of the drill and of the restore. */
  readonly leaves?: readonly RegExp[];
  /** What the drill fails with, and the restore tells of. */
  readonly broken?: readonly RegExp[];
  /** Must be true in what was restored, by the guided restore and by the drill. */
  readonly holds?: string;
}

/** Rows share a database, since a whole restore and a drill take seconds. */
interface Case {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Run afterwards, in the database `postgres`; `@` stands for the database's name. */
  readonly settings?: string;
  readonly encoding?: string;
  /** What the snapshot says instead. */
  readonly facts?: Partial<PostgresFacts>;
  /** What drill and restore end with: there is no loading it. */
  readonly refused?: RegExp;
}

const BELONGS = /^what belonged to the superuser postgres in case_\d+ belongs to app now$/;

const CASES: readonly Case[] = [
  {
    name: "what comes back whole",
    rows: [
      {
        name: "nothing in the way",
        sql: "SET ROLE app; CREATE SCHEMA s1; CREATE TABLE s1.t AS SELECT generate_series(1, 9) AS n",
        holds: "SELECT count(*) = 9 FROM s1.t",
      },
      {
        name: "a child table with columns in another order",
        sql: `SET ROLE app; CREATE SCHEMA s2; CREATE TABLE s2.parent (a int); CREATE TABLE s2.child (b text) INHERITS (s2.parent);
          ALTER TABLE s2.parent ADD COLUMN c int; INSERT INTO s2.child (a, b, c) VALUES (1, 'x', 2)`,
        holds: "SELECT (a, b, c) = (1, 'x', 2) FROM s2.child",
      },
      {
        name: "functions without a schema in an index, a check, a generated column and a materialized view",
        sql: `GRANT CREATE ON SCHEMA public TO app; SET ROLE app;
          CREATE FUNCTION public.inner_fn(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN lower($1); END $$;
          CREATE FUNCTION public.outer_fn(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN inner_fn($1); END $$;
          CREATE TABLE word (w text CHECK (public.outer_fn(w) <> ''), g text GENERATED ALWAYS AS (public.outer_fn(w)) STORED);
          CREATE INDEX ON word (public.outer_fn(w)); INSERT INTO word VALUES ('A'), ('b');
          CREATE MATERIALIZED VIEW words AS SELECT public.outer_fn(w) FROM word`,
        says: [/^functions public\.outer_fn\(text\) name things without a schema .*drops restores them/],
        holds: `SELECT (SELECT count(*) = 2 FROM words) AND (SELECT count(*) = 1 FROM pg_index WHERE indrelid = 'word'::regclass)
          AND (SELECT bool_and(proconfig IS NULL) FROM pg_proc WHERE proname = 'outer_fn')`,
      },
      {
        name: "another owner's table in the schema public",
        sql: "CREATE TABLE x4 (a int); ALTER TABLE x4 OWNER TO other; INSERT INTO x4 VALUES (1)",
        holds: "SELECT tableowner = 'other' FROM pg_tables WHERE tablename = 'x4'",
      },
      {
        name: "another owner's schema, whose privileges are the default",
        sql: "CREATE SCHEMA s5 AUTHORIZATION other; CREATE TABLE s5.x (a int); ALTER TABLE s5.x OWNER TO other; INSERT INTO s5.x VALUES (1)",
        holds: "SELECT nspowner = 'other'::regrole AND nspacl IS NULL FROM pg_namespace WHERE nspname = 's5'",
      },
      {
        name: "another owner's schema, whose owner may make nothing in it",
        sql: "CREATE SCHEMA s6 AUTHORIZATION other; CREATE TABLE s6.x (a int); ALTER TABLE s6.x OWNER TO other; REVOKE CREATE ON SCHEMA s6 FROM other; GRANT USAGE ON SCHEMA s6 TO reader",
        holds:
          "SELECT nspacl::text = '{other=U/other,reader=U/other}' FROM pg_namespace WHERE nspname = 's6'",
      },
      {
        name: "another owner who may make things in the owner's schema",
        sql: "SET ROLE app; CREATE SCHEMA s7; GRANT CREATE ON SCHEMA s7 TO other",
        holds: "SELECT nspacl::text = '{app=UC/app,other=C/app}' FROM pg_namespace WHERE nspname = 's7'",
      },
      {
        name: "another owner's function, type and sequence, with privileges of columns, functions and types",
        sql: `CREATE SCHEMA s8 AUTHORIZATION app; GRANT USAGE, CREATE ON SCHEMA s8 TO other; SET ROLE other; CREATE TYPE s8.mood AS ENUM ('ok'); CREATE SEQUENCE s8.n; CREATE TABLE s8.t (a int, m s8.mood);
          CREATE FUNCTION s8.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION s8.f() FROM PUBLIC; REVOKE ALL ON TYPE s8.mood FROM PUBLIC; GRANT USAGE ON TYPE s8.mood TO app;
          GRANT SELECT (a), UPDATE (m) ON s8.t TO reader WITH GRANT OPTION; GRANT USAGE ON SEQUENCE s8.n TO PUBLIC; REVOKE DELETE ON s8.t FROM other; RESET ROLE; REVOKE CREATE ON SCHEMA s8 FROM other`,
        holds:
          "SELECT proowner = 'other'::regrole AND proacl::text = '{other=X/other}' FROM pg_proc WHERE proname = 'f' AND pronamespace = 's8'::regnamespace",
      },
      {
        name: "extensions in schemas of several owners",
        sql: `CREATE SCHEMA s9 AUTHORIZATION other; CREATE EXTENSION hstore SCHEMA s9; GRANT USAGE ON SCHEMA s9 TO app, reader; SET ROLE app;
          CREATE SCHEMA s10; COMMENT ON SCHEMA s10 IS 'of types'; CREATE EXTENSION citext SCHEMA s10; CREATE TABLE s10.t AS SELECT 'a'::s10.citext AS a, 'a=>1'::s9.hstore AS h`,
        holds:
          "SELECT count(*) = 2 FROM pg_namespace WHERE (nspname, nspowner::regrole::text) IN (('s9', 'other'), ('s10', 'app'))",
      },
      {
        name: "a tablespace",
        sql: "CREATE TABLE t11 (a int) TABLESPACE elsewhere; ALTER TABLE t11 OWNER TO app; INSERT INTO t11 VALUES (1)",
        says: [/^tablespaces elsewhere are not made by a restore/],
        holds: "SELECT reltablespace = 0 FROM pg_class WHERE relname = 't11'",
      },
      {
        name: "large objects, disabled triggers, row security, default privileges, comments and rules",
        sql: `SET ROLE app; CREATE SCHEMA s12; CREATE TABLE s12.t (a int CHECK (a > 0)); COMMENT ON TABLE s12.t IS 'a table';
          CREATE FUNCTION s12.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
          CREATE TRIGGER g BEFORE INSERT ON s12.t FOR EACH ROW EXECUTE FUNCTION s12.f(); ALTER TABLE s12.t DISABLE TRIGGER g;
          INSERT INTO s12.t VALUES (1), (99); CREATE POLICY p ON s12.t USING (a < 10); ALTER TABLE s12.t ENABLE ROW LEVEL SECURITY; ALTER TABLE s12.t FORCE ROW LEVEL SECURITY;
          ALTER DEFAULT PRIVILEGES IN SCHEMA s12 GRANT SELECT ON TABLES TO other; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; SELECT lo_from_bytea(0, 'large');
          CREATE RULE r AS ON DELETE TO s12.t DO INSTEAD NOTHING`,
        holds: "SELECT relforcerowsecurity FROM pg_class WHERE oid = 's12.t'::regclass",
      },
    ],
    settings:
      "GRANT CONNECT ON DATABASE @ TO reader WITH GRANT OPTION; REVOKE TEMPORARY ON DATABASE @ FROM PUBLIC",
  },
  {
    name: "what only a superuser may have, and what contradicts the rows",
    rows: [
      {
        name: "an event trigger",
        sql: `CREATE SCHEMA e1; CREATE TABLE e1.x (a int); CREATE FUNCTION e1.noop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
          CREATE EVENT TRIGGER et ON ddl_command_end WHEN TAG IN ('CREATE OPERATOR') EXECUTE FUNCTION e1.noop()`,
        says: [/^event triggers et: a restore leaves them out/, /e1\.noop\(\).*e1\.x.*: a superuser's here/],
        leaves: [BELONGS, /^left out.*: EVENT TRIGGER - et postgres, entry \d+ of the dump$/],
      },
      {
        name: "rows that break a foreign key",
        sql: `SET ROLE app; CREATE SCHEMA e2; CREATE TABLE e2.p (a int primary key); CREATE TABLE e2.c (a int REFERENCES e2.p);
          CREATE TABLE e2.fine (a int REFERENCES e2.p); RESET ROLE; SET session_replication_role = replica; INSERT INTO e2.c VALUES (1)`,
        says: [/^rows break the foreign keys c_a_fkey of e2\.c: /],
        broken: [
          /^could not be made: FK CONSTRAINT e2 c c_a_fkey app \(insert or update on table "c" violates foreign key/,
        ],
        holds: "SELECT count(*) = 1 FROM e2.c",
      },
      {
        name: "publications of all tables",
        sql: `SET ROLE app; CREATE SCHEMA e3; CREATE TABLE e3.x (a int); CREATE PUBLICATION one_of_them FOR TABLE e3.x; RESET ROLE;
          CREATE PUBLICATION everything FOR ALL TABLES`,
        says: [/^publications everything of all tables or of a schema: /],
        leaves: [/^left out.*: PUBLICATION - everything postgres \(must be superuser/],
        holds: "SELECT string_agg(pubname, ',') = 'one_of_them' FROM pg_publication",
      },
      {
        name: "objects of three owners, one of them a superuser",
        sql: `CREATE SCHEMA e4; CREATE TABLE e4.a (n int); ALTER TABLE e4.a OWNER TO app; CREATE TABLE e4.b AS SELECT 1 AS n;
          CREATE TABLE e4.c (n int); ALTER TABLE e4.c OWNER TO other; CREATE VIEW e4.v AS SELECT n FROM e4.b; GRANT SELECT ON e4.b TO other`,
        says: [/e4\.b, e4\.v.*: a superuser's here, and of the database's owner after a restore$/],
        leaves: [BELONGS],
        holds:
          "SELECT string_agg(relname || relowner::regrole, ',' ORDER BY relname) = 'aapp,bapp,cother,vapp' FROM pg_class WHERE relnamespace = 'e4'::regnamespace",
      },
      {
        name: "a foreign server, its table, and a view of that",
        sql: `CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO app; CREATE SCHEMA e5 AUTHORIZATION app; SET ROLE app;
          CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE USER MAPPING FOR app SERVER far OPTIONS (password 'never-told');
          CREATE FOREIGN TABLE e5.f (a int) SERVER far; CREATE VIEW e5.v AS SELECT a FROM e5.f; GRANT SELECT ON e5.v TO other; CREATE TABLE e5.mine (a int)`,
        says: [/^the rows of 1 foreign tables lie elsewhere/, /^foreign servers and wrappers far: /],
        leaves: [
          /: SERVER - far app \(permission denied for foreign-data wrapper/,
          /: FOREIGN TABLE e5 f app \(server "far" does not exist\)/,
          /: USER MAPPING - USER MAPPING app SERVER far/,
          /: VIEW e5 v app \(relation "e5\.f" does not exist/,
          /: ACL e5 TABLE v app \(relation "e5\.v" does not exist/,
          /: ACL - FOREIGN DATA WRAPPER postgres_fdw postgres \(permission denied/,
        ],
      },
      {
        name: "casts and functions that only a superuser may make",
        sql: `CREATE SCHEMA e6; CREATE CAST (text AS bytea) WITHOUT FUNCTION; CREATE FUNCTION e6.c_fn(int) RETURNS int LANGUAGE internal AS 'int4abs'; CREATE TABLE e6.t (a int)`,
        says: [
          /^casts text AS bytea: only a superuser/,
          /^functions e6\.c_fn\(integer\) in a language that is not trusted/,
        ],
        leaves: [
          /: CAST - CAST \(text AS bytea\).*\(must be owner of type text or type bytea/,
          /: FUNCTION e6 c_fn\(integer\) postgres \(permission denied for language internal\)/,
        ],
      },
      {
        name: "privileges granted by another than the owner",
        sql: `SET ROLE app; CREATE SCHEMA e7; GRANT USAGE ON SCHEMA e7 TO other; CREATE TABLE e7.t (a int); GRANT SELECT ON e7.t TO other WITH GRANT OPTION;
          RESET ROLE; SET ROLE other; GRANT SELECT ON e7.t TO reader`,
        says: [/^privileges on e7\.t were granted by another role than the owner/],
        leaves: [/: ACL e7 TABLE t app \(permission denied to set session authorization/],
      },
    ],
  },
  {
    name: "a base type, and a table that needs it",
    rows: [
      {
        name: "a base type, and a table that needs it",
        sql: `CREATE TYPE label; CREATE FUNCTION label_in(cstring) RETURNS label LANGUAGE internal IMMUTABLE STRICT AS 'textin';
          CREATE FUNCTION label_out(label) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
          CREATE TYPE label (INPUT = label_in, OUTPUT = label_out, LIKE = text); CREATE TABLE t (a label)`,
        says: [
          /untrusted|not trusted/,
          /^the base type public\.label: only a superuser/,
          /a superuser's here/,
        ],
      },
    ],
    refused:
      /cannot be loaded: TABLE public t postgres: type "public\.label" (does not exist|is only a shell)/,
  },
  {
    name: "settings: read only, clients that speak another encoding, and of roles",
    rows: [
      {
        name: "rows",
        sql: "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.x (a text primary key); INSERT INTO s.x VALUES ('ключ')",
        holds: "SELECT a = convert_from('\\xd0bad0bbd18ed187', 'UTF8') FROM s.x",
      },
      {
        name: "settings",
        sql: "SELECT",
        holds:
          "SELECT current_setting('default_transaction_read_only') = 'on' AND current_setting('client_encoding') = 'LATIN1'",
      },
    ],
    settings: `ALTER DATABASE @ SET client_encoding = 'LATIN1'; ALTER ROLE app SET client_encoding = 'LATIN1';
      ALTER DATABASE @ SET default_transaction_read_only = on; ALTER ROLE app IN DATABASE @ SET work_mem = '8MB'`,
  },
  {
    name: "a database without an encoding, and a setting that no server knows any more",
    encoding: "SQL_ASCII",
    rows: [
      {
        name: "bytes that are no text",
        sql: "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT E'\\xff\\xe4'::text AS a",
        holds: "SELECT textsend(a) = '\\xffe4' FROM s.t",
      },
      {
        name: "the settings that it knows",
        sql: "SELECT",
        leaves: [
          /^the setting gone_long_ago was not restored: .*unrecognized configuration parameter "gone_long_ago"/,
        ],
        holds: "SELECT current_setting('search_path') = 's'",
      },
    ],
    facts: {
      settings: [
        { role: null, name: "search_path", value: "s" },
        { role: null, name: "gone_long_ago", value: "on" },
      ],
    },
  },
];

let pg: Postgres;
let bench: Bench;
let drill: ScratchServer;
before(async () => {
  pg = await startPostgres();
  bench = await openBench();
  drill = await startScratchServer(bench.host, pg.bin);
  await pg.psql(
    "postgres",
    `CREATE ROLE app LOGIN; CREATE ROLE other; CREATE ROLE reader; SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''`,
  );
});
after(async () => {
  await drill[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
  await pg[Symbol.asyncDispose]();
});

describe("what is in the way of a restore", () => {
  for (const [nr, each] of CASES.entries()) {
    test(each.name, async (t) => {
      const database = `case_${nr}`;
      await pg.psql(
        "postgres",
        `CREATE DATABASE ${database} OWNER app TEMPLATE template0 ENCODING '${each.encoding ?? "UTF8"}' LC_COLLATE 'C' LC_CTYPE 'C'`,
      );
      for (const { sql } of each.rows) await pg.psql(database, sql);
      if (each.settings) await pg.psql("postgres", each.settings.replaceAll("@", database));
      const acls = await pg.psql(database, ACLS);
      try {
        const policy = pg.policyFor(database, { name: `case-${nr}-db` });
        const stored = await storeDatabase(policy, { facts: each.facts ?? {} });
        matchAll(stored.captured.sink.notes, all(each, "says"));
        await restored(stored, each, policy);
        const loaded = await drilled(stored, each);
        if (each.refused) return;
        await compared(t, "restore", { each, acls, ask: (sql) => pg.psql(database, sql) });
        await compared(t, "drill", { each, acls, ask: loaded });
      } finally {
        await pg.psql("postgres", "ALTER ROLE app RESET ALL");
      }
    });
  }
});

/** A subtest for each thing that holds afterwards. */
async function compared(
  t: TestContext,
  where: string,
  what: {
    readonly each: Case;
    readonly acls: string;
    readonly ask: (sql: string) => Promise<string>;
  },
): Promise<void> {
  const { each, acls, ask } = what;
  for (const { name, holds } of each.rows) {
    if (holds) await t.test(`${name}: ${where}`, async () => assert.equal(await ask(holds), "t"));
  }
  if (all(each, "leaves").length > 0) return;
  await t.test(`privileges: ${where}`, async () => assert.equal(await ask(ACLS), acls));
}

/** Of everything that has privileges, and whether they are the default ones. */
const ACLS = `SELECT * FROM (
  SELECT 'database', '', datacl::text FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT 'schema', nspname::text, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema'
  UNION ALL SELECT 'relation', oid::regclass::text, relacl::text FROM pg_class WHERE oid > 16383 AND relkind IN ('r', 'v', 'm', 'S') AND relnamespace <> 'pg_toast'::regnamespace
  UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid > 16383
  UNION ALL SELECT 'function', oid::regprocedure::text, proacl::text FROM pg_proc WHERE oid > 16383
  UNION ALL SELECT 'type', oid::regtype::text, typacl::text FROM pg_type WHERE oid > 16383 AND typcategory NOT IN ('A', 'C')
  UNION ALL SELECT 'default', defaclrole::regrole || ' ' || defaclnamespace::regnamespace || defaclobjtype::text, defaclacl::text FROM pg_default_acl
  UNION ALL SELECT 'large object', '', lomacl::text FROM pg_largeobject_metadata) AS acl (kind, name, acl) ORDER BY kind, name COLLATE "C", acl`;

function all(each: Case, what: "says" | "leaves" | "broken"): readonly RegExp[] {
  return each.rows.flatMap((row) => row[what] ?? []);
}

test("a drill of two databases of one policy proves the one, and says of the other what to mend", async () => {
  const sources: string[] = [];
  for (const [name, more] of [
    ["fine", ""],
    ["odd", "SET session_replication_role = replica; INSERT INTO s.c VALUES (1)"],
  ]) {
    await pg.psql("postgres", `CREATE DATABASE ${name} OWNER app`);
    await pg.psql(
      `${name}`,
      `SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.p (a int primary key); CREATE TABLE s.c (a int REFERENCES s.p); RESET ROLE; ${more}`,
    );
    sources.push(
      `  - { name: ${name}-db, kind: postgres, database: ${name}, run_as: ${pg.hostUser}, host: ${pg.socketDir}, port: ${pg.port}, user: postgres, bin: ${pg.bin} }`,
    );
  }
  await using rehearsal = await rehearse({ sources: `${sources.join("\n")}\n` });
  await rehearsal.night();
  const { book, verdict } = await drillNewest({ rehearsal, postgres: pg });
  const bad = book.checks.filter(({ outcome }) => outcome !== "passed");
  assert.deepEqual(
    [verdict, ...bad.map(({ id, outcome }) => `${id} ${outcome}`)],
    ["unproven", "odd-db/load failed"],
  );
  assert.match(bad[0]?.found ?? "", /^could not be made: FK CONSTRAINT s c c_a_fkey app/);
  assert.match(bad[0]?.hint ?? "", /docs\/postgres\.md, "What a restore leaves out"/);
  assert.ok(
    book.notes.some((note) => note.startsWith("odd-db: rows break the foreign keys c_a_fkey of s.c")),
  );
  for (const id of ["fine-db/rows", "odd-db/rows"])
    assert.equal(book.checks.find((check) => check.id === id)?.outcome, "passed");
});

/** The guided restore: it ends with the rows that were captured, or before anything is swapped with a hint that helps. */
async function restored(
  stored: StoredDatabase,
  row: Case,
  policy: Parameters<Bench["open"]>[1],
): Promise<void> {
  const replacement = bench.open(stored, policy);
  if (row.refused) {
    await assert.rejects(replacement.stage(how), (error) => isRefused(error, row.refused));
    return await replacement.discard(how);
  }
  const { notes } = await replacement.stage(how);
  matchAll(notes, [...all(row, "broken"), ...all(row, "leaves")]);
  assert.ok(!notes.join().includes("never-told"));
  assert.deepEqual(await replacement.check(how), []);
  await replacement.swap(how);
  await replacement.finish(how);
  assert.equal(await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'drops%'"), "");
}

/** The drill's loading says what the restore's does. Answers how to ask what it loaded. */
async function drilled({ captured }: StoredDatabase, row: Case): Promise<(sql: string) => Promise<string>> {
  const { server, scratch, sandbox } = drill;
  const { sink } = captured;
  const facts = { ...captured.facts, ...row.facts };
  const admin = scratchAdmin(server, facts);
  const roles = parseRolesFile(sink.bytes("roles.sql").toString());
  await makeRoles(admin, roles, facts, how);
  await makeDatabase(admin, facts, how);
  const directory = await scratch.makeFor(`${facts.database}.load`);
  const dump = join(directory, "database.dump");
  await writeFile(dump, sink.bytes("database.dump"));
  if (bench.host.user.uid === 0) await chown(dump, sandbox.user.uid, sandbox.user.gid);
  const loading = loadScratch(admin, facts, { directory, roles, jobs: 2 }, how);
  const client = server.client(scratchName(facts));
  const ask = async (sql: string) => {
    const argv = [
      "env",
      "-u",
      "PGCLIENTENCODING",
      ...client.argv("psql", ["-X", "-q", "-A", "-t", "-c", sql]),
    ];
    const told = await client.runAny(argv, { ...how, psql: true });
    assert.equal(told.exit, 0, told.stderr);
    return told.stdout.toString().trimEnd();
  };
  if (row.refused) {
    await assert.rejects(loading, (error) => isRefused(error, row.refused));
    return ask;
  }
  const { notes, broken } = await loading;
  matchAll(broken, all(row, "broken"));
  matchAll(notes, all(row, "leaves"));
  await using session = await PsqlSession.open(client, how);
  assert.deepEqual(differences(facts, await measureNow(session, { digest: digestOf(facts) })), []);
  assert.deepEqual(await privilegeDifferences(client, captured.facts.privileges ?? [], how), []);
  return ask;
}

function isRefused(error: unknown, says: RegExp | undefined): boolean {
  assert.ok(isFailure(error, "format/unsupported"), String(error));
  assert.match(error.message, says ?? /^$/);
  assert.match(error.hint ?? "", /docs\/postgres\.md.*--only/);
  return true;
}

/** Each line is one of these, and each of these is said. */
function matchAll(lines: readonly string[], patterns: readonly RegExp[]): void {
  const strangers = lines.filter((line) => !patterns.some((pattern) => pattern.test(line)));
  assert.deepEqual(strangers, []);
  for (const pattern of patterns)
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern} of\n${lines.join("\n")}`,
    );
}
