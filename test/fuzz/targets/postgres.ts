import assert from "node:assert/strict";
import { checkedArchive } from "../../../src/source/postgres/archive.ts";
import { databaseSql } from "../../../src/source/postgres/database-sql.ts";
import { parsePostgresFacts } from "../../../src/source/postgres/facts.ts";
import { FramedOutput } from "../../../src/source/postgres/framed-output.ts";
import { linesOf } from "../../../src/source/postgres/lines.ts";
import { failuresIn } from "../../../src/source/postgres/restore/entry-failures.ts";
import { parseRolesFile } from "../../../src/source/postgres/restore/roles-file.ts";
import { planRoles } from "../../../src/source/postgres/restore/roles-sql.ts";
import { statementsOf } from "../../../src/source/postgres/restore/sql-tokens.ts";
import { parseToc, planLoading } from "../../../src/source/postgres/restore/toc.ts";
import { inPieces } from "../../support/answering-host.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { corpus } from "../inputs.ts";

const ROLES: FuzzTarget = {
  name: "roles",
  mayThrow: ["data/damaged"],
  seeds: () => [corpus("roles.sql")],
  words: [
    "CREATE ROLE x;\n",
    "COPY x TO PROGRAM 'id';",
    "E'\\'",
    '"a""b"',
    "\\! id\n",
    "'",
    '""',
    "$x$",
    "GRANT a TO b;",
  ],
  run(bytes) {
    const file = parseRolesFile(bytes.toString());
    for (const { name } of file.roles) assert.ok(name !== "", "every role has a name");
    const { sql, notes } = planRoles(file, new Map([["postgres", { superuser: true }]]));
    assert.ok(!/(^|\n)\s*\\/.test(withoutQuotes(sql)), "no command of psql outside of quotes");
    return sql.length + notes.join("").length;
  },
};

/** Statements that drops makes: every name and text in quotes. */
function withoutQuotes(sql: string): string {
  return sql.replaceAll(/"(?:[^"]|"")*"|'(?:[^'\\]|''|\\[\s\S])*'/g, "x");
}

const SQL: FuzzTarget = {
  name: "sql",
  mayThrow: [],
  seeds: () => [corpus("roles.sql"), Buffer.from(`E'a\\'b' "x""y" 'it''s' -- c\n\\! id\nword 12 $1;`)],
  words: ["E'\\'", '"a""b"', "\\! id\n", "'", '""', "''", "--", "e'\n", "\\'"],
  run(bytes) {
    let made = 0;
    for (const statement of statementsOf(bytes.toString()))
      for (const { text } of statement) made += 16 + text.length;
    return made;
  },
};

const TOC: FuzzTarget = {
  name: "toc",
  mayThrow: [],
  seeds: () => [corpus("toc")],
  words: ["5; 0 0 EXTENSION - x \n", "6; 1 2 SUBSCRIPTION - x y\n", " postgres\n", "; "],
  run(bytes) {
    const toc = parseToc(bytes.toString());
    const roles = ["postgres", "synapse", 'Odd "name"', "line\nbreak"];
    const known = new Map(roles.map((role) => [role, { superuser: role === "postgres" }]));
    const { schemas, definitions, rows, last, leftOut } = planLoading(toc, known, {
      owner: "synapse",
      extensions: [],
    });
    const runs = [...schemas, ...definitions, ...rows, ...last];
    for (const { ids } of runs) for (const id of ids) assert.match(id, /^\d+$/);
    return toc.reduce((sum, { what }) => sum + 64 + what.length, 0) + runs.length * 64 + leftOut.length * 64;
  },
};

const FAILURES: FuzzTarget = {
  name: "pg_restore-failures",
  mayThrow: [],
  seeds: () => [
    Buffer.from(
      'pg_restore: from TOC entry 5; 1 2 TABLE s t app\npg_restore: error: could not execute query: ERROR:  type "x" does not exist\nCommand was: CREATE TABLE\npg_restore: warning: errors ignored on restore: 1\n',
    ),
  ],
  words: [
    "pg_restore: from TOC entry 6; 1 2 \n",
    "pg_restore: error: ",
    "COPY failed for table",
    "permission denied",
    "\u202e",
  ],
  run(bytes) {
    const toc = parseToc("5; 1 2 TABLE s t app\n6; 1 2 FK CONSTRAINT s t k app");
    const found = failuresIn(bytes.toString(), toc, { tables: [], sequences: [] });
    const failures = [...found.refused, ...found.broken, ...found.fatal];
    for (const { error } of failures) assert.ok(error.length <= 300 && !/[\p{Cc}\p{Cf}]/u.test(error));
    return failures.length * 400 + found.other.join("").length;
  },
};

const ARCHIVE: FuzzTarget = {
  name: "archive",
  mayThrow: ["source/failed"],
  seeds: () => [corpus("dump-head")],
  words: ["PGDMP"],
  async run(bytes) {
    const passed: Uint8Array[] = [];
    for await (const piece of checkedArchive(inPieces(bytes), "pg_dump")) passed.push(piece);
    assert.ok(Buffer.concat(passed).equals(bytes), "bytes are passed on as they are");
    return bytes.length;
  },
};

const FACTS: FuzzTarget = {
  name: "postgres-facts",
  mayThrow: ["format/unsupported", "data/damaged"],
  refuses: (error) => error instanceof SyntaxError, // of JSON.parse, as in a manifest's first line
  seeds: () => [corpus("facts.json")],
  words: ["\\n\\\\! id\\n", '","', "\\u0000", "null", "'; COPY x TO PROGRAM 'id'; --", "/*", "*/"],
  run(bytes) {
    const facts = parsePostgresFacts(JSON.parse(bytes.toString()));
    const sql = databaseSql(facts);
    assert.ok(!/(^|\n)\s*\\/.test(withoutComments(sql)), "no command of psql outside of quotes");
    return sql.length;
  },
};

function withoutComments(sql: string): string {
  return withoutQuotes(sql).replaceAll(/^\\(set|connect|restrict|unrestrict)\b.*$/gm, "");
}

const FRAME = "drops-frame";

const ANSWERS: FuzzTarget = {
  name: "psql-answers",
  mayThrow: ["source/failed"],
  seeds: () => [Buffer.from(`{"rows":"1"}\n{"a":"ü\u2028"}\n\n${FRAME}\nrow\t\\N\n${FRAME}\n`)],
  words: [`${FRAME}\n`, `\n${FRAME}`, FRAME.slice(0, 6)],
  async run(bytes) {
    const output = new FramedOutput(inPieces(bytes), FRAME);
    const lines = (await output.lines()) ?? [];
    assert.ok(!lines.includes(FRAME));
    let made = lines.reduce((sum, line) => sum + 16 + line.length, 0);
    await output.rows((piece) => {
      made += piece.length;
    });
    return made;
  },
};

const LINES: FuzzTarget = {
  name: "script-lines",
  mayThrow: ["source/failed", "host/command-failed"],
  seeds: () => [Buffer.from('{"rows":"1"}\n{"a":"ü\u2028"}\n\ndrops-frame\n')],
  async run(bytes) {
    const lines = linesOf(inPieces(bytes));
    let made = 0;
    for (let line = await lines.next(); line !== undefined; line = await lines.next())
      made += 16 + line.length;
    return made;
  },
};

export const POSTGRES_TARGETS: readonly FuzzTarget[] = [
  ROLES,
  SQL,
  TOC,
  FAILURES,
  ARCHIVE,
  FACTS,
  ANSWERS,
  LINES,
];
