import { DropsError } from "../lib/errors.ts";
import { MOST_STDOUT, RUN_MS } from "../lib/limits.ts";
import { within } from "../lib/waiting.ts";
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
  const limit = how.within ?? RUN_MS;
  const collected = collect(command, how.maxStdout ?? MOST_STDOUT, what, how.signal);
  const done = await within(
    limit,
    collected.then(async (stdout) => ({ stdout, ended: await command.ended })),
  );
  how.signal.throwIfAborted();
  if (done === undefined)
    throw new DropsError("host/command-failed", `${what} did not end within ${limit / 1000} s`);
  const { stdout, ended } = done;
  if (ended.exit === undefined || !(how.okExits ?? [0]).includes(ended.exit))
    throw commandFailed(what, ended);
  return { ...ended, stdout };
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
