#!/usr/bin/env node
import { fstatSync, readFileSync } from "node:fs";
import { fail, READER_GONE } from "./cli/fail.ts";
import { type LogFormat, logFormatOf } from "./cli/log-lines.ts";
import { run } from "./cli/program.ts";
import { terminalPrompt } from "./cli/prompt.ts";
import { Screen } from "./cli/screen.ts";
import { DropsError } from "./lib/errors.ts";

/** After the answer is out, nothing should be left running; what is must not keep a nightly job alive. */
const LINGER_MS = 5000;

const args = process.argv.slice(2);
const options = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
const format = readLogFormat();
const screen = new Screen({
  stdout: process.stdout,
  stderr: process.stderr,
  json: options.includes("--json"),
  quiet: options.includes("--quiet"),
  color: !options.includes("--no-color") && !process.env["NO_COLOR"],
  clock: () => performance.now(),
  logFormat: format instanceof DropsError ? "text" : format,
  now: () => new Date(),
});
// Node's own writer of warnings prints them as they are, and they may quote what was read.
process
  .removeAllListeners("warning")
  .on("warning", ({ name, message }) => screen.warn(`${name}: ${message}`));
const signal = interruption();
try {
  if (format instanceof DropsError) throw format;
  await run(args, {
    screen,
    signal,
    context: { env: process.env, now: () => new Date(), version: version(), reporter: screen },
    app: () => import("./app/app.ts"),
    prompt: terminalPrompt(process.stdin, process.stderr),
  });
} catch (error) {
  process.exitCode = fail(error, screen, signal);
}
setTimeout(() => process.exit(), LINGER_MS).unref();

/** The failure itself when there is no such format: there is no screen yet to tell it on. */
function readLogFormat(): LogFormat | DropsError {
  try {
    const { dev, ino } = fstatSync(process.stderr.fd);
    return logFormatOf(options, { env: process.env["JOURNAL_STREAM"], stream: `${dev}:${ino}` });
  } catch (error) {
    if (error instanceof DropsError) return error;
    return "text"; // standard error is closed
  }
}

/** Aborted by the first signal, so that everything cleans up; the second one ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) {
    process.once(name, () => {
      // from now on signals do what they do to any process: process.exit would wait for a read that hangs
      for (const each of names) process.removeAllListeners(each);
      screen.say(`${name}: cleaning up; once more to stop at once`);
      controller.abort(new DropsError("interrupted", `interrupted by ${name}`));
    });
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    controller.abort(new DropsError("interrupted", READER_GONE));
  });
  return controller.signal;
}

function version(): string {
  const description: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return (description as { version: string }).version;
}
