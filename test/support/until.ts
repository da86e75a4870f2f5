import { setTimeout as sleep } from "node:timers/promises";

/** Far longer than anything here takes on a machine that has ten times as much to do as it can. */
export const PATIENCE_MS = 300_000;
const LONGEST_PAUSE_MS = 200;

/** Ask until it is so; throws when it never is. */
export async function until(what: string, is: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (let pause = 5; !(await is()); pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
    await sleep(pause);
  }
}
