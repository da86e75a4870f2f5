import {
  type ChildProcess,
  type ChildProcessByStdio,
  type ChildProcessWithoutNullStreams,
  spawn,
} from "node:child_process";
import type { Writable } from "node:stream";

/**
 * What a process needs of its starter's environment to find programs, its home and its language, on Debian and on NixOS. All
 * else stays here: credentials of the store and of databases above all, as a process may belong to another user, and whoever
 * it runs as reads its environment.
 */
const HANDED_ON = /^(PATH|HOME|USER|LOGNAME|TMPDIR|TZ|TZDIR|LANG|LANGUAGE|LC_[A-Z]+|LOCALE_ARCHIVE)$/;

/** Pure. */
export function childEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const pairs = Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return Object.fromEntries(pairs.filter(([name]) => HANDED_ON.test(name)));
}

/**
 * Start a program of this machine: without a shell, in `/`, in a process group of its own, with `childEnvironment` and `env`
 * alone. Nothing else in drops starts a process. A program that cannot be started is told by the event `error`.
 */
export function startProcess(argv: readonly string[]): ChildProcessWithoutNullStreams;
export function startProcess(
  argv: readonly string[],
  how: Unheard,
): ChildProcessByStdio<Writable, null, null>;
export function startProcess([program = "", ...rest]: readonly string[], how?: Unheard): ChildProcess {
  const output = how === undefined ? "pipe" : "ignore";
  const env = { ...childEnvironment(process.env), ...how?.env };
  return spawn(program, rest, { cwd: "/", detached: true, stdio: ["pipe", output, output], env });
}

/** What it prints goes nowhere. */
interface Unheard {
  readonly output: "ignore";
  readonly env: Readonly<Record<string, string>>;
}
