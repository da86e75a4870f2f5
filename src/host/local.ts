import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { userInfo } from "node:os";
import { Readable, Writable } from "node:stream";
import { systemCode } from "../lib/errors.ts";
import { within } from "../lib/waiting.ts";
import type { OwnUser } from "./as-user.ts";
import { hostOf } from "./command-line.ts";
import { runningCommand } from "./ending.ts";
import type { CommandExit, Host, RunningCommand } from "./host.ts";
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
  const close = async () => {
    await Promise.all([...running].map((command) => command[Symbol.asyncDispose]()));
  };
  return hostOf({ label: LABEL, user, start, close });
}

async function startHere(argv: readonly string[], signal: AbortSignal): Promise<RunningCommand> {
  signal.throwIfAborted();
  const child = startProcess(argv);
  try {
    await once(child, "spawn");
  } catch (error) {
    return neverStarted(argv[0] ?? "", error);
  }
  return localCommand(child, signal);
}

function localCommand(child: ChildProcessWithoutNullStreams, signal: AbortSignal): RunningCommand {
  const { stdin, stdout } = child;
  stdin.on("error", () => {}); // it left without reading all: its exit status tells why
  stdout.on("error", () => {}); // whoever reads sees it too
  child.once("exit", () => keepUnread(stdout));
  const parts = {
    stdin,
    stdout,
    exit: waitForEnd(child),
    terminate: () => signalGroup(child, "SIGTERM"),
    kill: () => signalGroup(child, "SIGKILL"),
  };
  return runningCommand(parts, signal);
}

/** The group, so that what the command started goes with it, even when the command itself has ended. */
function signalGroup({ pid }: ChildProcessWithoutNullStreams, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // gone already, or another user's: closed streams are all it gets
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
  await within(STDERR_GRACE_MS, silent);
  child.stderr.destroy();
  return { exit: exit ?? undefined, signal: signal ?? undefined, stderr: tail.text() };
}

/** A program that is missing looks as it would to a shell: exit status 127, or 126 when it may not be run. */
function neverStarted(program: string, error: unknown): RunningCommand {
  const code = systemCode(error);
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
