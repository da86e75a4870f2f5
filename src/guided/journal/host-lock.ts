import { readFileSync } from "node:fs";
import { commandFailed } from "../../host/expect-success.ts";
import type { Host, RunningCommand } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { unlessAborted } from "../../lib/waiting.ts";
import { RUNS } from "./runs.ts";

const SCRIPT = readFileSync(new URL("./host-lock.sh", import.meta.url), "utf8");
const HELD = 75;
/** A session that was cut off may be ending just now. */
const PATIENCE_S = 5;
const MAX_ANSWER = 4096;

export interface RestoreLock extends AsyncDisposable {
  /** Aborted, with host/unreachable as its reason, when the lock is lost: whoever works under the lock stops then. */
  readonly lost: AbortSignal;
}

export interface LockHow extends Cancel {
  /** Who asks, for the sentence that another operator gets: `anna on laptop`. */
  readonly who: string;
  /** For tests; default `RUNS`. */
  readonly base?: string;
  /** End the process that holds it first: of a connection that is dead, or of a person who agreed. */
  readonly takeOver?: boolean;
  /** For tests: seconds to wait for one that is just ending. */
  readonly patience?: number;
}

/**
 * One operator at a time: a lock on the host, held by a process that ends with the connection. Waits some seconds for
 * one that is just ending. Throws safety/refused, saying who holds it since when, and how to end that.
 */
export async function lockRestore(host: Host, how: LockHow): Promise<RestoreLock> {
  const { base = RUNS, patience = PATIENCE_S } = how;
  const who = how.who.replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ").slice(0, 200);
  const options = [base, who, String(patience), how.takeOver === true ? "yes" : "no"];
  // Not how.signal: to abort the work is to let go of the lock in an orderly way, which is the caller's to do.
  const command = await host.start(["sh", "-c", SCRIPT, "drops-lock", ...options], {
    signal: new AbortController().signal,
  });
  try {
    const answer = await firstLine(command, how.signal);
    if (answer !== "locked") await refuse(host, command, answer, base);
  } catch (error) {
    await command[Symbol.asyncDispose]();
    throw error;
  }
  return held(host, command);
}

function held(host: Host, command: RunningCommand): RestoreLock {
  const losing = new AbortController();
  let isReleased = false;
  const ended = () => {
    if (isReleased) return;
    losing.abort(
      new DropsError("host/unreachable", `the lock on ${host.label} was lost: the restore stopped`, {
        hint: "drops restore --resume",
      }),
    );
  };
  command.ended.then(ended, ended);
  command.stdout.resume();
  return {
    lost: losing.signal,
    async [Symbol.asyncDispose]() {
      isReleased = true;
      await command[Symbol.asyncDispose]();
    },
  };
}

async function refuse(host: Host, command: RunningCommand, answer: string, base: string): Promise<never> {
  command.stdin.end();
  const ended = await command.ended;
  if (ended.exit !== HELD) throw commandFailed(`locking ${base} on ${host.label}`, ended);
  const [, since, pid, who] = /^held (\S+) (\d+) (.*)$/.exec(answer) ?? [];
  const holder = who === undefined ? "somebody" : `${who}, since ${since},`;
  throw new DropsError("safety/refused", `${holder} is restoring ${host.label} now`, {
    hint:
      pid === undefined
        ? `find the process that has the lock: fuser ${base}/lock`
        : `wait for it; if that connection is dead, end it on the host: kill ${pid}`,
  });
}

/** The first line that it prints; what it printed when it ended without one. */
async function firstLine(command: RunningCommand, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  let text = "";
  const read = async (): Promise<string> => {
    const pieces = command.stdout.iterator({ destroyOnReturn: false });
    for await (const piece of pieces) {
      text += String(piece);
      if (text.includes("\n") || text.length > MAX_ANSWER) break;
    }
    return text.split("\n")[0] ?? "";
  };
  return await unlessAborted(read(), signal);
}
