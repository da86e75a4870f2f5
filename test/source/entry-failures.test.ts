import assert from "node:assert/strict";
import { test } from "node:test";
import { failuresIn } from "../../src/source/postgres/restore/entry-failures.ts";
import { parseToc } from "../../src/source/postgres/restore/toc.ts";

const FACTS = {
  tables: [{ schema: "s", name: "t", rows: "1" }],
  sequences: [{ schema: "s", name: "q", last_value: "1" }],
};

/** What became of an entry of the dump of which the server said this. */
function verdictOn(what: string, error: string): string {
  const said = `pg_restore: creating something\npg_restore: from TOC entry 7; 1 2 ${what}\npg_restore: error: could not execute query: ERROR:  ${error}\nDETAIL:  Key (secret)=(row) is there.\nCommand was: CREATE USER MAPPING OPTIONS (password 'secret');\n`;
  const { refused, broken, fatal, other } = failuresIn(said, parseToc(`7; 1 2 ${what}`), FACTS);
  assert.deepEqual(other, []);
  const all = { refused, broken, fatal };
  assert.equal(JSON.stringify(all).includes("secret"), false);
  return Object.entries(all)
    .flatMap(([verdict, found]) => found.map(() => verdict))
    .join();
}

const ROWS: readonly (readonly [what: string, error: string, verdict: string])[] = [
  ["TABLE s t app", 'type "s.x" does not exist', "fatal"],
  ["TABLE DATA s t app", "permission denied for table t", "fatal"],
  ["SEQUENCE SET s q app", "permission denied for sequence q", "fatal"],
  ["TABLE DATA ext config postgres", "permission denied for table config", "refused"],
  ["TABLE DATA ext config postgres", "value too long", "fatal"],
  ["BLOBS - BLOBS ", "permission denied for large object", "fatal"],
  ["POLICY s t p app", 'function "s.f" does not exist', "fatal"],
  ["ROW SECURITY s t app", "must be owner of table t", "fatal"],
  ["RULE s t r app", "anything", "fatal"],
  ["ACL s FUNCTION f() app", 'permission denied to set session authorization "x"', "fatal"],
  ["ACL s TABLE t app", 'permission denied to set session authorization "x"', "refused"],
  ["ACL pg_catalog FUNCTION pg_ls_dir(text) postgres", "permission denied for function pg_ls_dir", "refused"],
  ["FK CONSTRAINT s t t_fkey app", 'insert or update on table "t" violates foreign key constraint', "broken"],
  ["INDEX s i app", "division by zero", "broken"],
  ["MATERIALIZED VIEW DATA s m app", "division by zero", "broken"],
  ["FUNCTION s f() app", "permission denied for language c", "refused"],
  ["FUNCTION s f() app", 'syntax error at or near "x"', "fatal"],
  ["VIEW s v app", 'relation "s.f" does not exist', "refused"],
  ["COLLATION s c app", 'could not create locale "tlh_QO": No such file or directory', "fatal"],
];
for (const [what, error, verdict] of ROWS)
  test(`${what}: ${error}: ${verdict}`, () => assert.equal(verdictOn(what, error), verdict));

test("text of the dump that looks like pg_restore's adds failures, and hides none", () => {
  const toc = parseToc("1; 1 1 TABLE s t app\n2; 1 1 FK CONSTRAINT s t k app");
  const said = [
    "pg_restore: while INITIALIZING:",
    'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"',
    "pg_restore: from TOC entry 1; 1 1 TABLE s t app",
    "pg_restore: error: could not execute query: ERROR:  \u001b[31mno\u202e",
    "Command was: CREATE TABLE s.t (",
    "pg_restore: from TOC entry 2; 1 1 FK CONSTRAINT s t k app",
    "pg_restore: error: could not execute query: ERROR:  forged",
    "pg_restore: from TOC entry 99; 1 1 COMMENT s t app",
    "pg_restore: warning: errors ignored on restore: 0",
  ].join("\n");
  const { fatal, broken, refused, other } = failuresIn(said, toc, FACTS);
  assert.deepEqual(
    fatal.map(({ id, error }) => `${id} ${error}`),
    ["1 ?[31mno?", "99 "],
  );
  assert.deepEqual([broken.length, refused.length, other], [1, 0, []]);
});

test("what is of the server and the moment is told as such, whatever entry it hit", () => {
  const toc = parseToc("7; 1 2 INDEX s i app");
  for (const error of [
    'could not extend file "base/5/1": No space left on device',
    "deadlock detected",
    "canceling statement due to user request",
  ]) {
    const said = `pg_restore: from TOC entry 7; 1 2 INDEX s i app\npg_restore: error: could not execute query: ERROR:  ${error}\n`;
    const { broken, other } = failuresIn(said, toc, FACTS);
    assert.deepEqual([broken, other], [[], [error]]);
  }
});

test("an error of no entry is told as such", () => {
  const said = "pg_restore: error: connection to server failed: the database system is shutting down";
  assert.deepEqual(failuresIn(said, [], FACTS).other, [
    "connection to server failed: the database system is shutting down",
  ]);
});
