import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Replacement, ReplacementState } from "../../src/guided/run/replacement.ts";
import { isFailure } from "../../src/lib/errors.ts";
import {
  type Bench,
  databasesOf,
  openBench,
  type StoredDatabase,
  storeDatabase,
} from "../support/database-restoring.ts";
import { failingHost, type Moment } from "../support/failing-host.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";

// Every verb is cut off at every command it gives the host, before and after the command did its work. What is in place must then be
// the old database or the new one, whole; and whoever comes next must be able to go on, and to go back.

const how = { signal: AbortSignal.timeout(3_600_000) };
/** What every cut leads to takes a second or two: some of the commands, unless all are asked for. */
const STEPS = process.env["DROPS_EVERY_KILL"] ? { stage: 1, others: 1 } : { stage: 7, others: 3 };
const NAME = "cut";

let pg: Postgres;
let bench: Bench;
let stored: StoredDatabase;
/** All databases before, and the one with its id. */
let asBefore: string;
let oid: string;

before(async () => {
  pg = await startPostgres();
  bench = await openBench();
  await pg.psql("postgres", "CREATE ROLE cut_owner LOGIN; CREATE ROLE cut_reader");
  await pg.psql("postgres", `CREATE DATABASE ${NAME} OWNER cut_owner`);
  await pg.psql(
    NAME,
    `SET ROLE cut_owner; CREATE SCHEMA s; CREATE EXTENSION hstore SCHEMA s;
    CREATE TABLE s.t AS SELECT generate_series(1, 10) AS n; GRANT SELECT ON s.t TO cut_reader`,
  );
  stored = await storeDatabase(pg.policyFor(NAME));
  // a role that is to be made, and an old database that differs in everything that is kept
  await pg.psql(NAME, "DROP SCHEMA s CASCADE; CREATE TABLE old_one (); DROP OWNED BY cut_reader");
  await pg.psql("postgres", `DROP ROLE cut_reader; ALTER DATABASE ${NAME} CONNECTION LIMIT 5`);
  asBefore = await databasesOf(pg);
  oid = await oidOf(NAME);
});
after(async () => {
  await bench[Symbol.asyncDispose]();
  await pg[Symbol.asyncDispose]();
});

const oidOf = (name: string) => pg.psql("postgres", `SELECT oid FROM pg_database WHERE datname = '${name}'`);
const open = (host = bench.host) => bench.open(stored, pg.policyFor(NAME), { host });

/** Fails unless exactly one of the two is in place, whole. Amid a swap nobody may enter it. */
async function inPlace(): Promise<"old" | "new"> {
  const isOld = (await oidOf(NAME)) === oid;
  const [sql, whole] = isOld
    ? ["SELECT count(*) FROM pg_class WHERE relname = 'old_one'", "1"]
    : ["SELECT count(*) FROM s.t", "10"];
  const answer = await pg.psql(NAME, sql).catch((error: Error) => error.message);
  assert.ok(answer === whole || /not currently accepting connections/.test(answer), answer);
  return isOld ? "old" : "new";
}

interface Case {
  readonly verb: "stage" | "swap" | "unswap" | "discard";
  /** Brings about where it begins, from wherever the last round ended. */
  readonly first: readonly ("stage" | "swap" | "unswap")[];
  /** States that may be found after it was cut off. */
  readonly between: readonly ReplacementState[];
  readonly expected: ReplacementState;
  readonly least: number;
}

const WORDS = {
  again: "the same again",
  back: "all of it is taken back",
  "in turns": "the one or the other",
};

const CASES: readonly Case[] = [
  { verb: "stage", first: [], between: ["untouched", "staging", "staged"], expected: "staged", least: 25 },
  { verb: "swap", first: ["stage"], between: ["staged", "swapped"], expected: "swapped", least: 6 },
  { verb: "unswap", first: ["stage", "swap"], between: ["swapped", "staged"], expected: "staged", least: 6 },
  {
    verb: "discard",
    first: ["stage"],
    between: ["staged", "staging", "untouched"],
    expected: "untouched",
    least: 6,
  },
];
const ROUNDS: readonly { readonly moment: Moment; readonly next: Next; readonly not?: Case["verb"] }[] = [
  { moment: "before", next: "again" },
  { moment: "after", next: "again", not: "stage" }, // its commands are many: in turns will do
  { moment: "after", next: "back", not: "stage" },
  { moment: "after", next: "in turns" },
];
type Next = "again" | "back" | "in turns";

