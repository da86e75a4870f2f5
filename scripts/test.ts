import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { relative } from "node:path";
import { startS3 } from "../test/support/s3.ts";

/** Runs the test files given, or all, with one S3 server for all of them. */
const root = new URL("..", import.meta.url).pathname;
const given = process.argv.slice(2);
const files = given.length > 0 ? given : globSync("test/**/*.test.ts", { cwd: root }).sort();

await using s3 = await startS3();
const child = spawn(
  process.execPath,
  ["--test", "--test-concurrency=2", ...files.map((file) => relative("", file))],
  {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DROPS_TEST_S3: s3.asEnvironment() },
  },
);
process.exitCode = await new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
