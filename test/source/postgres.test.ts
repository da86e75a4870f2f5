import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { databaseSql } from "../../src/source/postgres/database-sql.ts";
import { differences } from "../../src/source/postgres/measure.ts";
import { quoteIdentifier, quoteLiteral } from "../../src/source/postgres/quote.ts";
import { type Bridge, seedBridge } from "../support/bridge-database.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { capture, measured, restoreCapture } from "../support/postgres-captures.ts";
import { until } from "../support/until.ts";

let pg: Postgres;
before(async () => {
  pg = await startPostgres();
});
after(() => pg[Symbol.asyncDispose]());

describe("a database that is written to", () => {
  let bridge: Bridge;
  before(async () => {
    bridge = await seedBridge(pg);
  });

  for (const spool of [true, false]) {
    test(`${spool ? "spooled" : "streamed"}: the dump holds the rows that were counted, whatever came later`, async () => {
      await using _writer = await bridge.write();
      const before = await newest();
      const captured = await capture(pg.policyFor("bridge", { spool }), {
        between: () => written(before + 20),
      });
      const name = `scratch_${spool}`;
      await restoreCapture(pg, captured, name);
      assert.deepEqual(differences(captured.facts, await measured(pg, name)), []);
      assert.deepEqual(captured.facts.tables.map((table) => `${table.schema}.${table.name}`).slice(0, 4), [
        "public.database_owner",
        "public.emoji",
        "public.ghost",
        "public.kv_store",
      ]);
      // the live database went on, and the comparison notices
      const later = differences(captured.facts, await measured(pg, "bridge"));
      assert.ok(later.some((line) => line.startsWith("table public.message has ")));
      assert.ok(later.includes("table public.kv_store has other rows than captured"));
      assert.deepEqual(captured.sink.notes, []);
      assert.deepEqual(
        captured.sink.entries.map((entry) => [entry.path.toString(), entry.how, entry.mode]),
        [
          ["database.dump", "content", 0o600],
          ["database.sql", "content", 0o600],
          ["roles.sql", "content", 0o600],
        ],
      );
    });
  }

  const newest = async () =>
    Number(await pg.psql("bridge", "SELECT value FROM kv_store WHERE key = 'last_startup'"));
  const written = async (target: number) => {
    await until("the writer comes so far", async () => (await newest()) >= target);
  };
});

/** A column of every sort of value whose text depends on something. */
const TYPES = `
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE EXTENSION hstore;
CREATE TABLE types (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, t text, c char(5), b bytea, n numeric, f4 real, f8 double precision,
  ts timestamptz, tn timestamp, d date, tm time, tz timetz, iv interval, j json, jb jsonb, a int[], aa text[][], bo boolean,
  u uuid, i inet, m money, e mood, p pair, dom positive, r tstzrange, mr int4multirange, x xml, pt point, bits bit varying,
  reg regclass, fn regprocedure, vec tsvector, h hstore, g text GENERATED ALWAYS AS (upper(t)) STORED
);
CREATE FUNCTION row_of(n int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO types (t, c, b, n, f4, f8, ts, tn, d, tm, tz, iv, j, jb, a, aa, bo, u, i, m, e, p, dom, r, mr, x, pt, bits, reg, fn, vec, h)
  VALUES (E'line\\nline "quoted", \\\\ ☂ ' || n, 'ab', decode(md5(n::text), 'hex'), n / 7.0, n / 3.0::real, n / 3.0::float8,
    '2026-03-29 01:30:00+01'::timestamptz + n * interval '1 hour', '2026-01-31', '2026-02-03', '12:34:56.789', '12:00+02',
    make_interval(months => n, days => 2, secs => 3.5), '{"b":1,  "a":[1,2]}', jsonb_build_object('n', n, 'deep', '{"x": null}'::jsonb),
    ARRAY[n, NULL, 3], ARRAY[['a', 'b,"'], [NULL, '']], n % 2 = 0, md5(n::text)::uuid, '192.0.2.1/24', (1234.5 + n)::numeric::money,
    'ok', ROW(n, 'x "y"'), 7, tstzrange('2026-01-01 00:00+00', NULL), '{[1,3),[7,9)}', '<a>&amp;</a>', '(1.5,0.1)', B'1011',
    'types', 'row_of(int)', to_tsvector('simple', 'a fat cat ' || n), hstore('k', n::text))
$$;
SELECT row_of(n) FROM generate_series(1, 300) n;
INSERT INTO types DEFAULT VALUES;
INSERT INTO types (f4, f8, n, ts, d) VALUES ('NaN', '-Infinity', 'NaN', 'infinity', '-infinity'), ('-0', 1e-300, 1e100, NULL, '4713-01-01 BC');
INSERT INTO types (t, b) VALUES ('', ''), ('', '');
`;

