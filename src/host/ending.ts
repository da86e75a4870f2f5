import type { Readable, Writable } from "node:stream";
import { within } from "../lib/waiting.ts";
import type { CommandExit, RunningCommand } from "./host.ts";

const PATIENCE_MS = 2000;

/** What a command is made of, wherever it runs. */
export interface CommandParts {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Rejects when the host was lost. */
  readonly exit: Promise<CommandExit>;
  /** Ask it to end (SIGTERM). */
  terminate(): void;
  /** End it (SIGKILL, or leaving it behind). */
  kill(): void;
}

/** A running command of these parts, which is ended when it is closed and when `signal` is aborted. */
export function runningCommand(parts: CommandParts, signal: AbortSignal): RunningCommand {
  const { stdin, stdout, exit } = parts;
  let ending: Promise<void> | undefined;
  const close = (how: { readonly gently: boolean }): Promise<void> => {
    ending ??= end(
      parts,
      ended.catch(() => {}).then(() => true),
      how,
    );
    return ending;
  };
  const stop = () => {
    stdout.destroy(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    close({ gently: stdin.writable }).catch(() => {}); // closing never rejects
  };
  signal.addEventListener("abort", stop, { once: true });
  const ended = exit
    .finally(() => signal.removeEventListener("abort", stop))
    .then((how) => {
      signal.throwIfAborted();
      return how;
    });
  ended.catch(() => {}); // whoever waits sees it
  if (signal.aborted) stop();
  return { stdin, stdout, ended, [Symbol.asyncDispose]: () => close({ gently: true }) };
}

/**
 * End a command: close its input and throw its output away so that it can notice and clean up, ask it to end, force it.
 * Nothing is skipped when the command is gone already except the waiting.
 */
async function end(
  command: CommandParts,
  gone: Promise<boolean>,
  how: { readonly gently: boolean },
): Promise<void> {
  command.stdin.end();
  command.stdout.resume(); // a command that is blocked on its output would never see that its input ended
  if (!(how.gently && (await within(PATIENCE_MS, gone)))) {
    command.terminate();
    if (!(await within(PATIENCE_MS, gone))) {
      command.kill();
      await within(PATIENCE_MS, gone);
    }
  }
  command.stdin.destroy();
  command.stdout.destroy();
}
