import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";

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
}

/**
 * One operator at a time: a lock on the host, held by a process that ends with the connection. Waits some seconds for one
 * that is just ending. Throws safety/refused, saying who holds it since when, and how to end that.
 */
export async function lockRestore(_host: Host, _how: LockHow): Promise<RestoreLock> {
  throw new Error("to come");
}