describe("digests", () => {
  before(async () => {
    await pg.psql("postgres", "CREATE DATABASE digests");
    await pg.psql("digests", TYPES);
  });
  const digest = async () => (await measured(pg, "digests")).tables.find((table) => table.name === "types");

  test("survive a dump and a restore with every type of column", async () => {
    const captured = await capture(pg.policyFor("digests"));
    await restoreCapture(pg, captured, "digests_restored");
    assert.deepEqual(differences(captured.facts, await measured(pg, "digests_restored")), []);
    assert.match(
      captured.facts.tables.find((table) => table.name === "types")?.digest ?? "",
      /^v2:[0-9a-f]{32}$/,
    );
  });

  const SETTINGS: Readonly<Record<string, string>> = {
    TimeZone: "'Asia/Kolkata'",
    DateStyle: "'SQL, DMY'",
    IntervalStyle: "'sql_standard'",
    bytea_output: "'escape'",
    extra_float_digits: "-10",
    search_path: "pg_catalog",
    quote_all_identifiers: "on",
    standard_conforming_strings: "off",
    client_encoding: "'LATIN1'",
    enable_seqscan: "off",
    max_parallel_workers_per_gather: "4",
    default_transaction_isolation: "'serializable'",
    xmlbinary: "'hex'",
  };
  for (const [name, value] of Object.entries(SETTINGS)) {
    test(`do not depend on ${name}`, async () => {
      const usual = await digest();
      await pg.psql("postgres", `ALTER DATABASE digests SET ${name} TO ${value}`);
      try {
        assert.deepEqual(await digest(), usual);
      } finally {
        await pg.psql("postgres", `ALTER DATABASE digests RESET ${name}`);
      }
    });
  }

  test("do not depend on where rows lie, nor on dropped columns", async () => {
    const usual = await digest();
    await pg.psql("digests", "UPDATE types SET t = t WHERE id % 3 = 0");
    assert.deepEqual(await digest(), usual);
    await pg.psql("digests", "CREATE INDEX by_text ON types (md5(t), id)");
    await pg.psql("digests", "CLUSTER types USING by_text");
    assert.deepEqual(await digest(), usual);
    await pg.psql("digests", "VACUUM FULL types");
    assert.deepEqual(await digest(), usual);
    await pg.psql(
      "digests",
      "ALTER TABLE types ADD COLUMN gone int DEFAULT 5; ALTER TABLE types DROP COLUMN gone",
    );
    assert.deepEqual(await digest(), usual);
  });

  test("do not depend on the order of columns, which a dump changes in a child table", async () => {
    await pg.psql("postgres", "CREATE DATABASE inheriting");
    await pg.psql(
      "inheriting",
      `CREATE TABLE parent (a int); CREATE TABLE child (b text) INHERITS (parent); ALTER TABLE parent ADD COLUMN c int;
       INSERT INTO child (a, b, c) VALUES (1, 'x', 2); CREATE TABLE bare (); INSERT INTO bare SELECT FROM generate_series(1, 3)`,
    );
    const captured = await capture(pg.policyFor("inheriting"));
    const older = await measured(pg, "inheriting", "v1");
    await restoreCapture(pg, captured, "inheriting_restored");
    assert.deepEqual(differences(captured.facts, await measured(pg, "inheriting_restored")), []);
    assert.deepEqual(differences(older, await measured(pg, "inheriting_restored", "v1")), []);
    await pg.psql("inheriting_restored", "UPDATE child SET a = c, c = a");
    assert.deepEqual(differences(captured.facts, await measured(pg, "inheriting_restored")), [
      "table public.child has other rows than captured",
    ]);
  });

  const CHANGES: readonly string[] = [
    "UPDATE types SET f8 = f8 + 1e-16 WHERE id = 1",
    "UPDATE types SET b = b || '\\x00' WHERE id = 7",
    "UPDATE types SET t = NULL WHERE t = ''",
    "UPDATE types SET ts = ts + interval '1 microsecond' WHERE id = 9",
    "UPDATE types SET aa = ARRAY[['a', 'b,\"'], ['NULL', '']] WHERE id = 3",
    // each value is still there, in another row
    "UPDATE types SET n = (SELECT n FROM types s WHERE s.id = 11 - types.id) WHERE id IN (5, 6)",
  ];
  for (const [nr, change] of CHANGES.entries()) {
    test(`notice a change (${nr + 1}): ${change.slice(0, 60)}`, async () => {
      await pg.psql("postgres", "DROP DATABASE IF EXISTS changed; CREATE DATABASE changed TEMPLATE digests");
      const before = await measured(pg, "changed");
      await pg.psql("changed", change);
      assert.deepEqual(differences(before, await measured(pg, "changed")), [
        "table public.types has other rows than captured",
      ]);
    });
  }

  test("notice a change of a pair of equal rows, which would cancel each other in an XOR", async () => {
    await pg.psql("postgres", "CREATE DATABASE pairs");
    await pg.psql("pairs", "CREATE TABLE pairs AS SELECT i % 5 AS five FROM generate_series(1, 10) i");
    const before = await measured(pg, "pairs");
    await pg.psql("pairs", "UPDATE pairs SET five = 7 WHERE five = 0");
    assert.deepEqual(differences(before, await measured(pg, "pairs")), [
      "table public.pairs has other rows than captured",
    ]);
  });
});

