import pRetry from "p-retry";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";

export interface Patience {
  /** How often a call is tried in all. */
  readonly attempts: number;
  /** Pause before the second attempt in ms; it doubles each time, with jitter of up to as much again. */
  readonly firstPauseMs: number;
}

export const PATIENCE: Patience = { attempts: 5, firstPauseMs: 250 };
const LONGEST_PAUSE_MS = 10_000;

/**
 * Does `work` until it succeeds, fails in a way that trying again cannot help (DropsError.retryable), or has been tried
 * often enough; then throws what the last attempt threw. Only for work that may be done twice; `mayRetry` is asked before
 * each further attempt where that depends on how the last one ended.
 */
export function retrying<Result>(
  work: () => Promise<Result>,
  patience: Patience,
  how: Cancel & { readonly mayRetry?: () => boolean },
): Promise<Result> {
  return pRetry(work, {
    retries: patience.attempts - 1,
    minTimeout: patience.firstPauseMs,
    maxTimeout: LONGEST_PAUSE_MS,
    randomize: true,
    signal: how.signal,
    shouldRetry: ({ error }) => isFailure(error) && error.retryable && (how.mayRetry?.() ?? true),
  });
}
