import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 180_000;

/** Ask until it is so; throws when it never is. */
export async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !(await is()); await sleep(200))
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
}
