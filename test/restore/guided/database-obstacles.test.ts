import assert from "node:assert/strict";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  loadScratch,
  makeDatabase,
  makeRoles,
  scratchAdmin,
  scratchName,
} from "../../../src/drill/load-dump.ts";
import { isFailure } from "../../../src/lib/errors.ts";
import type { PostgresFacts } from "../../../src/source/postgres/facts.ts";
import { differences, measureNow } from "../../../src/source/postgres/measure.ts";
import { parseRolesFile } from "../../../src/source/postgres/restore/roles-file.ts";
import { digestOf } from "../../../src/source/postgres/row-digest.ts";
import { PsqlSession } from "../../../src/source/postgres/session.ts";
import {
  type Bench,
  openBench,
  type StoredDatabase,
  storeDatabase,
} from "../../support/database-restoring.ts";
import { drillNewest } from "../../support/drillable.ts";
import { type Postgres, startPostgres } from "../../support/postgres.ts";
import { rehearse } from "../../support/rehearsal.ts";
import { type ScratchServer, startScratchServer } from "../../support/scratch-server.ts";

// What a role that is no superuser cannot load: told when it is backed up, the same in a drill and in a restore, and never an error
// whose hint does not help.

const how = { signal: AbortSignal.timeout(1_800_000) };

interface Row {
  readonly name: string;
  /** Run by a superuser in a database that belongs to `app`. */
  readonly sql: string;
  /** Run afterwards, in the database `postgres`; `@` stands for the database's name. */
  readonly settings?: string;
  readonly encoding?: string;
  /** What the snapshot says instead. */
  readonly facts?: Partial<PostgresFacts>;
  /** Notes of the backup. */
  readonly says?: readonly RegExp[];
  /** Notes of the drill and of the restore. */
  readonly leaves?: readonly RegExp[];
  /** What the drill fails with, and the restore tells of. */
  readonly broken?: readonly RegExp[];
  /** What drill and restore end with: there is no loading it. */
  readonly refused?: RegExp;
  /** Must be true in what was restored. */
  readonly holds?: string;
}

