import { clean, cleanBlock } from "../lib/clean.ts";
import { isFailure } from "../lib/errors.ts";
import type { Outcome } from "../notify/alert.ts";
import type { Alerts } from "../notify/alerts.ts";
import type { AlertVerb } from "../policy/notify-schema.ts";
import { EXIT_BUG, meant } from "./fail.ts";
import type { GlobalFlags, Shell } from "./shell.ts";

/** What a verb says of its own run while it goes on. */
export interface About {
  /** One line about what was done. */
  summary?: string;
  /** Beside the failure's code, what makes a trouble the same as last time: names, never figures. */
  trouble?: string;
}

export interface ToldRun {
  readonly verb: AlertVerb;
  readonly flags: GlobalFlags & { readonly store?: string };
  /** Whether it does only a part, or nothing: such a run says nothing about how the verb stands. */
  readonly isPart?: boolean;
}

/**
 * Do a verb's work, and tell the channels of the policy how it began and ended. The work's own failure is thrown on: alerts
 * change neither that nor the exit code, and those that fail are said on standard error.
 */
export async function telling(
  shell: Shell,
  run: ToldRun,
  work: (about: About) => Promise<void>,
): Promise<void> {
  const about: About = {};
  const teller = (await alertsOf(shell, run))?.teller(run.verb);
  if (!teller) return work(about);
  teller.start();
  try {
    await work(about);
  } catch (error) {
    const hurried = shell.signal.aborted;
    // the signal that broke off the work must not break off the alert of it; a second one ends the process
    const signal = hurried ? new AbortController().signal : shell.signal;
    await teller.end(outcomeOf(error, shell, about), { hurried, signal });
    throw error;
  }
  const { recent: log } = shell.screen;
  const done = { event: "success", exitCode: 0, trouble: "", mayPass: false, log } as const;
  await teller.end({ ...done, ...summaryOf(about) }, { hurried: shell.signal.aborted, signal: shell.signal });
}

/** A policy that cannot be read at all has no channels; the verb itself says what is wrong with it. */
async function alertsOf(shell: Shell, { flags, isPart = false }: ToldRun): Promise<Alerts | undefined> {
  if (isPart || flags.notify === false || flags.store !== undefined) return undefined;
  const { openAlerts } = await shell.app();
  try {
    return await openAlerts({ policy: flags.policy, warn: shell.screen.warn }, shell.context);
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

function outcomeOf(error: unknown, shell: Shell, about: About): Outcome {
  const cause = meant(error, shell.signal);
  const common = { ...summaryOf(about), log: shell.screen.recent };
  if (!isFailure(cause)) {
    const message = clean(cause instanceof Error ? cause.message : String(cause));
    const failure = { code: "bug", message, hint: "please report it with the log" };
    return { ...common, event: "failure", exitCode: EXIT_BUG, failure, trouble: "bug", mayPass: false };
  }
  const { code, exitCode, message, hint, retryable } = cause;
  return {
    ...common,
    event: code === "backup/partial" ? "partial" : "failure",
    exitCode,
    failure: {
      code,
      message: cleanBlock(message),
      ...(hint !== undefined && { hint: cleanBlock(hint) }),
    },
    trouble: [code, about.trouble].filter((part) => part !== undefined).join(" "),
    mayPass: retryable || code === "interrupted",
  };
}

function summaryOf({ summary }: About): { readonly summary?: string } {
  return summary === undefined ? {} : { summary: clean(summary) };
}