test("every kind of relation is counted once, where its rows lie", async () => {
  await pg.psql("postgres", "CREATE DATABASE shapes");
  await pg.psql(
    "shapes",
    `
    CREATE SCHEMA "Odd ""schema""; --";
    CREATE TABLE "Odd ""schema""; --"."semi;colon \\ 'q' ☂" (t int, "t.*" text);
    INSERT INTO "Odd ""schema""; --"."semi;colon \\ 'q' ☂" VALUES (1, 'x'), (2, NULL);
    CREATE TABLE t (t text); INSERT INTO t VALUES ('a');
    CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
    CREATE TABLE empty (a int);
    CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
    INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 2), (3, 3);
    CREATE TABLE parts (a int) PARTITION BY RANGE (a);
    CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20);
    INSERT INTO parts VALUES (1), (2), (11);
    CREATE VIEW seen AS SELECT * FROM parts;
    CREATE MATERIALIZED VIEW kept AS SELECT * FROM parts;
    CREATE EXTENSION file_fdw;
    CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
    CREATE FOREIGN TABLE elsewhere (line text) SERVER files OPTIONS (filename '/nonexistent');
    CREATE UNLOGGED TABLE fleeting (a int); INSERT INTO fleeting VALUES (1);
    CREATE SEQUENCE counter; SELECT nextval('counter'), nextval('counter'); CREATE SEQUENCE fresh;
    SELECT lo_from_bytea(0, 'large'), lo_from_bytea(0, 'larger');
    `,
  );
  const captured = await capture(pg.policyFor("shapes"));
  const counted = Object.fromEntries(captured.facts.tables.map((table) => [table.name, table.rows]));
  assert.deepEqual(counted, {
    "semi;colon \\ 'q' ☂": "2",
    child: "2",
    empty: "0",
    fleeting: "1",
    nothing: "1",
    parent: "1",
    parts_high: "1",
    parts_low: "2",
    t: "1",
  });
  assert.deepEqual(
    captured.facts.uncounted.map(({ name, kind }) => [name, kind]),
    [
      ["elsewhere", "foreign"],
      ["kept", "materialized-view"],
      ["parts", "partitioned"],
    ],
  );
  assert.deepEqual(captured.facts.sequences, [
    { schema: "public", name: "counter", last_value: "2" },
    { schema: "public", name: "fresh", last_value: null },
  ]);
  assert.equal(captured.facts.large_objects, "2");
  assert.deepEqual(captured.sink.notes, [
    "the rows of 1 foreign tables lie elsewhere and are not in the dump",
    "foreign servers and wrappers files: only a superuser may make them, so a restore leaves them out, and fails where a table needs them",
  ]);
  await restoreCapture(pg, captured, "shapes_restored");
  const again = await measured(pg, "shapes_restored");
  assert.deepEqual(differences(captured.facts, again), []);

  await pg.psql("shapes_restored", "DROP TABLE t; CREATE TABLE more (); SELECT setval('counter', 1)");
  assert.deepEqual(differences(captured.facts, await measured(pg, "shapes_restored")), [
    "table public.t is missing",
    "table public.more was not captured",
    "sequence public.counter is at 1, behind 2",
  ]);
});

