import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { quoteIdentifier, quoteLiteral } from "../../src/source/postgres/quote.ts";
import { dropSql, oidLiteral } from "../../src/source/postgres/restore/acts.ts";
import { connectionTo, replacementNames } from "../../src/source/postgres/restore/names.ts";
import { parseRolesFile } from "../../src/source/postgres/restore/roles-file.ts";
import { planRoles } from "../../src/source/postgres/restore/roles-sql.ts";
import { scramVerifier } from "../../src/source/postgres/restore/scram.ts";
import { parseToc, planLoading } from "../../src/source/postgres/restore/toc.ts";

test("names end in the run's digits, fit PostgreSQL, and tell databases apart", () => {
  assert.deepEqual(replacementNames("mautrix_slack", "20261124t003638-a1b2c3"), {
    staged: "mautrix_slack_drops_a1b2c3",
    kept: "mautrix_slack_before_a1b2c3",
    loader: "drops_loader_a1b2c3_76f195c9",
  });
  const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(name, name, (one, other) => {
      const [a, b] = [one, other].map((each) => replacementNames(each, "20261124t003638-a1b2c3"));
      const all = [a, b].flatMap((names) => Object.values(names ?? {}));
      for (const each of all) {
        assert.ok(Buffer.byteLength(each) <= 63, each);
        assert.ok(each.includes("_a1b2c3"));
      }
      assert.equal(new Set(all).size, one === other ? 3 : 6);
    }),
  );
  const long = `${"ä".repeat(31)}x`;
  assert.match(replacementNames(long, "r-a1b2c3").kept, /^ä{20}_[0-9a-f]{8}_before_a1b2c3$/);
  assert.equal(connectionTo("a'b\\c=d"), "dbname='a\\'b\\\\c=d'");
});

test("a roles.sql of pg_dumpall is understood, of old and new versions", () => {
  const file = parseRolesFile(`--
-- PostgreSQL database cluster dump
--
\\restrict abc
SET default_transaction_read_only = off;
SET standard_conforming_strings = on;
CREATE ROLE plain;
ALTER ROLE plain WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5 PASSWORD 'SCRAM-SHA-256$4096:a$b:c' VALID UNTIL '2030-01-01 00:00:00+00';
COMMENT ON ROLE plain IS E'it''s \\\\ a role; -- really';
CREATE ROLE "Odd ""Role""; --";
ALTER ROLE "Odd ""Role""; --" WITH SUPERUSER NOINHERIT CREATEROLE CREATEDB NOLOGIN REPLICATION BYPASSRLS;
--
-- User Config "plain"
--
ALTER ROLE plain SET search_path TO '$user', 'public';
ALTER ROLE plain SET work_mem TO '64MB';
ALTER ROLE plain SET "Custom".setting TO 'x = ''y''';
GRANT "Odd ""Role""; --" TO plain WITH ADMIN OPTION GRANTED BY postgres;
GRANT readers TO plain WITH ADMIN OPTION, INHERIT FALSE, SET TRUE GRANTED BY postgres;
GRANT readers TO plain WITH INHERIT TRUE GRANTED BY postgres;
GRANT a TO b;
\\unrestrict abc
`);
  assert.equal(file.ignored, 0);
  const [plain, odd] = file.roles;
  assert.deepEqual(plain, {
    name: "plain",
    attributes: new Set(["INHERIT", "LOGIN"]),
    powers: [],
    connectionLimit: 5,
    password: "SCRAM-SHA-256$4096:a$b:c",
    validUntil: "2030-01-01 00:00:00+00",
    comment: "it's \\ a role; -- really",
    settings: [
      { name: "search_path", values: ["$user", "public"] },
      { name: "work_mem", values: ["64MB"] },
      { name: "Custom.setting", values: ["x = 'y'"] },
    ],
  });
  assert.equal(odd?.name, 'Odd "Role"; --');
  assert.deepEqual(odd?.powers, ["SUPERUSER", "CREATEROLE", "REPLICATION", "BYPASSRLS"]);
  assert.deepEqual(odd?.attributes, new Set(["CREATEDB"]));
  assert.deepEqual(file.memberships, [
    { role: 'Odd "Role"; --', member: "plain", options: [{ name: "ADMIN", value: true }] },
    {
      role: "readers",
      member: "plain",
      options: [
        { name: "ADMIN", value: true },
        { name: "INHERIT", value: false },
        { name: "SET", value: true },
      ],
    },
    { role: "readers", member: "plain", options: [{ name: "INHERIT", value: true }] },
    { role: "a", member: "b", options: [] },
  ]);
});

