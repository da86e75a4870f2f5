import type { Readable, Writable } from "node:stream";
import type { Cancel } from "../lib/cancel.ts";

/** How a command ended. `stderr` is its last 8 KiB, control characters removed. */
export interface CommandExit {
  readonly exit: number | undefined; // undefined: ended by a signal
  readonly signal: string | undefined;
  readonly stderr: string;
}

export interface CommandResult extends CommandExit {
  readonly stdout: Buffer;
}

export interface RunOptions extends Cancel {
  /** Run as this user of the host instead of the one logged in (setpriv when root, else `sudo -n`). */
  readonly as?: string | undefined;
  /** Set for this command alone, through `env`; never a secret, since argv is world-readable. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A running command. Closing it (`await using`) closes its standard input, waits briefly, then ends it by force.
 * A command that must clean up after a lost connection watches its standard input for the end.
 */
export interface RunningCommand extends AsyncDisposable {
  readonly stdin: Writable;
  /** Pulled: nothing is read from the host while nobody reads here. Its end does not mean success: see `ended`. */
  readonly stdout: Readable;
  /**
   * Resolves when the command has ended, whatever its status (a missing program: 127); rejects when the host was lost
   * (host/unreachable) or the signal was aborted (its reason), and only then.
   */
  readonly ended: Promise<CommandExit>;
}

/**
 * The machine whose services are backed up: this one, or one over SSH. Same promises for both (test/contracts/host).
 * Commands start in `/`, without a terminal; no shell sees their arguments.
 */
export interface Host extends AsyncDisposable {
  /** For sentences: `this machine` or `root@example.org`. */
  readonly label: string;
  /** The user that commands run as when `as` is not given. */
  readonly user: { readonly name: string; readonly uid: number };
  /**
   * Run to the end. Throws host/command-failed, naming the command and its stderr, when its exit status is not in
   * `okExits` (default: 0 alone), when stdout passes `maxStdout` bytes (default 16 MiB), when it has not ended `within` so
   * many milliseconds (default 12 hours), and host/unreachable when the connection is lost.
   */
  run(
    argv: readonly string[],
    how: RunOptions & {
      readonly stdin?: Uint8Array | string;
      readonly maxStdout?: number;
      readonly within?: number;
      readonly okExits?: readonly number[];
    },
  ): Promise<CommandResult>;
  /** Start a command whose streams the caller drives. Never looks at the exit status: the caller must, see `expectSuccess`. */
  start(argv: readonly string[], how: RunOptions): Promise<RunningCommand>;
}
