import { globSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, relative, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { Coverage } from "../test/support/coverage.ts";
import { quotedRooms } from "../test/support/quoted-coverage.ts";
import { startS3 } from "../test/support/s3.ts";
import { bringS3Proxy } from "../test/support/s3proxy.ts";
import { scratchDirectory } from "../test/support/scratch.ts";

/**
 * Runs the test files given, or all, with one S3 server for all of them. With `--coverage` it says which share of the branches of src/
 * they took, by room; a run of all of them fails when a room has more branches without a test than docs/coverage.md says.
 * `--uncovered ROOM` lists those of a room.
 */
const root = new URL("..", import.meta.url).pathname;
const { values, positionals } = parseArgs({
  options: { coverage: { type: "boolean" }, uncovered: { type: "string" } },
  allowPositionals: true,
});
const given = positionals.map((file) => resolve(file));
const files = given.length > 0 ? given : globSync("test/**/*.test.ts", { cwd: root }).sort();
// The only one that needs more than Debian and npm have. What is not run is said at the end, where a reader of the result sees it.
const S3PROXY = "test/store-s3proxy.test.ts";
const withoutS3Proxy = given.length > 0 ? undefined : await bringS3Proxy().then(() => undefined, String);
if (withoutS3Proxy !== undefined) files.splice(files.indexOf(S3PROXY), 1);
/** One more than the cores of a small machine: many a test waits for a server that boots, or for a clock. */
const AT_ONCE = 3;

/** Seconds that each file took the last time: the longest begins first, so that none is left alone at the end. */
const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "drops-test");
const durations = join(cache, "seconds.json");
const seconds: Record<string, number> = await readFile(durations, "utf8").then(JSON.parse, () => ({}));
const nameOf = (file: string) => relative(root, resolve(root, file));
files.sort((a, b) => (seconds[nameOf(b)] ?? 0) - (seconds[nameOf(a)] ?? 0));

await using scratch = await scratchDirectory();
const coverage = values.coverage || values.uncovered !== undefined ? new Coverage() : undefined;
// Hundreds of processes read the same TypeScript: all but the first find it compiled. V8 counts less of what it finds compiled.
if (coverage) process.env["NODE_V8_COVERAGE"] = scratch.path;
else process.env["NODE_COMPILE_CACHE"] ??= scratch.path;
await using s3 = await startS3();
process.env["DROPS_TEST_S3"] = s3.asEnvironment();
const tests = run({ files, cwd: root, concurrency: AT_ONCE });
tests.on("test:summary", ({ file, duration_ms, success }) => {
  if (file !== undefined) seconds[nameOf(file)] = Math.round(duration_ms / 100) / 10;
  else if (!success) process.exitCode = 1;
});
// Taken in while the tests run: all that they leave would fill a disk.
tests.on("test:summary", () => void coverage?.takeFrom(scratch.path));
for await (const part of tests.compose(new spec())) process.stdout.write(part);
if (coverage) await tellCoverage(coverage);
if (withoutS3Proxy !== undefined) process.stdout.write(`NOT RUN: ${S3PROXY}: ${withoutS3Proxy}\n`);
const newest = Object.entries(seconds).sort(([, a], [, b]) => b - a);
await mkdir(cache, { recursive: true });
await writeFile(
  `${durations}.${process.pid}`,
  `${JSON.stringify(Object.fromEntries(newest), undefined, 1)}\n`,
);
await rename(`${durations}.${process.pid}`, durations);

async function tellCoverage(coverage: Coverage): Promise<void> {
  await coverage.takeFrom(scratch.path);
  const quoted = await quotedRooms();
  for (const [room, { covered, total }] of coverage.byRoom()) {
    const missing = total - covered;
    if (given.length > 0 && covered === 0) continue;
    process.stdout.write(`${room}: ${covered} of ${total} branches, ${missing} not\n`);
    if (given.length > 0 || missing <= (quoted.get(room)?.missing ?? missing)) continue;
    process.stdout.write(`${room}: docs/coverage.md says ${quoted.get(room)?.missing} not\n`);
    process.exitCode = 1;
  }
  for (const { file, line, kind, text } of coverage.uncovered())
    if (file.startsWith(`src/${values.uncovered}/`))
      process.stdout.write(`${file}:${line} ${kind}: ${text}\n`);
}
