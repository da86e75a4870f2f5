import { setTimeout as sleep } from "node:timers/promises";
import { DropsError } from "../lib/errors.ts";
import { MOST_STDOUT, RUN_MS } from "../lib/limits.ts";
import { commandFailed, nameOf } from "./expect-success.ts";
import type { CommandResult, Host, RunningCommand } from "./host.ts";

/** For `okExits`, when the caller judges the status. */
export const ANY_EXIT: readonly number[] = Array.from({ length: 256 }, (_, status) => status);

export type RunHow = Parameters<Host["run"]>[1];

/** Drive a started command to its end: feed its input, collect its output, judge its exit. See `Host.run`. */
export async function runToEnd(
  started: Promise<RunningCommand>,
  argv: readonly string[],
  how: RunHow,
  label: string,
): Promise<CommandResult> {
  await using command = await started;
  const what = `${nameOf(argv)} on ${label}`;
  command.stdin.end(how.stdin ?? "");
  const { stdout, ended } = await within(how.within ?? RUN_MS, what, async () => {
    const stdout = await collect(command, how.maxStdout ?? MOST_STDOUT, what, how.signal);
    return { stdout, ended: await command.ended };
  });
  how.signal.throwIfAborted();
  if (ended.exit === undefined || !(how.okExits ?? [0]).includes(ended.exit))
    throw commandFailed(what, ended);
  return { ...ended, stdout };
}

/** What is not done by then is left to whoever closes the command. */
async function within<T>(ms: number, what: string, work: () => Promise<T>): Promise<T> {
  const enough = new AbortController();
  const late = sleep(ms, undefined, { signal: enough.signal }).then(() => {
    throw new DropsError("host/command-failed", `${what} did not end within ${ms / 1000} s`);
  });
  late.catch(() => {}); // it ended in time
  try {
    return await Promise.race([work(), late]);
  } finally {
    enough.abort();
  }
}

async function collect(
  command: RunningCommand,
  most: number,
  what: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of command.stdout as AsyncIterable<Buffer>) {
      pieces.push(piece);
      length += piece.length;
      if (length > most)
        throw new DropsError("host/command-failed", `${what} printed more than ${most} bytes`);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  return Buffer.concat(pieces, length);
}
