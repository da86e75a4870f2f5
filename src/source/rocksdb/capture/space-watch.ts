import { setTimeout as sleep } from "node:timers/promises";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";

export interface SpaceWatch {
  readonly free: (how: Cancel) => Promise<number>;
  readonly least: number;
  readonly everyMs: number;
}

/**
 * Do `work` as long as the host has space: links pin what the database has deleted, so a long upload may fill a disk.
 * Throws space/low, or whatever ended the watching, once the work has stopped.
 */
export async function whileSpaceLasts(
  watch: SpaceWatch,
  how: Cancel,
  work: (how: Cancel) => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const stop = new AbortController();
  const watching = look(watch, AbortSignal.any([how.signal, over.signal])).catch((error: unknown) => {
    if (!over.signal.aborted) stop.abort(error);
  });
  try {
    await work({ signal: AbortSignal.any([how.signal, stop.signal]) });
  } catch (error) {
    how.signal.throwIfAborted();
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    over.abort();
    await watching;
  }
}

async function look(watch: SpaceWatch, signal: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(watch.everyMs, undefined, { signal });
    const free = await watch.free({ signal });
    if (free >= watch.least) continue;
    const text = `shipping stopped: ${free} bytes are free on the host, ${watch.least} are to be spared`;
    const hint = "free space on the host, or lower min_free of this source; run the backup again to go on";
    throw new DropsError("space/low", text, { hint });
  }
}