for (const each of CASES) {
  describe(`${each.verb}, cut off at every command`, () => {
    for (const { moment, next, not } of ROUNDS) {
      if (not === each.verb || (next === "in turns" && each.verb !== "stage")) continue;
      test(`${moment} the command did its work; then ${WORDS[next]}`, async () => {
        const nextOf = (n: number) => (next === "in turns" ? (["again", "back"] as const)[n % 2] : next);
        const step = each.verb === "stage" ? STEPS.stage : STEPS.others;
        let n = 1;
        while (await cutOnce(each, n, moment, nextOf(n) ?? "again")) n += step;
        assert.ok(n > each.least, `${n - 1} commands`);
        await takeBack();
      });
    }
  });
}

/** False when the verb came to its end before its n-th command. */
async function cutOnce(what: Case, n: number, moment: Moment, next: "again" | "back"): Promise<boolean> {
  const { verb, first, between, expected } = what;
  for (const earlier of first) await open()[earlier](how);
  const lostAt = await cutOff(open, verb, n, moment);
  const where = `at command ${n}: ${lostAt?.join(" ").slice(0, 200)}`;
  const state = await open().state(how);
  if (lostAt) assert.ok(between.includes(state), `${state} ${where}`);
  await inPlace();
  if (next === "again") await goOn(verb, expected, where);
  if (next === "back" || verb === "stage") await takeBack(where);
  else if (verb === "swap") await open().unswap(how);
  if (verb !== "unswap" || next === "back") await asItWas(where);
  return lostAt !== undefined;
}

async function goOn(verb: Case["verb"], expected: ReplacementState, where: string): Promise<void> {
  await open()[verb](how);
  assert.equal(await open().state(how), expected, where);
  if (expected !== "untouched") assert.deepEqual(await open().check(how), [], where);
  assert.equal(await inPlace(), expected === "swapped" ? "new" : "old", where);
}

/** What `drops rollback` does. */
async function takeBack(where = ""): Promise<void> {
  if ((await open().state(how)) === "swapped") await open().unswap(how);
  await open().discard(how);
  assert.equal(await open().state(how), "untouched", where);
  assert.equal(await databasesOf(pg), asBefore, where);
  assert.equal(
    await pg.psql("postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE '%loader%'"),
    "",
    where,
  );
  await pg.psql("postgres", "DROP ROLE IF EXISTS cut_reader"); // stays when its id could not be noted
}

/** The old database is in place with all that can be seen of it, and may be entered. */
async function asItWas(where: string): Promise<void> {
  assert.equal(await inPlace(), "old", where);
  const rows = (await databasesOf(pg)).split("\n").filter((row) => !row.includes("_drops_"));
  assert.equal(rows.join("\n"), asBefore, where);
  assert.equal(await pg.psql(NAME, "SELECT 1"), "1", where);
}

describe("finish, cut off at every command", () => {
  for (const moment of ["before", "after"] as const) {
    test(`${moment} it did its work; then the same again`, async () => {
      for (let n = 1; ; n += STEPS.others) {
        await pg.psql("postgres", `DROP DATABASE IF EXISTS finish_me`);
        await pg.psql("postgres", `CREATE DATABASE finish_me OWNER cut_owner`);
        await pg.psql("postgres", `ALTER DATABASE finish_me IS_TEMPLATE true`);
        const policy = pg.policyFor("finish_me", { name: "finish-me" });
        const directory = `${bench.directory}-finish-${moment}-${n}`;
        const reopen = (host = bench.host) =>
          bench.open(stored, policy, { host, directory, record: { ...stored.record } });
        await reopen().stage(how);
        await reopen().swap(how);
        const lostAt = await cutOff(reopen, "finish", n, moment);
        const state = await reopen().state(how);
        assert.ok(["swapped", "finished"].includes(state), state);
        assert.equal(await pg.psql("finish_me", "SELECT count(*) FROM s.t"), "10");
        await reopen().finish(how);
        assert.equal(await reopen().state(how), "finished");
        assert.deepEqual(await reopen().check(how), []);
        assert.doesNotMatch(await databasesOf(pg), /finish_me_/);
        if (!lostAt) break;
      }
      await pg.psql("postgres", `DROP DATABASE finish_me`);
    });
  }
});

/** Words of the command at which it was cut off; undefined when it has fewer commands. */
async function cutOff(
  openOn: (host: Bench["host"]) => Replacement,
  verb: Case["verb"] | "finish",
  n: number,
  moment: Moment,
): Promise<readonly string[] | undefined> {
  const host = failingHost(bench.host, n, moment);
  const lost = (error: unknown) => isFailure(error, "host/unreachable");
  try {
    await openOn(host)[verb](how);
  } catch (error) {
    if (!lost(error)) throw error;
  }
  return host.lostAt;
}
