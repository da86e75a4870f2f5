import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { checkService } from "../../src/guided/services/service-checks.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { replacementNames } from "../../src/source/postgres/restore/names.ts";
import { type Bench, databasesOf, openBench, RUN, storeDatabase } from "../support/database-restoring.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { until } from "../support/until.ts";

// Whoever could write into the database that was backed up has a say in its dump: functions, rules, defaults. Whoever could become
// its server's administrator has a say in roles.sql and facts too. Neither may become a superuser of the server restored onto.

const run = promisify(execFile);
const how = { signal: AbortSignal.timeout(3_600_000) };

let pg: Postgres;
let bench: Bench;
before(async () => {
  pg = await startPostgres();
  bench = await openBench();
  await pg.psql("postgres", "CREATE ROLE app LOGIN");
});
after(async () => {
  await bench[Symbol.asyncDispose]();
  await pg[Symbol.asyncDispose]();
});

/** A dump of a database that these statements were run in, by a superuser. */
async function dumpOf(name: string, sql: string): Promise<Buffer> {
  await pg.psql("postgres", `CREATE DATABASE ${name}_source OWNER app`);
  await pg.psql(`${name}_source`, sql);
  const args = ["-h", pg.socketDir, "-p", String(pg.port), "-U", "postgres", "-Fc", "-Z0", `${name}_source`];
  const { stdout } = await run(`${pg.bin}/pg_dump`, args, { encoding: "buffer" });
  await pg.psql("postgres", `DROP DATABASE ${name}_source`);
  return stdout;
}

/** Replace bytes by as many others: the archive's offsets stay right. */
function patched(dump: Buffer, from: string, to: string): Buffer {
  const text = dump.toString("latin1");
  assert.ok(text.includes(from), `the dump holds ${from}`);
  assert.ok(to.length <= from.length, `${to.length - from.length} too long`);
  return Buffer.from(text.replaceAll(from, to.padEnd(from.length, " ")), "latin1");
}

