import { type DropsError, isFailure } from "../lib/errors.ts";
import { GENERAL_HINTS } from "./hints.ts";
import type { Screen } from "./screen.ts";

export const EXIT_BUG = 1;
/** Why a call ends whose reader has gone, as `drops ls DATE SOURCE | head` does: that is no failure to tell of. */
export const READER_GONE = "standard output was closed by its reader";

/**
 * Tell what went wrong, and return the exit code. A foreseen failure is a sentence and a hint; anything else is a bug
 * and shows its stack. With --json an error object is the command's one value, unless it has answered already.
 */
export function fail(error: unknown, screen: Screen, signal: AbortSignal): number {
  const cause = meant(error, signal);
  const foreseen = isFailure(cause) ? cause : undefined;
  if (foreseen?.message === READER_GONE) return foreseen.exitCode;
  const code = foreseen?.code ?? "bug";
  const message = foreseen?.message ?? (cause instanceof Error ? cause.message : String(cause));
  const hint = foreseen && hintOf(foreseen);
  if (screen.json && !screen.hasAnswered) {
    const value = { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
    screen.show(value, () => message);
  }
  screen.complain(foreseen ? inWords(foreseen, hint) : bugInWords(cause));
  return foreseen?.exitCode ?? EXIT_BUG;
}

/** The thrower knows best. */
function hintOf({ code, hint }: DropsError): string | undefined {
  if (hint !== undefined) return hint;
  return code === "interrupted" ? undefined : GENERAL_HINTS[code];
}

/** How a call ends that was interrupted, or whose output nobody reads any more. */
const BROKEN_OFF = ["EPIPE", "ERR_STREAM_DESTROYED", "ERR_STREAM_PREMATURE_CLOSE"];

/** An interrupted call fails in many ways; once there is a reason for that, it is the one to tell. */
export function meant(error: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted || !(error instanceof Error)) return error;
  const code = "code" in error ? String(error.code) : "";
  return error.name === "AbortError" || BROKEN_OFF.includes(code) ? signal.reason : error;
}

/** Continuation lines are indented, so that a foreign message cannot pass for another line of ours. */
function inWords(failure: DropsError, said: string | undefined): string {
  const message = failure.message.replaceAll("\n", "\n  ").replaceAll(/^ {4}/gm, "  ");
  const hint = said === undefined ? "" : `\nhint: ${said.replaceAll("\n", "\n  ")}`;
  return `drops: ${message}${hint}`;
}

function bugInWords(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const cause =
    error instanceof Error && error.cause !== undefined ? `\ncaused by: ${String(error.cause)}` : "";
  return `drops: ${stack}${cause}\nthis is a bug: please report it with the lines above`;
}
