import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { type Check, type Finding, type Line, type Need, unable } from "./types.ts";

const LIMIT_MS = 60_000;

export type Ready = Readonly<Record<Need, Promise<unknown>>>;

const WITHOUT: Readonly<Record<Need, string>> = {
  host: "put right first what is said of the connection",
  store: "put right first what is said of the store",
};

/**
 * Every check at once, what they found in their order. One that needs what is not there, or takes longer than it may, could
 * not run: it is never taken for well. `ready` is what checks need, under way already; it may be rejected.
 *
 * @throws whatever a check threw that is no DropsError: a bug; the signal's reason when that is aborted
 */
export async function runChecks(checks: readonly Check[], ready: Ready, how: Cancel): Promise<Finding[]> {
  for (const need of Object.values(ready)) need.catch(() => {}); // told by the checks
  const found = await Promise.all(checks.map((check) => runCheck(check, ready, how)));
  how.signal.throwIfAborted();
  return found.flat();
}

async function runCheck(check: Check, ready: Ready, how: Cancel): Promise<Finding[]> {
  const lines = await linesOf(check, ready, how);
  return lines.map(({ why = check.why, fix, ...line }) => {
    return { group: check.group, check: check.name, ...line, why, ...(fix === undefined ? {} : { fix }) };
  });
}

async function linesOf(check: Check, ready: Ready, how: Cancel): Promise<readonly Line[]> {
  const { needs, limitMs = LIMIT_MS } = check;
  if (needs && (await isMissing(ready[needs]))) {
    return [unable(`${check.name} could not be looked at: the ${needs} was not reached`, WITHOUT[needs])];
  }
  const limit = AbortSignal.timeout(limitMs);
  const signal = AbortSignal.any([how.signal, limit]);
  try {
    return await untilAborted(check.run({ signal }), signal);
  } catch (error) {
    how.signal.throwIfAborted();
    if (limit.aborted) {
      const seconds = Math.round(limitMs / 1000);
      return [
        unable(
          `${check.name} had no answer within ${seconds} s`,
          "look at the load and the network, then: drops doctor",
        ),
      ];
    }
    if (!isFailure(error)) throw error;
    return [{ result: "fail", what: error.message, fix: error.hint ?? "see the message" }];
  }
}

async function isMissing(need: Promise<unknown>): Promise<boolean> {
  return need.then(
    () => false,
    () => true,
  );
}

/** Also of work that does not look at its signal: what it leaves running is closed with what it runs on. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {}); // when the abort wins
  let abort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
