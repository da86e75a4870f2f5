/**
 * recover.sh loads a database of a server that was broken into, whose owner of the signing key too wrote what he liked: into the
 * dump, roles.sql, database.sql and the facts. Nothing of it may run as the superuser who recovers, or as a user of the machine.
 */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { RunResult } from "../../src/backup/snapshot-run.ts";
import { forgeSnapshot } from "../support/forgery.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { type Capture, capture } from "../support/postgres-captures.ts";
import { type Recoverable, recoverable } from "../support/recoverable.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import type { Answer } from "../support/standard-tools.ts";
import { until } from "../support/until.ts";

describe("recover.sh --load-databases, of a hostile server", () => {
  const stack = new AsyncDisposableStack();
  let of: Recoverable;
  let base: RunResult;
  let source: Postgres;
  let target: Postgres;
  let honest: Capture;
  /** Where the server may write: a mark there is that of its user. */
  const mark = () => join(target.socketDir, "mark");
  /** Room for statements in the definition of a function, which pg_restore runs as it stands. */
  const FILL = "-".repeat(300);

  before(async () => {
    source = stack.use(await startPostgres());
    target = stack.use(await startPostgres());
    await target.psql("postgres", "CREATE ROLE bystander");
    await source.psql("postgres", "CREATE ROLE app LOGIN; CREATE DATABASE bridge OWNER app");
    await source.psql(
      "bridge",
      `SET ROLE app; CREATE TABLE t AS SELECT generate_series(1, 9) AS n;
       CREATE FUNCTION filled() RETURNS text LANGUAGE sql AS $$SELECT 'marker ${FILL}'$$;
       CREATE FUNCTION harm() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
         IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
           EXECUTE 'COPY (SELECT 1) TO PROGRAM ''cat > ${mark()}''';
         END IF; RETURN 1; END $$;
       CREATE FUNCTION evil(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.harm(); END $$;
       CREATE INDEX ON t ((evil(1)));`,
    );
    honest = await capture(source.policyFor("bridge"));
    const programs = ["psql", "pg_restore"].map((program) => join(source.bin, program));
    of = stack.use(
      await recoverable('  - { name: bridge-db, kind: command, argv: [echo, "@DIR@"] }\n', {
        "postgresql-client": programs,
        "util-linux": ["runuser"],
      }),
    );
    base = await of.rehearsal.night();
  });
  after(() => stack.disposeAsync());

  /** A snapshot of the database as the server would have it, and what becomes of it. */
  async function load(change: {
    readonly files?: Readonly<Record<string, string | Buffer>>;
    readonly facts?: Readonly<Record<string, unknown>>;
  }): Promise<Answer> {
    await using packed = await scratchDirectory();
    const entries: unknown[] = [];
    const names: string[] = [];
    for (const path of ["database.dump", "database.sql", "roles.sql"]) {
      const bytes = Buffer.from(change.files?.[path] ?? honest.sink.bytes(path));
      const name = hash("sha256", bytes, "hex");
      await writeFile(join(packed.path, name), bytes);
      names.push(name);
      const size = String(bytes.length);
      entries.push({
        path,
        type: "file",
        mode: "0600",
        uid: 0,
        gid: 0,
        mtime: "0",
        size,
        chunks: [[0, name, bytes.length]],
      });
    }
    const tar = await runTool("tar", "-C", packed.path, "-c", ...names);
    const facts = { ...JSON.parse(JSON.stringify(honest.facts)), ...change.facts };
    const forged = await forgeSnapshot(of.rehearsal, base.record, {
      source: "bridge-db",
      entries,
      packs: [tar],
      head: { kind: "postgres", facts },
    });
    return of.recover({
      snapshot: forged.record.id,
      out: of.newPath("out"),
      options: ["--load-databases", "--postgres-user", "postgres"],
      env: { PGHOST: target.socketDir, PGPORT: String(target.port), PGUSER: target.user },
    });
  }

  /** Nothing ran, nobody has power, nothing passing is left. */
  async function assertHarmless(): Promise<void> {
    assert.equal(existsSync(mark()), false, "something ran as the superuser");
    const strong =
      "SELECT rolname FROM pg_roles WHERE (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)";
    assert.equal(await target.psql("postgres", strong), "postgres");
    const members =
      "SELECT member::regrole FROM pg_auth_members WHERE roleid::regrole::text NOT LIKE 'pg_%' OR member > 16383";
    assert.equal(await target.psql("postgres", members), "");
    assert.equal(
      await target.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'drops%'"),
      "",
    );
  }
  /** Whatever became of it, the next one finds a server without it. */
  afterEach(async () => {
    await rm(mark(), { force: true });
    await target.psql("postgres", "ALTER ROLE bystander NOSUPERUSER; DROP DATABASE IF EXISTS bridge");
    const made =
      "SELECT 'DROP ROLE ' || quote_ident(rolname) FROM pg_roles WHERE oid > 16383 AND rolname <> 'bystander'";
    for (const drop of (await target.psql("postgres", made)).split("\n")) await target.psql("postgres", drop);
  });

  test("an honest one is loaded, and its traps do not spring when it is compared", async () => {
    const { exit, stdout, stderr } = await load({});
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /^loaded bridge-db into database bridge: 1 tables have the rows/m);
    assert.equal(
      await target.psql("postgres", "SELECT datdba::regrole FROM pg_database WHERE datname = 'bridge'"),
      "app",
    );
    assert.equal(existsSync(mark()), false);
    await target.psql("bridge", "SELECT count(*) FROM t");
    assert.equal(existsSync(mark()), true, "the trap was not armed");
    await rm(mark());
    await assertHarmless();
  });

  const SHELL = () => `\\! touch ${mark()}`;
  const LACKING: readonly (readonly [line: string, says: RegExp])[] = [
    [
      "ALTER ROLE x WITH SUPERUSER NOINHERIT CREATEROLE LOGIN REPLICATION BYPASSRLS;",
      /x was made without SUPERUSER/,
    ],
    ["GRANT pg_execute_server_program TO x;", /x was not made a member of pg_execute_server_program/],
    [
      "GRANT pg_write_server_files TO x WITH ADMIN OPTION GRANTED BY postgres;",
      /a member of pg_write_server_files/,
    ],
    ["GRANT pg_signal_backend TO x;", /a member of pg_signal_backend/],
    ["GRANT pg_checkpoint TO x;", /a member of pg_checkpoint/],
    ["GRANT postgres TO x;", /a member of postgres/],
    ["GRANT bystander TO x;", /a member of bystander/],
    [
      "ALTER ROLE x SET session_preload_libraries TO '/tmp/x.so';",
      /session_preload_libraries of role x was left out/,
    ],
  ];
  const IGNORED: readonly (() => string)[] = [
    () => `CREATE ROLE y; COPY (SELECT 1) TO PROGRAM 'touch ${mark()}';`,
    () => `CREATE ROLE y; ${SHELL()}`,
    SHELL,
    () => `SET a = b; ${SHELL()};`,
    () => `CREATE ROLE "z\\";`,
    () => 'CREATE ROLE "z" SUPERUSER;',
    () => "GRANT x TO bystander; ALTER ROLE bystander SUPERUSER;",
    () => "GRANT ALL ON SCHEMA pg_catalog TO x;",
    () => "ALTER ROLE bystander WITH SUPERUSER PASSWORD 'x';",
    () => "ALTER ROLE x WITH LOGIN PASSWORD 'x'' SUPERUSER --';",
    () => "ALTER ROLE x SET work_mem TO '1MB'; ALTER ROLE bystander SUPERUSER; --';",
    () => "ALTER SYSTEM SET archive_command TO 'rubbish';",
    () => "SELECT pg_read_file('/etc/passwd');",
  ];
  test("roles.sql is read, and brings nobody power over the server, over roles or over what is another role's", async () => {
    const lines = [
      ...["CREATE ROLE x;", ...LACKING.map(([line]) => line), ...IGNORED.map((line) => line())],
      ...[`-- a comment\r${SHELL()}\rCREATE ROLE y;`, "SET a = b;", "\\restrict abc", "\\unrestrict abc"],
      'CREATE ROLE "y"" SUPERUSER; --";',
    ];
    const roles = `${honest.sink.bytes("roles.sql").toString()}\n${lines.join("\n")}\n`;
    const { exit, stderr } = await load({ files: { "roles.sql": roles } });
    assert.equal(exit, 0, stderr);
    for (const [, says] of LACKING) assert.match(stderr, says);
    assert.match(
      stderr,
      new RegExp(`: ${IGNORED.length} statements in roles\\.sql were ignored: CREATE ROLE y; COPY`),
    );
    const made =
      "SELECT rolname, rolcanlogin, rolconfig FROM pg_roles WHERE oid > 16383 AND rolname <> 'bystander' ORDER BY 1";
    assert.equal(await target.psql("postgres", made), 'app|t|\nx|t|\ny" SUPERUSER; --|f|');
    await assertHarmless();
  });

  test("database.sql is not run", async () => {
    const { exit, stderr } = await load({
      files: { "database.sql": `${SHELL()}\nCREATE ROLE evil SUPERUSER;\n` },
      facts: { server: { version: `15.1\n${SHELL()}\n`, version_num: "150013" } },
    });
    assert.equal(exit, 0, stderr);
    await assertHarmless();
  });

  const FACTS: Readonly<Record<string, Record<string, unknown>>> = {
    "an owner that is a statement": { owner: `app"; ALTER ROLE app SUPERUSER; --` },
    "an owner of several lines": { owner: "app\n\\! id" },
    "an encoding that is a statement": { encoding: "UTF8'; ALTER ROLE app SUPERUSER; --" },
    "a version that is a statement": { server: { version: "15.1", version_num: "150013; DROP" } },
    "a locale with a command": { collate: "C\n\\! id" },
    "a provider that is a statement": { provider: "libc OWNER postgres; ALTER ROLE app SUPERUSER; --" },
    "a privilege that is none": {
      acl: [{ grantee: "app", privilege: "ALL ON SCHEMA public TO app; GRANT CREATE", grantable: false }],
    },
    "a setting that is a statement": {
      settings: [{ role: null, name: "a TO b; ALTER ROLE app SUPERUSER; --", value: "" }],
    },
    "a limit that is a statement": { connection_limit: "1; ALTER ROLE app SUPERUSER" },
    "an extension that is a statement": {
      extensions: [{ name: 'x"; ALTER ROLE app SUPERUSER; --', version: "1", schema: "public" }],
    },
    "a number of rows that is a statement": { tables: [{ schema: "public", name: "t", rows: "1; DROP" }] },
    "a sequence that is a statement": { sequences: [{ schema: "public", name: "s", last_value: "1; DROP" }] },
  };
  test("facts that mean more than they say are refused before anything is made", async () => {
    const [first = {}] = Object.values(FACTS);
    const { exit, stderr } = await load({ facts: first });
    assert.equal(exit, 1);
    assert.match(
      stderr,
      /the facts of bridge-db in the manifest are not those of a PostgreSQL database: nothing of it is loaded/,
    );
    assert.equal(await target.psql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'app'"), "0");
    await assertHarmless();
  });
  for (const [name, facts] of Object.entries(FACTS)) {
    test(`facts: ${name}`, async () => {
      const script = await readFile(of.script, "utf8");
      const [checking = ""] = /^# What jq needs to write SQL.*?(?=^# make_roles FILE)/ms.exec(script) ?? [];
      const verdict = async (head: object) => {
        const file = of.newPath("head");
        await writeFile(file, JSON.stringify(head));
        const { exit } = await of.tools.run(["bash", "-c", `${checking}\ncheck_facts "$1"`, "check", file], {
          cwd: of.scratch,
        });
        return exit;
      };
      assert.equal(await verdict({ facts: honest.facts }), 0);
      assert.equal(await verdict({ facts: { ...honest.facts, ...facts } }), 1);
    });
  }

  const STATEMENTS: Readonly<Record<string, { says: RegExp; exit: number; statement: () => string }>> = {
    "RESET ROLE before it": {
      exit: 0,
      says: /left out, or could not be made: FUNCTION public filled\(\) app: must be superuser .*to COPY/,
      statement: () => `RESET ROLE; COPY (SELECT 1) TO PROGRAM 'touch ${mark()}'`,
    },
    "SET SESSION AUTHORIZATION before it": {
      exit: 0,
      says: /left out, or could not be made: FUNCTION public filled\(\) app: permission denied to set session/,
      statement: () => `SET SESSION AUTHORIZATION postgres; COPY (SELECT 1) TO PROGRAM 'touch ${mark()}'`,
    },
    "a command of psql": {
      exit: 1,
      says: /the dump could not be loaded: fatal FUNCTION public filled\(\) app: syntax error/,
      statement: () => `SELECT 1; \n${SHELL()}\n`,
    },
  };
  for (const [name, { statement, says, exit: wanted }] of Object.entries(STATEMENTS)) {
    test(`a dump that tries ${name} does nothing by it, and it is told`, async () => {
      const dump = honest.sink.bytes("database.dump").toString("latin1");
      const definition = /CREATE FUNCTION public\.filled\(\).*?\$\$;\n/s.exec(dump)?.[0] ?? "";
      const hostile = `${statement()};\n`.padEnd(definition.length, " ");
      assert.equal(hostile.length, definition.length);
      const { exit, stderr } = await load({
        files: { "database.dump": Buffer.from(dump.replace(definition, hostile), "latin1") },
      });
      assert.equal(exit, wanted, stderr);
      assert.match(stderr, says);
      assert.equal(
        await target.psql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'bridge'"),
        exit === 0 ? "1" : "0",
      );
      await assertHarmless();
    });
  }

  test("what the guided restore leaves out is left out here too, and told", async () => {
    await source.psql("postgres", "CREATE DATABASE odd OWNER app");
    await source.psql(
      "odd",
      `CREATE FUNCTION noop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; ALTER FUNCTION noop() OWNER TO app;
       CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION noop(); CREATE PUBLICATION everything FOR ALL TABLES; ALTER PUBLICATION everything OWNER TO postgres;
       SET ROLE app; CREATE SCHEMA s; CREATE TABLE s.p (a int primary key); CREATE TABLE s.c (a int REFERENCES s.p); RESET ROLE;
       SET session_replication_role = replica; INSERT INTO s.c VALUES (1)`,
    );
    const odd = await capture(source.policyFor("odd"));
    const files = { "database.dump": odd.sink.bytes("database.dump") };
    const facts = JSON.parse(JSON.stringify({ ...odd.facts, database: "bridge" }));
    const { exit, stdout, stderr } = await load({ files, facts });
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /^loaded bridge-db into database bridge: 2 tables have the rows/m);
    assert.match(stderr, /could not be made: PUBLICATION - everything postgres: must be superuser/);
    assert.match(stderr, /could not be made: FK CONSTRAINT s c c_a_fkey app: insert or update on table/);
    assert.match(stderr, /1 things of database bridge were left out/);
    assert.equal(await target.psql("bridge", "SELECT count(*) FROM s.c"), "1");
    await assertHarmless();
  });

  test("where nobody but a superuser may log in, nothing is loaded, and it says what to add", async () => {
    const hba = async (lines: string) => {
      await writeFile(join(target.socketDir, "data", "pg_hba.conf"), `${lines}\n`);
      await target.psql("postgres", "SELECT pg_reload_conf()");
      const rules = "SELECT string_agg(auth_method, ',') FROM pg_hba_file_rules";
      const wanted = lines
        .split("\n")
        .map((line) => line.split(" ").at(-1))
        .join();
      await until("the rules are read", async () => (await target.psql("postgres", rules)) === wanted);
    };
    await hba("local all postgres trust\nlocal all all reject");
    const { exit, stderr } = await load({});
    await hba("local all all trust");
    assert.equal(exit, 1);
    assert.match(
      stderr,
      /nobody but a superuser can log in to bridge.*add "host all all 127\.0\.0\.1\/32 scram-sha-256" to pg_hba\.conf/s,
    );
    assert.equal(
      await target.psql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'bridge'"),
      "0",
    );
    await assertHarmless();
  });
});