test("whatever roles.sql holds, names and texts come out as they went in, and nothing else is made of it", () => {
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((each) => !each.includes("\0"));
  fc.assert(
    fc.property(text, text, text, (name, password, comment) => {
      const role = quoteIdentifier(name);
      const sql = `CREATE ROLE ${role};\nALTER ROLE ${role} WITH LOGIN PASSWORD ${quoteLiteral(password)};\nCOMMENT ON ROLE ${role} IS ${quoteLiteral(comment)};\n`;
      const file = parseRolesFile(sql);
      assert.equal(file.ignored, 0);
      assert.deepEqual(
        file.roles.map((each) => [each.name, each.password, each.comment]),
        [[name, password, comment]],
      );
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (anything) => {
      const rubbish = anything.replaceAll("\0", "");
      const { sql } = planRoles(parseRolesFile(`CREATE ROLE x;${rubbish}`), new Set());
      assert.doesNotMatch(sql.replaceAll(/'[0-9a-f]*'/g, ""), /SUPERUSER|PROGRAM|SYSTEM/); // all of it is in hex
    }),
  );
});

test("a roles.sql with a NUL is refused, and what is never closed makes nothing", () => {
  assert.throws(
    () => parseRolesFile("CREATE ROLE x;\nCOMMENT ON ROLE x IS 'a\0b';"),
    (error) => isFailure(error, "data/damaged"),
  );
  for (const quote of ["'", '"', "E'"]) {
    const { roles, ignored } = parseRolesFile(
      `COMMENT ON ROLE a IS ${quote}open; CREATE ROLE b; GRANT b TO c;`,
    );
    assert.deepEqual([roles, ignored], [[], 1]);
  }
});

test("a string of many megabytes is read", () => {
  const comment = "it''s ".repeat(3_000_000);
  const { roles, ignored } = parseRolesFile(`CREATE ROLE x;\nCOMMENT ON ROLE x IS '${comment}';\n`);
  assert.deepEqual([roles[0]?.comment?.length, ignored], [5 * 3_000_000, 0]);
});

describe("what roles.sql may not bring: each leaves a role without it, and is said", () => {
  const ROWS: readonly { readonly sql: string; readonly says: RegExp }[] = [
    { sql: "ALTER ROLE x WITH SUPERUSER;", says: /x was made without SUPERUSER/ },
    {
      sql: "ALTER ROLE x WITH CREATEROLE REPLICATION BYPASSRLS;",
      says: /CREATEROLE, REPLICATION, BYPASSRLS/,
    },
    { sql: "GRANT pg_execute_server_program TO x;", says: /not a member of pg_execute_server_program/ },
    {
      sql: "GRANT pg_write_server_files TO x WITH ADMIN OPTION;",
      says: /not a member of pg_write_server_files/,
    },
    { sql: "GRANT pg_signal_backend TO x GRANTED BY postgres;", says: /not a member of pg_signal_backend/ },
    { sql: "GRANT pg_checkpoint TO x;", says: /not a member of pg_checkpoint/ },
    { sql: "GRANT postgres TO x;", says: /not a member of postgres/ },
    { sql: "GRANT other_service TO x;", says: /not a member of other_service/ },
    {
      sql: "ALTER ROLE x SET session_preload_libraries TO '/tmp/x.so';",
      says: /session_preload_libraries of role x/,
    },
    { sql: "COPY (SELECT 1) TO PROGRAM 'id';", says: /^1 ignored$/ },
    { sql: "ALTER ROLE postgres WITH PASSWORD 'x';", says: /^1 ignored$/ },
    { sql: "ALTER ROLE x IN DATABASE d SET role TO postgres;", says: /^1 ignored$/ },
    { sql: "GRANT ALL ON SCHEMA pg_catalog TO x;", says: /^1 ignored$/ },
  ];
  for (const { sql, says } of ROWS) {
    test(sql, () => {
      const file = parseRolesFile(`CREATE ROLE x;\n${sql}\n`);
      const plan = planRoles(file, new Set(["postgres", "other_service"]));
      const [notes, made] = [
        [...plan.notes, ...(file.ignored > 0 ? [`${file.ignored} ignored`] : [])],
        decoded(plan.sql),
      ];
      assert.equal(notes.length, 1);
      assert.match(notes[0] ?? "", says);
      const inherit = sql.startsWith("ALTER ROLE x WITH") ? "NOINHERIT" : "INHERIT";
      const words = `NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS NOLOGIN ${inherit} NOCREATEDB`;
      assert.deepEqual(made, [[{ name: "x", sql: `CREATE ROLE "x" WITH ${words};` }], []]);
    });
  }
  /** The roles and the memberships that are made. */
  const decoded = (sql: string) =>
    Array.from(sql.matchAll(/decode\('([0-9a-f]*)', 'hex'\)/g), ([, hex = ""]) =>
      JSON.parse(Buffer.from(hex, "hex").toString()),
    );
});

test("the list of a dump is sorted by what may be loaded when", () => {
  const toc = parseToc(`;
; Archive created at 2026-11-24
;
2; 3079 16400 EXTENSION - hstore 
4321; 0 0 COMMENT - EXTENSION hstore 
6; 2615 16390 SCHEMA - s app owner
7; 2615 16391 SCHEMA - tools app owner
8; 2615 16392 SCHEMA - admin's admin
9; 2615 2200 SCHEMA - public pg_database_owner
215; 1259 16385 TABLE s odd EXTENSION - x owner
216; 1259 16386 TABLE s message app owner
217; 0 16386 TABLE DATA s message app owner
3300; 0 0 ACL s TABLE message app owner
3301; 826 16400 DEFAULT ACL s DEFAULT PRIVILEGES FOR TABLES admin
3302; 826 16401 DEFAULT ACL s DEFAULT PRIVILEGES FOR TABLES owner
3303; 6100 16402 SUBSCRIPTION - sub admin
3304; 0 16403 MATERIALIZED VIEW DATA s m pg_database_owner
3305; 3466 16404 EVENT TRIGGER - watch admin
`);
  const roles = new Map([
    ["owner", { superuser: false }],
    ["app owner", { superuser: false }],
    ["admin", { superuser: true }],
  ]);
  const all = (...ids: readonly string[]) => [{ ids, asDumped: true }];
  const extensions = ["tools", "admin's", "public", "app owner"].map((schema) => ({
    name: "x",
    version: "1",
    schema,
  }));
  assert.deepEqual(planLoading(toc, roles, { owner: "owner", extensions }), {
    schemas: all("6", "9"),
    definitions: all("215", "216"),
    rows: all("217"),
    last: all("3300", "3302", "3304"),
    owners: ["admin", "app owner", "owner"],
    extensions: ["hstore"],
    extensionSchemas: new Map([
      ["tools", "app owner"],
      ["admin's", undefined],
    ]),
    leftOut: [
      { id: "3301", what: "DEFAULT ACL s DEFAULT PRIVILEGES FOR TABLES admin", owner: "admin" },
      { id: "3303", what: "SUBSCRIPTION - sub admin", owner: "admin" },
      { id: "3305", what: "EVENT TRIGGER - watch admin", owner: "admin" },
    ],
  });
});

test("what a superuser owned is the loader's own, what others owned is theirs, in as few runs as the order allows", () => {
  const toc = parseToc(`1; 1 1 TABLE s a owner
2; 1 1 TABLE s b admin
3; 1 1 TABLE s c owner
4; 1 1 TABLE s d third
5; 1 1 TABLE s e owner
6; 1 1 DEFAULT s e n admin
7; 1 1 VIEW s f admin
8; 0 1 TABLE DATA s b admin
`);
  const roles = new Map([
    ["owner", { superuser: false }],
    ["third", { superuser: false }],
    ["admin", { superuser: true }],
  ]);
  const { definitions, rows, owners } = planLoading(toc, roles, { owner: "owner", extensions: [] });
  assert.deepEqual(definitions, [
    { ids: ["1", "2", "3"], asDumped: false },
    { ids: ["4", "5", "6"], asDumped: true },
    { ids: ["7"], asDumped: false },
  ]);
  assert.deepEqual(rows, [{ ids: ["8"], asDumped: false }]);
  assert.deepEqual(owners, ["admin", "owner", "third"]);
});

test("an object id is a number, and a name in an act stays a name", () => {
  for (const oid of ["", "1; DROP DATABASE x", "1e5", "-1", "99999999999"])
    assert.throws(() => oidLiteral(oid), RangeError);
  assert.match(dropSql("5", 'a"b'), /^DROP DATABASE "a""b";$/m);
});

test("a password's verifier is that of RFC 7677's example", () => {
  // "pencil", salt W22ZaJ0SNY7soEsUEjb6gQ==, 4096 rounds; the server signs the example's exchange with this key
  const verifier = scramVerifier("pencil", Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"));
  assert.equal(
    verifier,
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  );
});
