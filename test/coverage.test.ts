import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { test } from "node:test";
import { Coverage } from "./support/coverage.ts";
import { quotedRooms } from "./support/quoted-coverage.ts";
import { scratchDirectory } from "./support/scratch.ts";

/** Rooms that decide and know nothing of hosts: their own quick tests take every branch. */
const PURE = "{retention,snapshot,chunk,trust}";
/** Long ones: servers, command lines, simulations of months. They find other faults, and take no branch that the rest leaves. */
const LONG = /\/(keeper|oracle|prune-commands|prune-faults|prune-model|prune|keep|revoked-roles)\.test\.ts$/;

/** Branches that no test takes, and why: `file: line of code: kind`. A short list; what can be tested is not in it. */
const WITHOUT: ReadonlyMap<string, string> = new Map([
  [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a line of code
    "src/snapshot/manifest-writer.ts: if (at !== before) throw new Error(`${at} entries are held instead of ${before}`);: if",
    "the writer has lost count of its own lines: a bug of this very class, which no caller can bring about",
  ],
]);

/** What opens stores and keys for a verb, or turns its result into a report: tested through the command line, not here. */
const USE_CASES = [
  ...["context", "keeper-run", "policy-locks", "prune-report", "report", "retention"].map(
    (name) => `retention/${name}`,
  ),
  ...["snapshot/recall", "trust/evidence-signer", "trust/signers-given"],
].map((name) => `src/${name}.ts`);

const scratch = await scratchDirectory();
const coverage = new Coverage(globSync(`src/${PURE}/**/*.ts`).filter((file) => !USE_CASES.includes(file)));
const files = globSync(`test/${PURE}/*.test.ts`).filter((file) => !LONG.test(file));
const { NODE_COMPILE_CACHE: _less, NODE_TEST_CONTEXT: _ours, ...env } = process.env;
const argv = [
  "--import=./test/support/fixed-seed.ts",
  "--test",
  "--test-isolation=none",
  "--test-reporter=dot",
  ...files,
];
const ran = spawnSync(process.execPath, argv, {
  env: { ...env, NODE_V8_COVERAGE: scratch.path },
  encoding: "utf8",
});
await coverage.takeFrom(scratch.path);
await scratch[Symbol.asyncDispose]();

test("the quick tests of the pure rooms take every branch of theirs, but for those that are named with a reason", () => {
  assert.ok(files.length > 15, `${files.length} files`);
  assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);
  const without = coverage.uncovered().map(({ file, text, kind }) => `${file}: ${text}: ${kind}`);
  assert.deepEqual(without.sort(), [...WITHOUT.keys()].sort());
});

test("docs/coverage.md quotes the figures of these rooms", async () => {
  const quoted = await quotedRooms();
  for (const [room, { covered, total }] of coverage.byRoom()) {
    const said = quoted.get(room);
    assert.equal(said?.missing, total - covered, room);
    assert.ok(said && Math.abs(said.total - total) < total / 20, `${room} has ${total} branches`);
  }
});
