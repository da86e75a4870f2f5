import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { mapLimit } from "../lib/map-limit.ts";
import { unlessAborted } from "../lib/waiting.ts";
import type { Finding } from "./report.ts";
import { type Check, type Line, type Need, unable } from "./types.ts";

const LIMIT_MS = 60_000;
/** Each may have three sessions, and sshd allows ten over one connection (MaxSessions). */
const AT_ONCE_ON_HOST = 3;

export type Ready = Readonly<Record<Need, Promise<unknown>>>;

const LOOK = "put right what the message names, then: drops doctor";

const WITHOUT: Readonly<Record<Need, string>> = {
  host: "correct the connection first",
  store: "correct the problems of the store first",
};

/**
 * All checks at the same time, those of the host a few at once; what they found in their order. One that needs what is not there, or takes longer than it may, could
 * not run: it is never taken for well. `ready` is what checks need, under way already; it may be rejected.
 *
 * @throws whatever a check threw that is no DropsError: a bug; the signal's reason when that is aborted
 */
export async function runChecks(checks: readonly Check[], ready: Ready, how: Cancel): Promise<Finding[]> {
  for (const need of Object.values(ready)) need.catch(() => {}); // told by the checks
  const found = new Map<Check, Finding[]>();
  const run = async (check: Check, signal: AbortSignal) => {
    found.set(check, await runCheck(check, ready, { signal }));
  };
  const asksHost = ({ needs, group }: Check) => needs === "host" || group === "host";
  const inTurn = async () => {
    for await (const _ of mapLimit(checks.filter(asksHost), AT_ONCE_ON_HOST, run, how.signal));
  };
  const others = checks.filter((check) => !asksHost(check));
  await Promise.all([inTurn(), ...others.map((check) => run(check, how.signal))]);
  how.signal.throwIfAborted();
  return checks.flatMap((check) => found.get(check) ?? []);
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
    return await unlessAborted(check.run({ signal }), signal);
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
    return [{ result: "fail", what: error.message, fix: error.hint ?? LOOK }];
  }
}

async function isMissing(need: Promise<unknown>): Promise<boolean> {
  return need.then(
    () => false,
    () => true,
  );
}
