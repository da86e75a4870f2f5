import pRetry from "p-retry";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure, messageOf } from "../lib/errors.ts";
import type { Channel } from "./channel.ts";
import type { Alert, Delivery } from "./report.ts";

export interface Letter {
  readonly channel: Channel;
  readonly alert: Alert;
}

const RETRIES = 5;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
/** A try that gets no answer leaves time for two others. */
const TRIES_IN_LIMIT = 3;

/**
 * Tell everybody at once, each again while that may help, and be back after `limitMs` whatever happens. Never throws:
 * how it went is in the answer.
 */
export function deliverAll(
  letters: readonly Letter[],
  how: { readonly limitMs: number } & Cancel,
): Promise<readonly Delivery[]> {
  return Promise.all(letters.map((letter) => deliver(letter, how)));
}

async function deliver(
  { channel, alert }: Letter,
  { limitMs, signal }: { readonly limitMs: number } & Cancel,
): Promise<Delivery> {
  const { name, kind } = channel;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), limitMs);
  const stop = AbortSignal.any([signal, late.signal]);
  const tries: Tries = { attempts: 0, last: undefined };
  try {
    const work = tryAgain({ channel, alert }, tries, { limitMs, signal: stop });
    work.catch(() => {}); // after the limit nobody listens any more
    const said = await Promise.race([work, rejectedBy(stop)]);
    return { channel: name, kind, delivered: true, said, attempts: tries.attempts };
  } catch (error) {
    const cause = stop.aborted ? tries.last : error;
    const end = late.signal.aborted ? `given up after ${limitMs / 1000} s` : "broken off";
    const said = stop.aborted ? `${end}: ${whyOf(cause)}` : whyOf(cause);
    const hint = isFailure(cause) && cause.hint !== undefined ? { hint: cause.hint } : {};
    return { channel: name, kind, delivered: false, said, ...hint, attempts: tries.attempts };
  } finally {
    clearTimeout(timer);
  }
}

interface Tries {
  attempts: number;
  last: unknown;
}

function tryAgain(
  { channel, alert }: Letter,
  tries: Tries,
  { limitMs, signal }: { readonly limitMs: number } & Cancel,
): Promise<string> {
  const once = async (): Promise<string> => {
    tries.attempts++;
    const slow = AbortSignal.timeout(Math.ceil(limitMs / TRIES_IN_LIMIT));
    try {
      return await channel.deliver(alert, { signal: AbortSignal.any([signal, slow]) });
    } catch (error) {
      if (signal.aborted) throw error;
      tries.last = slow.aborted ? new DropsError("notify/unreachable", "no answer") : error;
      throw tries.last;
    }
  };
  return pRetry(once, {
    retries: RETRIES,
    minTimeout: FIRST_PAUSE_MS,
    maxTimeout: LONGEST_PAUSE_MS,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isFailure(error) && error.retryable,
  });
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const now = () => reject(signal.reason);
    if (signal.aborted) now();
    else signal.addEventListener("abort", now, { once: true });
  });
}

function whyOf(cause: unknown): string {
  return cause === undefined ? "no answer" : messageOf(cause);
}
