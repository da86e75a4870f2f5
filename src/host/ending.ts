import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 2000;

/** What is needed to end a command, wherever it runs. */
export interface Endable {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Settles when the command is gone; never rejects. */
  readonly gone: Promise<unknown>;
  /** Ask it to end (SIGTERM). */
  terminate(): void;
  /** End it (SIGKILL, or leaving it behind). */
  kill(): void;
}

/**
 * End a command: close its input and throw its output away so that it can notice and clean up, ask it to end, force it.
 * Nothing is skipped when the command is gone already except the waiting.
 */
export async function end(command: Endable, how: { readonly gently: boolean }): Promise<void> {
  command.stdin.end();
  command.stdout.resume(); // a command that is blocked on its output would never see that its input ended
  if (!(how.gently && (await isGone(command)))) {
    command.terminate();
    if (!(await isGone(command))) {
      command.kill();
      await isGone(command);
    }
  }
  command.stdin.destroy();
  command.stdout.destroy();
}

async function isGone(command: Endable): Promise<boolean> {
  const stop = new AbortController();
  const late = sleep(PATIENCE_MS, false, { signal: stop.signal }).catch(() => false);
  const gone = await Promise.race([command.gone.then(() => true), late]);
  stop.abort();
  return gone;
}