test("a dump stays in its database's encoding, whatever client_encoding its settings name", async () => {
  for (const [name, encoding, word] of [
    ["cyrillic", "UTF8", "'ключ'"],
    ["bytes", "SQL_ASCII", "E'\\xff\\xe4'"],
  ]) {
    await pg.psql(
      "postgres",
      `CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    await pg.psql(`${name}`, `CREATE TABLE t AS SELECT ${word}::text AS a`);
    await pg.psql("postgres", `ALTER DATABASE ${name} SET client_encoding = 'LATIN1'`);
    const captured = await capture(pg.policyFor(`${name}`));
    await restoreCapture(pg, captured, `${name}_restored`);
    assert.deepEqual(differences(captured.facts, await measured(pg, `${name}_restored`)), []);
  }
});

test("without digests tables are counted alone", async () => {
  await pg.psql("postgres", "CREATE DATABASE counted");
  await pg.psql("counted", "CREATE TABLE one AS SELECT generate_series(1, 5)");
  const { facts } = await capture(pg.policyFor("counted", { digests: false }));
  assert.deepEqual(facts.tables, [{ schema: "public", name: "one", rows: "5" }]);
  assert.equal(facts.digest_version, undefined);
});

test("database.sql makes the database again: encoding, owner, privileges, settings", async () => {
  await pg.psql("postgres", `CREATE ROLE "Odd Owner"; CREATE ROLE reader LOGIN; CREATE ROLE "semi;role"`);
  const database = "odd-Data$base";
  await pg.psql(
    "postgres",
    `CREATE DATABASE "${database}" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' OWNER "Odd Owner" CONNECTION LIMIT 17`,
  );
  await pg.psql(
    "postgres",
    `COMMENT ON DATABASE "${database}" IS ${quoteLiteral("it's a \\ comment;\nof two lines")};
     REVOKE ALL ON DATABASE "${database}" FROM PUBLIC;
     GRANT CONNECT ON DATABASE "${database}" TO reader WITH GRANT OPTION;
     GRANT TEMPORARY, CREATE ON DATABASE "${database}" TO "semi;role";
     ALTER DATABASE "${database}" SET search_path TO "$user", public, "Odd, schema", "a""b";
     ALTER DATABASE "${database}" SET TimeZone TO 'Europe/Berlin';
     ALTER DATABASE "${database}" SET DateStyle TO 'SQL, DMY';
     ALTER DATABASE "${database}" SET custom.setting TO 'it''s = odd';
     ALTER ROLE reader IN DATABASE "${database}" SET statement_timeout TO '5min';
     ALTER ROLE reader IN DATABASE "${database}" SET search_path TO '';`,
  );
  await pg.psql(database, "CREATE TABLE latin (t text); INSERT INTO latin VALUES (chr(233))");
  const captured = await capture(pg.policyFor(database));
  assert.equal(captured.facts.encoding, "LATIN1");
  assert.equal(captured.facts.settings.length, 6);

  await pg.psql("postgres", `DROP DATABASE "${database}"`);
  await restoreCapture(pg, captured);
  const again = await capture(pg.policyFor(database));
  const { size_bytes: _size, ...was } = captured.facts;
  const { size_bytes: _other, ...is } = again.facts;
  assert.deepEqual(is, was);
  assert.equal(again.sink.bytes("database.sql").toString(), captured.sink.bytes("database.sql").toString());
});

test("a database of another locale provider is made again", async () => {
  await pg.psql(
    "postgres",
    "CREATE DATABASE german TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-AT' LOCALE 'C.UTF-8'",
  );
  const captured = await capture(pg.policyFor("german"));
  assert.deepEqual([captured.facts.provider, captured.facts.locale], ["icu", "de-AT"]);
  await restoreCapture(pg, captured, "german_again");
  const again = await capture(pg.policyFor("german_again"));
  const { database: _name, size_bytes: _size, ...was } = captured.facts;
  const { database: _other, size_bytes: _bytes, ...is } = again.facts;
  assert.deepEqual(is, was);

  const builtin = {
    ...captured.facts,
    provider: "builtin",
    locale: "C.UTF-8",
    collate: "C",
    ctype: "C",
  } as const;
  assert.equal(
    databaseSql(builtin, 'a "b"').split("\n")[1],
    `CREATE DATABASE "a ""b""" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = builtin ` +
      "LC_COLLATE = 'C' LC_CTYPE = 'C' BUILTIN_LOCALE = 'C.UTF-8';",
  );
  const old = {
    ...builtin,
    provider: "libc",
    locale: null,
    server: { version: "13.4", version_num: "130004" },
  } as const;
  assert.equal(
    databaseSql(old, "x").split("\n")[1],
    `CREATE DATABASE "x" WITH TEMPLATE = template0 ENCODING = 'UTF8' LC_COLLATE = 'C' LC_CTYPE = 'C';`,
  );
});

test("quoted text comes back from the server as it was", async () => {
  const text = fc.string({ unit: "grapheme", minLength: 1 }).filter((value) => !value.includes("\0"));
  const odd = fc.stringMatching(/^['"\\a:;$ \n%-]{1,15}$/);
  const texts = fc.sample(fc.oneof(text, odd), { numRuns: 300, seed: 7 });
  for (const conforming of ["on", "off"]) {
    const answer = await pg.psql(
      "postgres",
      `SET standard_conforming_strings TO ${conforming}; SET escape_string_warning TO off;
       SELECT json_agg(t) FROM unnest(ARRAY[${texts.map(quoteLiteral).join(",")}]::text[]) t`,
    );
    assert.deepEqual(JSON.parse(answer), texts);
  }
  const names = texts.filter((value) => Buffer.byteLength(value) < 64);
  const columns = names.map(
    (name, nr) => `(SELECT to_json(x) FROM (SELECT ${nr} AS ${quoteIdentifier(name)}) x)`,
  );
  const named = JSON.parse(
    await pg.psql("postgres", `SELECT json_agg(j) FROM unnest(ARRAY[${columns.join(",")}]) j`),
  );
  assert.deepEqual(
    named,
    names.map((name, nr) => ({ [name]: nr })),
  );
});

test("default privileges stay the default, and none at all stay none", async () => {
  await pg.psql("postgres", "CREATE ROLE landlord");
  for (const name of ["plain_acl", "no_acl"])
    await pg.psql("postgres", `CREATE DATABASE ${name} OWNER landlord`);
  await pg.psql("postgres", "REVOKE ALL ON DATABASE no_acl FROM PUBLIC, landlord");
  const acl = (name: string) =>
    pg.psql("postgres", `SELECT datacl FROM pg_database WHERE datname = '${name}'`);
  for (const [name, expected] of [
    ["plain_acl", ""],
    ["no_acl", "{}"],
  ] as const) {
    const captured = await capture(pg.policyFor(name));
    await pg.psql("postgres", `DROP DATABASE ${name}`);
    await restoreCapture(pg, captured);
    assert.equal(await acl(name), expected);
  }
});

test("roles.sql makes the roles with their passwords, and says when it has none", async () => {
  await pg.psql(
    "postgres",
    "CREATE ROLE watcher LOGIN PASSWORD 'secret-of-watcher'; CREATE DATABASE watched",
  );
  await pg.psql("watched", "CREATE TABLE one AS SELECT 1; GRANT SELECT ON one TO watcher");
  const full = await capture(pg.policyFor("watched"));
  assert.match(full.sink.bytes("roles.sql").toString(), /ALTER ROLE watcher .*PASSWORD 'SCRAM-SHA-256\$/);
  assert.ok(full.facts.roles.includes("watcher"));
  const poor = await capture(pg.policyFor("watched", { user: "watcher" }));
  assert.match(poor.sink.bytes("roles.sql").toString(), /ALTER ROLE watcher /);
  assert.doesNotMatch(poor.sink.bytes("roles.sql").toString(), /PASSWORD/);
  assert.deepEqual(poor.sink.notes, [
    "roles.sql has no passwords, since the capturing role may not read them (use a superuser)",
  ]);
});

test("digests are frozen, and docs/postgres.md has their SQL", async () => {
  await pg.psql("postgres", "CREATE DATABASE frozen");
  await pg.psql(
    "frozen",
    `CREATE SCHEMA s;
     CREATE TABLE s.n AS SELECT i, 'row ' || i AS text, '2026-03-29 00:59:58+00'::timestamptz + i * interval '1 second' AS at,
       i / 3.0::float8 AS third, decode(md5(i::text), 'hex') AS bytes, NULLIF(i % 3, 0) AS some FROM generate_series(1, 100) i;
     CREATE TABLE s.empty (a int)`,
  );
  const rows = (version: string, n: string) => [
    { schema: "s", name: "empty", rows: "0", digest: `${version}:5feceb66ffc86f38d952786c6d696c79` },
    { schema: "s", name: "n", rows: "100", digest: `${version}:${n}` },
  ];
  assert.deepEqual(
    (await measured(pg, "frozen", "v1")).tables,
    rows("v1", "a345098fd5bde264ed02720ac7459e16"),
  );
  const { tables } = await measured(pg, "frozen");
  assert.deepEqual(tables, rows("v2", "e3c756cf164fa3c46421ed560f5f15cd"));
  const page = await readFile(new URL("../../docs/postgres.md", import.meta.url), "utf8");
  const sql = /```sql\n(.*?)```/s.exec(page)?.[1] ?? "";
  assert.equal(await pg.psql("frozen", sql), `100|${tables[1]?.digest}`);

  // every type, and every character that COPY escapes
  await pg.psql("postgres", "CREATE DATABASE frozen_types TEMPLATE digests");
  await pg.psql(
    "frozen_types",
    "INSERT INTO types (t, p) VALUES (E'\\b\\t\\n\\x0b\\f\\r\\\\ \\\\N', ROW(NULL, NULL)), ('\\N', NULL)",
  );
  const [types] = (await measured(pg, "frozen_types")).tables;
  assert.equal(
    await pg.psql("frozen_types", sql.replaceAll("s.n", "public.types")),
    `${types?.rows}|${types?.digest}`,
  );
});

test("another server gets it all back from the three entries alone", async () => {
  await seedBridge(pg, "moved", { messages: 300 });
  const captured = await capture(pg.policyFor("moved"));
  await using bare = await startPostgres();
  // "already exists" of the superuser is harmless
  await bare.psql("postgres", `\\set ON_ERROR_STOP off\n${captured.sink.bytes("roles.sql").toString()}`);
  await restoreCapture(bare, captured);
  assert.deepEqual(differences(captured.facts, await measured(bare, "moved")), []);
  const again = await capture(bare.policyFor("moved"));
  assert.equal(again.facts.owner, "moved_owner");
  assert.deepEqual(again.facts.roles, captured.facts.roles);
});
