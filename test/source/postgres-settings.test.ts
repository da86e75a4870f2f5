import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { parseRolesFile } from "../../src/source/postgres/restore/roles-file.ts";
import { planRoles } from "../../src/source/postgres/restore/roles-sql.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { type Capture, capture } from "../support/postgres-captures.ts";

// What a database or a role has set changes neither a dump nor a digest, and stops no backup.

const run = promisify(execFile);

/** What could change the text of a value or a name, hide rows, or end a session; each with a value that is not the usual one. */
const SETTINGS: Readonly<Record<string, string>> = {
  client_encoding: "'LATIN1'",
  DateStyle: "'SQL, DMY'",
  IntervalStyle: "'sql_standard'",
  TimeZone: "'Asia/Tokyo'",
  extra_float_digits: "-15",
  bytea_output: "'escape'",
  search_path: "s, public",
  standard_conforming_strings: "off",
  escape_string_warning: "on",
  backslash_quote: "off",
  default_transaction_read_only: "on",
  default_transaction_isolation: "'serializable'",
  default_transaction_deferrable: "on",
  row_security: "on",
  lock_timeout: "'1s'",
  statement_timeout: "'1s'",
  idle_in_transaction_session_timeout: "'1s'",
  idle_session_timeout: "'1s'",
  xmlbinary: "'hex'",
  xmloption: "'document'",
  client_min_messages: "'debug1'",
  quote_all_identifiers: "on",
  lc_messages: "'C'",
  lc_monetary: "'C.UTF-8'",
  lc_numeric: "'C.UTF-8'",
  lc_time: "'C.UTF-8'",
  array_nulls: "off",
  transform_null_equals: "on",
  synchronize_seqscans: "off",
  default_toast_compression: "'pglz'",
  check_function_bodies: "off",
};

const PLACES: Readonly<Record<string, string>> = {
  "of the database": "ALTER DATABASE set",
  "of the role that captures": "ALTER ROLE postgres",
  "of that role in the database": "ALTER ROLE postgres IN DATABASE set",
};

let pg: Postgres;
let plain: Capture;
before(async () => {
  pg = await startPostgres();
  await pg.psql(
    "postgres",
    String.raw`CREATE ROLE "of a\b" VALID UNTIL '2027-03-04 05:06:07+00'; COMMENT ON ROLE "of a\b" IS 'a\b''c'; ALTER ROLE "of a\b" SET search_path = 'x\y'`,
  );
  await pg.psql(
    "postgres",
    "CREATE DATABASE set TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
  );
  await pg.psql(
    "set",
    String.raw`CREATE SCHEMA s; CREATE TYPE s.label AS ENUM ('one');
    CREATE TABLE s.t (a text DEFAULT 'a\b', b bytea, c timestamptz, d interval, e float8, f numeric, g date, h money, i regclass, j xml, k text[], l s.label);
    INSERT INTO s.t VALUES (E'ключ\\n\\\\', '\x00ff5c', '2026-03-04 05:06:07+00', '-1 mon 2 days -03:04:05', 0.1::float8 + 0.2, 1.50, '2026-03-04', '1234.5', 's.t', '<a/>', '{NULL,a}', 'one');
    CREATE VIEW s.v AS SELECT '\d+'::text AS pattern, interval '1 day 02:00' AS span, timestamptz '2026-01-02 03:04:05+00' AS at FROM s.t;
    CREATE FUNCTION s.f(a float8 DEFAULT 0.1) RETURNS interval LANGUAGE sql AS $$ SELECT interval '1 mon' $$;
    ALTER TABLE s.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
  );
  plain = await captured();
});
after(() => pg[Symbol.asyncDispose]());

function captured(): Promise<Capture> {
  return capture(pg.policyFor("set", { name: "set-db" }));
}

/** What a restore would do. */
async function statements({ sink }: Capture): Promise<string> {
  const restore = run(`${pg.bin}/pg_restore`, ["-f", "-"], { maxBuffer: 64 * 1024 * 1024 });
  restore.child.stdin?.end(sink.bytes("database.dump"));
  return (await restore).stdout
    .replace(/^-- (Started|Completed) on .*$/gm, "")
    .replace(/^\\(un)?restrict .*$/gm, "");
}

describe("settings change no dump and no digest", () => {
  for (const [place, alter] of Object.entries(PLACES)) {
    test(place, async () => {
      try {
        const all = Object.entries(SETTINGS).map(([name, value]) => `${alter} SET ${name} = ${value};`);
        await pg.psql("postgres", all.join("\n"));
        const set = await captured();
        assert.deepEqual(set.facts.tables, plain.facts.tables);
        assert.deepEqual(set.facts.sequences, plain.facts.sequences);
        assert.equal(await statements(set), await statements(plain));
        const planned = [set, plain].map(({ sink }) => {
          const file = parseRolesFile(sink.bytes("roles.sql").toString());
          return planRoles(file, new Set(["postgres"])).sql; // whose own settings differ
        });
        assert.equal(planned[0], planned[1]);
      } finally {
        await pg.psql("template1", `SET default_transaction_read_only = off; ${alter} RESET ALL`);
      }
    });
  }
});

test("role names that a database reads as other names are told", async () => {
  await pg.psql(
    "postgres",
    `SET client_encoding = 'UTF8'; CREATE ROLE "größe"; CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
  );
  const { sink } = await capture(pg.policyFor("latin"));
  assert.match(
    sink.notes.join("\n"),
    /^roles grÃ¶Ã.+e: their names are not ASCII and the database is not UTF8/,
  );
  assert.deepEqual((await captured()).sink.notes, plain.sink.notes);
});
