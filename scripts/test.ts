import { globSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, relative, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { startS3 } from "../test/support/s3.ts";
import { scratchDirectory } from "../test/support/scratch.ts";

/** Runs the test files given, or all, with one S3 server for all of them. */
const root = new URL("..", import.meta.url).pathname;
const given = process.argv.slice(2).map((file) => resolve(file));
const files = given.length > 0 ? given : globSync("test/**/*.test.ts", { cwd: root }).sort();
/** One more than the cores of a small machine: many a test waits for a server that boots, or for a clock. */
const AT_ONCE = 3;

/** Seconds that each file took the last time: the longest begins first, so that none is left alone at the end. */
const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "drops-test");
const durations = join(cache, "seconds.json");
const seconds: Record<string, number> = await readFile(durations, "utf8").then(JSON.parse, () => ({}));
const nameOf = (file: string) => relative(root, resolve(root, file));
files.sort((a, b) => (seconds[nameOf(b)] ?? 0) - (seconds[nameOf(a)] ?? 0));

// Hundreds of processes read the same TypeScript: all but the first find it compiled.
await using compiled = await scratchDirectory();
process.env["NODE_COMPILE_CACHE"] ??= compiled.path;
await using s3 = await startS3();
process.env["DROPS_TEST_S3"] = s3.asEnvironment();
const tests = run({ files, cwd: root, concurrency: AT_ONCE });
tests.on("test:summary", ({ file, duration_ms, success }) => {
  if (file !== undefined) seconds[nameOf(file)] = Math.round(duration_ms / 100) / 10;
  else if (!success) process.exitCode = 1;
});
for await (const part of tests.compose(new spec())) process.stdout.write(part);
const newest = Object.entries(seconds).sort(([, a], [, b]) => b - a);
await mkdir(cache, { recursive: true });
await writeFile(
  `${durations}.${process.pid}`,
  `${JSON.stringify(Object.fromEntries(newest), undefined, 1)}\n`,
);
await rename(`${durations}.${process.pid}`, durations);
