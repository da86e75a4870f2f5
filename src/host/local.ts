import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { userInfo } from "node:os";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { OwnUser } from "./as-user.ts";
import { CommandLines } from "./command-line.ts";
import { end } from "./ending.ts";
import type { CommandExit, Host, RunningCommand, RunOptions } from "./host.ts";
import { ANY_EXIT, runToEnd } from "./run-to-end.ts";
import { startProcess } from "./start-process.ts";
import { StderrTail } from "./stderr-tail.ts";

const LABEL = "this machine";

/** How long a grandchild that outlives the command may hold its stderr open before nobody listens any more. */
const STDERR_GRACE_MS = 500;

/** This machine. Commands are started without a shell, in `/`, each in its own process group. */
export async function openLocalHost(): Promise<Host> {
  const user = ownUser();
  const running = new Set<RunningCommand>();
  const start = async (argv: readonly string[], signal: AbortSignal): Promise<RunningCommand> => {
    const command = await startHere(argv, signal);
    running.add(command);
    const forget = () => running.delete(command);
    command.ended.then(forget, forget);
    return command;
  };
  const lines = new CommandLines(user, (argv, how) =>
    runToEnd(start(argv, how.signal), argv, { ...how, okExits: ANY_EXIT }, LABEL),
  );
  const startAs = async (argv: readonly string[], how: RunOptions): Promise<RunningCommand> =>
    start(await lines.build(argv, how), how.signal);
  return {
    label: LABEL,
    user,
    run: (argv, how) => runToEnd(startAs(argv, how), argv, how, LABEL),
    start: startAs,
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((command) => command[Symbol.asyncDispose]()));
    },
  };
}

async function startHere(argv: readonly string[], signal: AbortSignal): Promise<RunningCommand> {
  signal.throwIfAborted();
  const child = startProcess(argv);
  try {
    await once(child, "spawn");
  } catch (error) {
    return neverStarted(argv[0] ?? "", error);
  }
  return new LocalCommand(child, signal);
}

class LocalCommand implements RunningCommand {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly ended: Promise<CommandExit>;
  readonly #child: ChildProcessWithoutNullStreams;
  #ending: Promise<void> | undefined;

  constructor(child: ChildProcessWithoutNullStreams, signal: AbortSignal) {
    this.#child = child;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    child.stdin.on("error", () => {}); // it left without reading all: its exit status tells why
    child.stdout.on("error", () => {}); // whoever reads sees it too
    child.once("exit", () => keepUnread(child.stdout));
    const stop = () => {
      this.stdout.destroy(reasonOf(signal));
      this.#close({ gently: this.stdin.writable }).catch(() => {}); // closing never rejects
    };
    signal.addEventListener("abort", stop, { once: true });
    this.ended = waitForEnd(child)
      .finally(() => signal.removeEventListener("abort", stop))
      .then((exit) => {
        signal.throwIfAborted();
        return exit;
      });
    this.ended.catch(() => {}); // whoever waits sees it
    if (signal.aborted) stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close({ gently: true });
  }

  #close(how: { gently: boolean }): Promise<void> {
    this.#ending ??= end(
      {
        stdin: this.stdin,
        stdout: this.stdout,
        gone: this.ended.catch(() => {}),
        terminate: () => this.#signalGroup("SIGTERM"),
        kill: () => this.#signalGroup("SIGKILL"),
      },
      how,
    );
    return this.#ending;
  }

  /** The group, so that what the command started goes with it, even when the command itself has ended. */
  #signalGroup(name: NodeJS.Signals): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, name);
    } catch {
      // gone already, or another user's: closed streams are all it gets
    }
  }
}

/** Node throws away what nobody has begun to read when a process exits; here it waits for the reader. */
function keepUnread(stdout: Readable): void {
  const hold = () => {};
  stdout.on("readable", hold);
  setImmediate(() => stdout.removeListener("readable", hold));
}

async function waitForEnd(child: ChildProcessWithoutNullStreams): Promise<CommandExit> {
  const tail = new StderrTail();
  child.stderr.on("data", (bytes: Buffer) => tail.add(bytes));
  const silent = new Promise<void>((resolve) => child.stderr.once("close", resolve));
  const [exit, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once("exit", (...how) => resolve(how)),
  );
  const grace = new AbortController();
  await Promise.race([silent, sleep(STDERR_GRACE_MS, undefined, { signal: grace.signal }).catch(() => {})]);
  grace.abort();
  child.stderr.destroy();
  return { exit: exit ?? undefined, signal: signal ?? undefined, stderr: tail.text() };
}

/** A program that is missing looks as it would to a shell: exit status 127, or 126 when it may not be run. */
function neverStarted(program: string, error: unknown): RunningCommand {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== "ENOENT" && code !== "EACCES") throw error;
  const exit = code === "ENOENT" ? 127 : 126;
  const stderr = `${program}: ${code === "ENOENT" ? "not found" : "permission denied"}`;
  return {
    stdin: new Writable({ write: (_bytes, _encoding, done) => done() }),
    stdout: Readable.from([]),
    ended: Promise.resolve({ exit, signal: undefined, stderr }),
    async [Symbol.asyncDispose]() {},
  };
}

function ownUser(): OwnUser {
  const uid = process.getuid?.() ?? -1;
  try {
    return { name: userInfo().username, uid };
  } catch {
    return { name: String(uid), uid }; // a user without an entry, as in containers
  }
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}