const ROWS: readonly Row[] = [
  {
    name: "nothing in the way",
    sql: "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT generate_series(1, 9) AS n",
  },
  {
    name: "a child table with columns in another order",
    sql: `SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.parent (a int); CREATE TABLE s.child (b text) INHERITS (s.parent);
      ALTER TABLE s.parent ADD COLUMN c int; INSERT INTO s.child (a, b, c) VALUES (1, 'x', 2)`,
    holds: "SELECT (a, b, c) = (1, 'x', 2) FROM s.child",
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
    name: "an event trigger",
    sql: `CREATE TABLE x (a int); CREATE FUNCTION noop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
      CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION noop()`,
    says: [
      /^event triggers et: a restore leaves them out/,
      /^public\.noop\(\), public\.x: a superuser's here/,
    ],
    leaves: [
      /belonged to the superuser postgres/,
      /^left out.*: EVENT TRIGGER - et postgres, entry \d+ of the dump$/,
    ],
  },
  {
    name: "a setting that makes everything read only",
    sql: "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.x (a int primary key); INSERT INTO s.x VALUES (1)",
    settings:
      "ALTER DATABASE @ SET default_transaction_read_only = on; ALTER ROLE app IN DATABASE @ SET work_mem = '8MB'",
    holds: "SELECT current_setting('default_transaction_read_only') = 'on'",
  },
  {
    name: "rows that break a foreign key",
    sql: `SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.p (a int primary key); CREATE TABLE s.c (a int REFERENCES s.p);
      CREATE TABLE s.fine (a int REFERENCES s.p); RESET ROLE; SET session_replication_role = replica; INSERT INTO s.c VALUES (1)`,
    says: [/^rows break the foreign keys c_a_fkey of s\.c: /],
    broken: [
      /^could not be made: FK CONSTRAINT s c c_a_fkey app \(insert or update on table "c" violates foreign key/,
    ],
    holds: "SELECT count(*) = 1 FROM s.c",
  },
  {
    name: "publications of all tables",
    sql: `SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.x (a int); CREATE PUBLICATION one_of_them FOR TABLE s.x; RESET ROLE;
      CREATE PUBLICATION everything FOR ALL TABLES`,
    says: [/^publications everything of all tables or of a schema: /],
    leaves: [
      /belonged to the superuser postgres/,
      /^left out.*: PUBLICATION - everything postgres \(must be superuser/,
    ],
    holds: "SELECT string_agg(pubname, ',') = 'one_of_them' FROM pg_publication",
  },
  {
    name: "another owner's table in the schema public",
    sql: "CREATE TABLE x (a int); ALTER TABLE x OWNER TO other; INSERT INTO x VALUES (1)",
    holds: "SELECT tableowner = 'other' FROM pg_tables WHERE tablename = 'x'",
  },
  {
    name: "another owner's schema",
    sql: "CREATE SCHEMA priv AUTHORIZATION other; CREATE TABLE priv.x (a int); ALTER TABLE priv.x OWNER TO other; INSERT INTO priv.x VALUES (1)",
    holds: "SELECT nspowner = 'other'::regrole FROM pg_namespace WHERE nspname = 'priv'",
  },
  {
    name: "objects of three owners, one of them a superuser",
    sql: `CREATE SCHEMA s; CREATE TABLE s.a (n int); ALTER TABLE s.a OWNER TO app; CREATE TABLE s.b AS SELECT 1 AS n;
      CREATE TABLE s.c (n int); ALTER TABLE s.c OWNER TO other; CREATE VIEW s.v AS SELECT n FROM s.b; GRANT SELECT ON s.b TO other`,
    says: [/^s\.b, s\.v: a superuser's here, and of the database's owner after a restore$/],
    leaves: [/^what belonged to the superuser postgres in row_\d+ belongs to app now$/],
    holds:
      "SELECT string_agg(relname || relowner::regrole, ',' ORDER BY relname) = 'aapp,bapp,cother,vapp' FROM pg_class WHERE relnamespace = 's'::regnamespace",
  },
  {
    name: "a database whose clients speak another encoding",
    sql: "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 'ключ'::text AS a",
    settings:
      "ALTER DATABASE @ SET client_encoding = 'LATIN1'; ALTER ROLE app SET client_encoding = 'LATIN1'",
    holds: "SELECT a = convert_from('\\xd0bad0bbd18ed187', 'UTF8') FROM s.t",
  },
  {
    name: "a database without an encoding",
    encoding: "SQL_ASCII",
    sql: "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT E'\\xff\\xe4'::text AS a",
    holds: "SELECT textsend(a) = '\\xffe4' FROM s.t",
  },
  {
    name: "a tablespace",
    sql: "CREATE TABLE t (a int) TABLESPACE elsewhere; ALTER TABLE t OWNER TO app; INSERT INTO t VALUES (1)",
    says: [/^tablespaces elsewhere are not made by a restore/],
    holds: "SELECT reltablespace = 0 FROM pg_class WHERE relname = 't'",
  },
  {
    name: "a foreign server, its table, and a view of that",
    sql: `CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO app; GRANT CREATE ON SCHEMA public TO app; SET ROLE app;
      CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE USER MAPPING FOR app SERVER far OPTIONS (password 'never-told');
      CREATE FOREIGN TABLE f (a int) SERVER far; CREATE VIEW v AS SELECT a FROM f; CREATE TABLE mine (a int)`,
    says: [/^the rows of 1 foreign tables lie elsewhere/, /^foreign servers and wrappers far: /],
    leaves: [
      /: SERVER - far app \(permission denied for foreign-data wrapper/,
      /: FOREIGN TABLE public f app \(server "far" does not exist\)/,
      /: USER MAPPING - USER MAPPING app SERVER far/,
      /: VIEW public v app \(relation "public\.f" does not exist/,
      /: ACL - FOREIGN DATA WRAPPER postgres_fdw postgres \(permission denied/,
    ],
  },
  {
    name: "casts and functions that only a superuser may make",
    sql: `CREATE CAST (text AS bytea) WITHOUT FUNCTION; CREATE FUNCTION c_fn(int) RETURNS int LANGUAGE internal AS 'int4abs'; CREATE TABLE t (a int)`,
    says: [
      /^casts text AS bytea: only a superuser/,
      /^functions public\.c_fn\(integer\) in a language that is not trusted/,
      /a superuser's here/,
    ],
    leaves: [
      /belonged to the superuser postgres/,
      /: CAST - CAST \(text AS bytea\).*\(must be owner of type text or type bytea/,
      /: FUNCTION public c_fn\(integer\) postgres \(permission denied for language internal\)/,
    ],
  },
  {
    name: "a base type, and a table that needs it",
    sql: `CREATE TYPE label; CREATE FUNCTION label_in(cstring) RETURNS label LANGUAGE internal IMMUTABLE STRICT AS 'textin';
      CREATE FUNCTION label_out(label) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
      CREATE TYPE label (INPUT = label_in, OUTPUT = label_out, LIKE = text); CREATE TABLE t (a label)`,
    says: [/untrusted|not trusted/, /^the base type public\.label: only a superuser/, /a superuser's here/],
    refused:
      /cannot be loaded: TABLE public t postgres: type "public\.label" (does not exist|is only a shell)/,
  },
  {
    name: "privileges granted by another than the owner",
    sql: `SET ROLE app; CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO other; CREATE TABLE s.t (a int); GRANT SELECT ON s.t TO other WITH GRANT OPTION;
      RESET ROLE; SET ROLE other; GRANT SELECT ON s.t TO reader`,
    says: [/^privileges on s\.t were granted by another role than the owner/],
    leaves: [/: ACL s TABLE t app \(permission denied to set session authorization/],
  },
  {
    name: "large objects, disabled triggers, row security, default privileges, comments and rules",
    sql: `SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t (a int CHECK (a > 0)); COMMENT ON TABLE s.t IS 'a table';
      CREATE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
      CREATE TRIGGER g BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.f(); ALTER TABLE s.t DISABLE TRIGGER g;
      INSERT INTO s.t VALUES (1), (99); CREATE POLICY p ON s.t USING (a < 10); ALTER TABLE s.t ENABLE ROW LEVEL SECURITY; ALTER TABLE s.t FORCE ROW LEVEL SECURITY;
      ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO other; SELECT lo_from_bytea(0, 'large');
      CREATE RULE r AS ON DELETE TO s.t DO INSTEAD NOTHING`,
    holds: "SELECT relforcerowsecurity FROM pg_class WHERE oid = 's.t'::regclass",
  },
  {
    name: "a setting that no server knows any more",
    sql: "SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t (a int)",
    facts: {
      settings: [
        { role: null, name: "search_path", value: "s" },
        { role: null, name: "gone_long_ago", value: "on" },
      ],
    },
    leaves: [
      /^the setting gone_long_ago was not restored: .*unrecognized configuration parameter "gone_long_ago"/,
    ],
    holds: "SELECT current_setting('search_path') = 's'",
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
  for (const [nr, row] of ROWS.entries()) {
    test(row.name, async () => {
      const database = `row_${nr}`;
      await pg.psql(
        "postgres",
        `CREATE DATABASE ${database} OWNER app TEMPLATE template0 ENCODING '${row.encoding ?? "UTF8"}' LC_COLLATE 'C' LC_CTYPE 'C'`,
      );
      await pg.psql(database, row.sql);
      if (row.settings) await pg.psql("postgres", row.settings.replaceAll("@", database));
      try {
        const policy = pg.policyFor(database, { name: `row-${nr}-db` });
        const stored = await storeDatabase(policy, { facts: row.facts ?? {} });
        matchAll(stored.captured.sink.notes, row.says ?? []);
        await restored(stored, row, policy);
        await drilled(stored, row);
      } finally {
        await pg.psql("postgres", "ALTER ROLE app RESET ALL");
      }
    });
  }
});

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
  row: Row,
  policy: Parameters<Bench["open"]>[1],
): Promise<void> {
  const replacement = bench.open(stored, policy);
  if (row.refused) {
    await assert.rejects(replacement.stage(how), (error) => isRefused(error, row.refused));
    return await replacement.discard(how);
  }
  const { notes } = await replacement.stage(how);
  matchAll(notes, [...(row.broken ?? []), ...(row.leaves ?? [])]);
  assert.ok(!notes.join().includes("never-told"));
  assert.deepEqual(await replacement.check(how), []);
  await replacement.swap(how);
  if (row.holds) assert.equal(await pg.psql(policy.database, row.holds), "t");
  await replacement.finish(how);
  assert.equal(await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'drops%'"), "");
}

/** The drill's loading says what the restore's does. */
async function drilled({ captured }: StoredDatabase, row: Row): Promise<void> {
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
  if (row.refused) return await assert.rejects(loading, (error) => isRefused(error, row.refused));
  const { notes, broken } = await loading;
  matchAll(broken, row.broken ?? []);
  matchAll(notes, row.leaves ?? []);
  await using session = await PsqlSession.open(server.client(scratchName(facts)), how);
  assert.deepEqual(differences(facts, await measureNow(session, { digest: digestOf(facts) })), []);
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