describe("a dump that tries to become a superuser", () => {
  const MARK = (nr: number) => join(pg.socketDir, `mark${nr}`); // where the server may write
  /** Room for a statement in the definition of a function, which pg_restore runs as it stands. */
  const FILL = "-".repeat(300);
  const ATTEMPTS: Readonly<Record<string, (nr: number) => string>> = {
    "COPY TO PROGRAM": (nr) => `COPY (SELECT 1) TO PROGRAM 'touch ${MARK(nr)}'`,
    "RESET ROLE before it": (nr) => `RESET ROLE; COPY (SELECT 1) TO PROGRAM 'touch ${MARK(nr)}'`,
    "SET SESSION AUTHORIZATION before it": (nr) =>
      `SET SESSION AUTHORIZATION postgres; COPY (SELECT 1) TO PROGRAM 'touch ${MARK(nr)}'`,
    "ALTER SYSTEM": () => "ALTER SYSTEM SET archive_command TO 'rubbish'",
    "ALTER ROLE … SUPERUSER": () => "ALTER ROLE app SUPERUSER",
    "a command of psql": (nr) => `SELECT 1; \n\\! touch ${MARK(nr)}\n`,
    "a file of the server": () => "SELECT pg_read_file('/etc/passwd')",
  };
  for (const [nr, [name, statement]] of Object.entries(ATTEMPTS).entries()) {
    test(name, async () => {
      const dump = await dumpOf(
        `hostile${nr}`,
        `SET ROLE app; CREATE SCHEMA s; CREATE FUNCTION s.f() RETURNS text LANGUAGE sql AS $$SELECT 'marker ${FILL}'$$;`,
      );
      const definition = /CREATE FUNCTION s\.f\(\).*?\$\$;\n/s.exec(dump.toString("latin1"))?.[0] ?? "";
      const database = `target${nr}`;
      await pg.psql("postgres", `CREATE DATABASE ${database} OWNER app`);
      const policy = pg.policyFor(database, { name: `target-${nr}` });
      const stored = await storeDatabase(policy, {
        files: { "database.dump": patched(dump, definition, `${statement(nr)};\n`) },
      });
      const before = await databasesOf(pg);
      const replacement = bench.open(stored, policy);
      const said = await replacement.stage(how).then(
        ({ notes }) => notes.join("\n"),
        (error: Error) => error.message,
      );
      assert.match(said, /FUNCTION s f\(\) app/);
      assert.equal(existsSync(MARK(nr)), false);
      await replacement.discard(how);
      assert.equal(await databasesOf(pg), before);
      assert.equal(await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolsuper"), "postgres");
      assert.equal(existsSync(join(pg.socketDir, "data", "postgresql.auto.conf")), true);
      assert.doesNotMatch(
        await readFile(join(pg.socketDir, "data", "postgresql.auto.conf"), "utf8"),
        /rubbish/,
      );
    });
  }

  test("a cast, an index function or a default that runs when the superuser looks", async () => {
    const mark = MARK(99);
    // evil() does harm only when it is run by a superuser
    const dump = await dumpOf(
      "looked_at",
      `SET ROLE app; CREATE SCHEMA s;
       CREATE FUNCTION s.evil(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
         IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
           EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch ${mark}''';
         END IF; RETURN $1; END $$;
       CREATE TABLE s.t (a text); INSERT INTO s.t SELECT n::text FROM generate_series(1, 200) n; CREATE INDEX ON s.t (s.evil(a));
       CREATE INDEX ON s.t ((s.evil('of a constant')));
       CREATE FUNCTION s.worse(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
         IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
           COPY (SELECT 1) TO PROGRAM 'touch ${mark}';
         END IF; RETURN $1; END $$;
       CREATE FUNCTION s.as_text(s.t) RETURNS text LANGUAGE sql AS $$ SELECT s.worse($1.a) $$;
       CREATE CAST (s.t AS text) WITH FUNCTION s.as_text(s.t);
       CREATE MATERIALIZED VIEW s.m AS SELECT s.evil(a) FROM s.t;`,
    );
    await pg.psql("postgres", "CREATE DATABASE looked_at OWNER app");
    const policy = pg.policyFor("looked_at", { name: "looked-at" });
    const replacement = bench.open(await storeDatabase(policy, { files: { "database.dump": dump } }), policy);
    await replacement.stage(how);
    await replacement.check(how);
    await replacement.swap(how);
    await replacement.check(how);
    assert.equal(existsSync(mark), false, "a function of the database was run by a superuser");
    await replacement.unswap(how);
    await replacement.discard(how);
  });
});

test("nobody puts anything beside an extension before it is made", async () => {
  await pg.psql("postgres", "CREATE DATABASE extended OWNER app");
  await pg.psql(
    "extended",
    "SET ROLE app; CREATE EXTENSION hstore; CREATE SCHEMA s; CREATE EXTENSION citext SCHEMA s",
  );
  const policy = pg.policyFor("extended", { name: "extended-db" });
  const replacement = bench.open(await storeDatabase(policy), policy);
  const staging = replacement.stage(how);
  const { staged } = replacementNames("extended", RUN);
  // as the owner, as soon as there is the database and it is let
  const beside = (schema: string) =>
    pg.psql(
      staged,
      `SET SESSION AUTHORIZATION app; CREATE FUNCTION ${schema}.beside() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT count(*) FROM pg_extension`,
    );
  let extensions = "";
  await until("the owner may make something", async () => {
    extensions = await Promise.any([beside("public"), beside("s")]).catch(() => "");
    return extensions !== "";
  });
  assert.equal(extensions, "3");
  await staging.catch(() => {}); // what the owner made may be in its way
  await replacement.discard(how);
});

describe("a policy's check of a restored database", () => {
  const mark = () => join(pg.socketDir, "mark-of-check");
  const CHECKS: readonly { readonly name: string; readonly sql: string; readonly says: RegExp }[] = [
    { name: "sees the rows that the owner sees", sql: "SELECT count(*) = 3 FROM t", says: /^true$/ },
    {
      name: "is no superuser's, nor can it become one's",
      sql: "SELECT NOT seized('SELECT 1') AND NOT seized('RESET ROLE') AND NOT seized('SET ROLE postgres') AND NOT seized('RESET SESSION AUTHORIZATION') AND NOT seized('SET SESSION AUTHORIZATION postgres')",
      says: /^true$/,
    },
    { name: "writes nothing", sql: "SELECT written() = 1", says: /read-only transaction/ },
    {
      name: "cannot make its transaction one that writes",
      sql: "SELECT set_config('transaction_read_only', 'off', false) IS NOT NULL AND written() = 1",
      says: /read-write mode must be set before any query|read-only transaction/,
    },
    { name: "must answer true", sql: "SELECT false", says: /^it answered "f" instead of true$/ },
    {
      name: "may answer what it likes, none of it is held in memory",
      sql: "SELECT repeat('x', 1000) FROM generate_series(1, 100000)",
      says: /more than \d+ bytes/,
    },
    { name: "has its time", sql: "SELECT pg_sleep(3600) IS NOT NULL", says: /took longer|statement timeout/ },
  ];

  before(async () => {
    await pg.psql("postgres", "CREATE DATABASE checked OWNER app");
    await pg.psql(
      "checked",
      `CREATE TABLE t AS SELECT generate_series(1, 3) AS n; ALTER TABLE t OWNER TO app; SET ROLE app; CREATE SCHEMA s; RESET ROLE;
       CREATE FUNCTION seized(first text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
         BEGIN EXECUTE first; EXCEPTION WHEN OTHERS THEN NULL; END;
         BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ' || quote_literal('touch ${mark()}'); EXCEPTION WHEN insufficient_privilege THEN NULL; END;
         RETURN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
       END $$;
       CREATE FUNCTION written() RETURNS int LANGUAGE sql AS $$ INSERT INTO t VALUES (4) RETURNING 1 $$;`,
    );
  });
  for (const { name, sql, says } of CHECKS) {
    test(name, async () => {
      const check = { name, source: "checked-db", sql };
      const limitMs = name === "has its time" ? 3000 : 60_000;
      const [found] = await checkService(
        bench.host,
        [check],
        [pg.policyFor("checked", { name: "checked-db" })],
        { ...how, limitMs },
      );
      assert.match(found?.found ?? "", says);
      assert.equal(found?.ok, says.test("true"));
      assert.equal(existsSync(mark()), false);
      assert.equal(await pg.psql("checked", "SELECT count(*) FROM t"), "3");
      assert.equal(
        await pg.psql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'drops%'"),
        "0",
      );
    });
  }

  test("of a superuser's database reads all of it as nobody in particular", async () => {
    await pg.psql("postgres", "CREATE DATABASE checked_super");
    await pg.psql("checked_super", "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS n");
    const sql =
      "SELECT count(*) = 1 AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) FROM s.t";
    const checks = [{ name: "all of it", source: "checked-db", sql }];
    const sources = [pg.policyFor("checked_super", { name: "checked-db" })];
    assert.deepEqual(await checkService(bench.host, checks, sources, how), [
      { name: "all of it", ok: true, found: "true" },
    ]);
  });
});

test("roles.sql is read, never run: no command, no superuser, no power over other roles", async () => {
  const mark = join(pg.socketDir, "mark-of-roles");
  await pg.psql("postgres", "CREATE DATABASE rolled OWNER app");
  const policy = pg.policyFor("rolled", { name: "rolled-db" });
  const roles = `
\\! touch ${mark}
CREATE ROLE evil; \\! touch ${mark}
ALTER ROLE evil WITH SUPERUSER INHERIT CREATEROLE LOGIN PASSWORD 'x''; ALTER ROLE app SUPERUSER; --';
ALTER ROLE app WITH SUPERUSER;
CREATE ROLE "a""; ALTER ROLE app SUPERUSER; --"; ALTER ROLE "a""; ALTER ROLE app SUPERUSER; --" WITH NOSUPERUSER;
COPY (SELECT 1) TO PROGRAM 'touch ${mark}';
ALTER ROLE evil SET session_preload_libraries TO '/tmp/evil.so';
GRANT postgres TO evil; GRANT pg_execute_server_program TO evil; GRANT evil TO app; GRANT app TO evil;
SELECT pg_read_file('/etc/passwd');
ALTER SYSTEM SET archive_command TO 'rubbish';
`;
  const stored = await storeDatabase(policy, {
    files: { "roles.sql": roles },
    facts: { settings: [{ role: null, name: "session_preload_libraries", value: "/tmp/evil.so" }] },
  });
  const replacement = bench.open(stored, policy);
  const { notes } = await replacement.stage(how);
  assert.equal(existsSync(mark), false);
  assert.equal(
    await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreaterole"),
    "postgres",
  );
  assert.equal(
    await pg.psql(
      "postgres",
      "SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE NOT roleid::regrole::text LIKE 'pg_%'",
    ),
    "",
  );
  assert.equal(await pg.psql("postgres", "SELECT count(*) FROM pg_db_role_setting"), "0");
  assert.deepEqual(notes, [
    "role evil was made without SUPERUSER, CREATEROLE, which it had: ALTER ROLE it if it must have that",
    "the setting session_preload_libraries of role evil, which loads code, was not restored",
    "role evil was made, but not a member of postgres: GRANT it by hand if it must be",
    "role evil was made, but not a member of pg_execute_server_program: GRANT it by hand if it must be",
    "role evil was made, but not a member of app: GRANT it by hand if it must be",
    "4 statements in roles.sql were ignored: they do not make roles",
    'made the roles a"; ALTER ROLE app SUPERUSER; --, evil',
    "the setting session_preload_libraries, which loads code, was not restored",
  ]);
  await replacement.discard(how);
  assert.equal(
    await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"),
    "app\npostgres",
  );
});

describe("objects of a superuser", () => {
  test("belong to the database's owner when that is a superuser, and were made by none", async () => {
    await pg.psql("postgres", "CREATE DATABASE of_super");
    await pg.psql(
      "of_super",
      "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS n; CREATE VIEW s.v AS SELECT current_user; GRANT SELECT ON s.t TO app",
    );
    const policy = pg.policyFor("of_super", { name: "of-super" });
    const replacement = bench.open(await storeDatabase(policy), policy);
    assert.deepEqual((await replacement.stage(how)).notes, []);
    await replacement.swap(how);
    assert.deepEqual(await replacement.check(how), []);
    assert.equal(
      await pg.psql(
        "of_super",
        "SELECT relname, relowner::regrole, relacl FROM pg_class WHERE relnamespace = 's'::regnamespace ORDER BY 1",
      ),
      "t|postgres|{postgres=arwdDxt/postgres,app=r/postgres}\nv|postgres|",
    );
    assert.equal(
      await pg.psql("postgres", "SELECT datdba::regrole FROM pg_database WHERE datname = 'of_super'"),
      "postgres",
    );
    await replacement.finish(how);
  });

  test("in a database of another role belong to that one, and a note says so", async () => {
    await pg.psql("postgres", "CREATE DATABASE mixed OWNER app; ");
    await pg.psql(
      "mixed",
      "CREATE TABLE by_admin (n int); SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.t (n int)",
    );
    const policy = pg.policyFor("mixed", { name: "mixed-db" });
    const replacement = bench.open(await storeDatabase(policy), policy);
    const { notes } = await replacement.stage(how);
    assert.deepEqual(notes, ["what belonged to the superuser postgres in mixed belongs to app now"]);
    assert.deepEqual(await replacement.check(how), []);
    await replacement.discard(how);
  });
});

describe("ways in for who loads the dump", () => {
  const hba = async (...lines: readonly string[]) => {
    await writeFile(join(pg.socketDir, "data", "pg_hba.conf"), `${lines.join("\n")}\n`);
    const loaded = () => pg.psql("postgres", "SELECT pg_conf_load_time()");
    const before = await loaded();
    await pg.psql("postgres", "SELECT pg_reload_conf()");
    await until("new sessions follow it", async () => (await loaded()) !== before);
  };
  const SUPER = "local all postgres trust";
  after(() => hba("local all all trust"));

  const cases = [
    {
      name: "as Debian and NixOS have it: a password over 127.0.0.1",
      lines: ["local all all peer", "host all all 127.0.0.1/32 scram-sha-256"],
      owner: "app",
    },
    { name: "the owner's own user of the host", lines: ["local all all peer"], owner: "nobody" },
    {
      name: "none: nothing is loaded, and it says what to do",
      lines: ["local all all reject"],
      owner: "app",
    },
  ];
  for (const [nr, { name, lines, owner }] of cases.entries()) {
    test(name, async () => {
      await hba("local all all trust");
      await pg.psql(
        "postgres",
        "DO $$ BEGIN CREATE ROLE nobody LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
      );
      const database = `way${nr}`;
      await pg.psql("postgres", `CREATE DATABASE ${database} OWNER ${owner}`);
      await pg.psql(
        database,
        `SET ROLE ${owner}; CREATE SCHEMA s; CREATE EXTENSION hstore SCHEMA s; CREATE TABLE s.t AS SELECT generate_series(1, 9) AS n`,
      );
      const policy = pg.policyFor(database, { name: database });
      const stored = await storeDatabase(policy);
      await hba(SUPER, ...lines);
      await using elsewhere = await scratchDirectory();
      const replacement = bench.open(stored, policy, {
        directory: `${bench.directory}-${elsewhere.path.slice(-6)}`,
      });
      const asked = { name: "rows", source: database, sql: "SELECT count(*) = 9 FROM s.t" };
      if (lines[0] === "local all all reject") {
        const advice = /^add "host all all 127\.0\.0\.1\/32 scram-sha-256" to pg_hba\.conf/;
        await assert.rejects(
          replacement.stage(how),
          (error) => isFailure(error, "source/failed") && advice.test(error.hint ?? ""),
        );
        const [checked] = await checkService(bench.host, [asked], [policy], how);
        assert.match(checked?.hint ?? "", advice);
        await replacement.discard(how);
        return;
      }
      assert.deepEqual((await replacement.stage(how)).notes, []);
      assert.deepEqual(await replacement.check(how), []);
      await replacement.swap(how);
      const [checked] = await checkService(bench.host, [asked], [policy], how);
      assert.deepEqual(checked, { name: "rows", ok: true, found: "true" });
      assert.equal(
        await pg.psql(
          database,
          "SELECT (SELECT relowner::regrole FROM pg_class WHERE oid = 's.t'::regclass), (SELECT extowner::regrole FROM pg_extension WHERE extname = 'hstore')",
        ),
        `${owner}|${owner}`,
      );
      await replacement.finish(how);
      assert.equal(
        await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE '%loader%'"),
        "",
      );
    });
  }
});
