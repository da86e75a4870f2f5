/**
 * Mutation score: each small fault that is put into a room's code, one at a time, should make one of the room's own tests fail.
 * What survives is printed with its place; it is a missing test or a fault that changes nothing.
 *
 *   sh scripts/node test/campaigns/mutation.ts --room retention
 *   sh scripts/node test/campaigns/mutation.ts --room rocksdb --share 0.25 --seed 7
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type Mutant, mutantsOf } from "../support/mutants.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { seededRandom } from "../support/seeded-random.ts";

interface Room {
  readonly code: readonly string[];
  /** Quick and without servers: each mutant runs them all, until one fails. */
  readonly tests: readonly string[];
}
interface Tried {
  readonly file: string;
  readonly mutant: Mutant;
}

const ROCKSDB = "src/source/rocksdb";
const ROOMS: Readonly<Record<string, Room>> = {
  retention: {
    code: [
      ...["decide", "forecast", "future", "guards", "keep", "lock-targets", "lock-times", "periods"],
      ...["promise", "refusals", "sweep"],
    ].map((name) => `src/retention/${name}.ts`),
    tests: [
      ...[
        "sweep",
        "promise",
        "future",
        "decide",
        "refusals",
        "lock-targets",
        "lock-times",
        "forecast",
        "keep",
      ],
    ].map((name) => `test/retention/${name}.test.ts`),
  },
  trust: {
    code: ["src/trust/*.ts"],
    tests: ["signers-file", "trust", "revoked"].map((name) => `test/trust/${name}.test.ts`),
  },
  rocksdb: {
    code: [
      ...["accept", "live-set", "sst", "wal"].map((name) => `${ROCKSDB}/verify/${name}.ts`),
      ...["log-file", "table-block", "table-footer", "table-reader", "version-edit", "write-batch"].map(
        (name) => `${ROCKSDB}/formats/${name}.ts`,
      ),
    ],
    tests: ["live-set", "write-batch", "checksums", "log-file", "sst", "accept"].map(
      (name) => `test/source/rocksdb-${name}.test.ts`,
    ),
  },
};
/** A mutant that takes so many times a healthy run in processor time hangs, and so is found. A busy machine makes none of a slow one. */
const HANGS_AFTER = 2;
/** A mutant that waits for what never comes. */
const WAITS_AT_MOST_MS = 600_000;

const { values } = parseArgs({
  options: {
    room: { type: "string", default: "retention" },
    share: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
  },
});
const room = ROOMS[values.room];
if (room === undefined) throw new Error(`--room is one of ${Object.keys(ROOMS).join(", ")}`);
const files = room.code.flatMap((pattern) => globSync(pattern)).sort();
const tests = room.tests.flatMap((pattern) => globSync(pattern)); // in the order given: quick ones first
if (files.length === 0 || tests.length === 0) throw new Error(`${values.room} has no code or no tests`);
// Hundreds of processes read the same TypeScript: all but the first find it compiled.
await using compiled = await scratchDirectory();
process.env["NODE_COMPILE_CACHE"] ??= compiled.path;
const began = performance.now();
/** By test: processor seconds after which a run of it hangs, and the code that it loads. */
const healthy = new Map<string, { readonly limit: number; readonly loads: ReadonlySet<string> }>();
for (const test of tests) {
  const [start, note] = [performance.now(), join(compiled.path, basename(test))];
  if ((await run(test, { note }, 600)) !== "survived") throw new Error(`${test} fails without any fault`);
  const limit = Math.max(20, Math.ceil(((performance.now() - start) / 1000) * HANGS_AFTER));
  healthy.set(test, { limit, loads: new Set((await readFile(note, "utf8")).split("\n")) });
}

const random = seededRandom(Number(values.seed));
const tried: Tried[] = [];
for (const file of files) {
  for (const mutant of mutantsOf(await readFile(file, "utf8"))) {
    if (random() < Number(values.share)) tried.push({ file, mutant });
  }
}
const counts = { failed: 0, hung: 0, survived: 0 };
const waiting = tried.values();
await Promise.all(Array.from({ length: availableParallelism() }, work));
const found = counts.failed + counts.hung;
console.log(
  `${values.room}: ${tried.length} faults in ${files.length} files, ${found} found (${counts.hung} of them by a hang), ` +
    `${counts.survived} survived: ${((100 * found) / tried.length).toFixed(1)} %; ` +
    `${((performance.now() - began) / 60_000).toFixed(1)} min, load ${loadavg()[0]?.toFixed(1)}`,
);

async function work(): Promise<void> {
  for (const one of waiting) {
    const end = await outcome(one);
    counts[end]++;
    if (end !== "failed") console.log(`${end}: ${await describe(one)}`);
  }
}

/** By the tests that load the file, the one that is named as it first, until one fails. */
async function outcome({ file, mutant }: Tried): Promise<keyof typeof counts> {
  const url = pathToFileURL(file).href;
  const isOwn = (test: string) => Number(basename(test) === basename(file, ".ts").concat(".test.ts"));
  for (const test of tests.toSorted((a, b) => isOwn(b) - isOwn(a))) {
    const known = healthy.get(test);
    if (!known?.loads.has(url)) continue;
    const end = await run(test, { url, mutant }, known.limit);
    if (end !== "survived") return end;
  }
  return "survived";
}

/** One process for one test file: only so the others need not even be loaded when it fails. */
function run(test: string, what: object, limitSeconds: number): Promise<keyof typeof counts> {
  const child = spawn(
    "sh",
    [
      "-c",
      `ulimit -t ${limitSeconds}; exec "$0" "$@"`,
      process.execPath,
      "--import=./test/support/mutated-module.ts",
      "--test",
      "--test-isolation=none",
      "--test-reporter=./test/support/stop-at-failure.mjs",
      test,
    ],
    {
      stdio: "ignore",
      env: { ...process.env, DROPS_MUTANT: JSON.stringify(what) },
      timeout: WAITS_AT_MOST_MS,
      killSignal: "SIGKILL",
    },
  );
  return new Promise((resolve) =>
    child.on("close", (code, signal) =>
      resolve(signal !== null ? "hung" : code === 0 ? "survived" : "failed"),
    ),
  );
}

async function describe({ file, mutant }: Tried): Promise<string> {
  const source = await readFile(file, "utf8");
  const line = source.slice(0, mutant.start).split("\n").length;
  const was = source.slice(mutant.start, mutant.end).replace(/\s+/g, " ").slice(0, 60);
  return `${file}:${line} ${mutant.kind}: ${was}`;
}
