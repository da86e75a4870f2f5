import type { AlertEvent, AlertVerb } from "../policy/notify-schema.ts";
import { wallTime } from "../policy/zone.ts";
import type { Outcome } from "./alert.ts";
import { head, MOST, tail } from "./bounds.ts";
import type { Alert } from "./report.ts";

/** What every alert of a run has in common. */
export interface Run {
  readonly policy: string;
  readonly zone: string;
  readonly verb: AlertVerb;
  readonly machine: string;
  readonly started: Date;
}

export interface ToSay {
  readonly id: string;
  readonly event: AlertEvent;
  readonly reminder: boolean;
  readonly at: Date;
  readonly outcome?: Outcome | undefined;
  readonly lastGood?: string | undefined;
  readonly since?: string | undefined;
}

/** ntfy's numbers: a success is quiet, trouble is loud. */
const PRIORITY: Readonly<Record<AlertEvent, number>> = {
  start: 2,
  success: 2,
  recovered: 3,
  partial: 4,
  failure: 4,
};
/** Names of pictures in ntfy; words elsewhere. */
const TAG: Readonly<Record<AlertEvent, string>> = {
  start: "arrow_forward",
  success: "white_check_mark",
  recovered: "white_check_mark",
  partial: "warning",
  failure: "rotating_light",
};

/** One alert in words and facts, every part of it bounded. */
export function compose(run: Run, say: ToSay): Alert {
  const { outcome, event, at } = say;
  const failure = isTrouble(event) ? outcome?.failure : undefined;
  const log = outcome && event !== "recovered" ? tail(outcome.log, MOST.log) : "";
  return {
    format: "drops-alert-1",
    id: say.id,
    event,
    reminder: say.reminder,
    title: head(titleOf(run, say), MOST.title),
    message: head(messageOf(run, say), MOST.message),
    priority: PRIORITY[event],
    tags: ["drops", TAG[event]],
    policy: run.policy,
    verb: run.verb,
    machine: run.machine,
    at: at.toISOString(),
    started: run.started.toISOString(),
    ...(event !== "start" && { seconds: Math.max(0, (at.getTime() - run.started.getTime()) / 1000) }),
    ...(outcome?.exitCode !== undefined && { exitCode: outcome.exitCode }),
    ...(failure && {
      failure: {
        code: failure.code,
        message: head(failure.message, MOST.line),
        ...(failure.hint !== undefined && { hint: head(failure.hint, MOST.line) }),
      },
    }),
    ...(say.lastGood !== undefined && { lastGood: say.lastGood }),
    ...(say.since !== undefined && { since: say.since }),
    ...(log !== "" && { log }),
  };
}

/** For `drops notify test`. */
export function composeTest(of: Omit<Run, "verb" | "zone" | "started">, id: string, at: Date): Alert {
  return {
    format: "drops-alert-1",
    id,
    event: "test",
    reminder: false,
    title: head(`drops: a test of the alerts of ${of.policy}`, MOST.title),
    message: `Nothing happened: drops notify test was run on ${of.machine}, and this channel works.`,
    priority: 3,
    tags: ["drops", "test_tube"],
    policy: of.policy,
    machine: of.machine,
    at: at.toISOString(),
  };
}

function titleOf({ policy, verb }: Run, { event, reminder, outcome }: ToSay): string {
  const what = `drops: ${verb} of ${policy}`;
  switch (event) {
    case "start":
      return `${what} started`;
    case "success":
      return `${what} went well`;
    case "recovered":
      return `${what} is well again`;
    case "partial":
      return `${what} is ${reminder ? "still " : ""}partial`;
    case "failure": {
      const verdict = verb === "status" && outcome?.failure?.code === "status/not-green";
      if (verdict) return `drops: ${policy} is ${reminder ? "still " : ""}not green`;
      return `${what} ${reminder ? "still fails" : "failed"}`;
    }
  }
}

function messageOf(run: Run, say: ToSay): string {
  const { outcome, event, since, at } = say;
  const lines: string[] = isTrouble(event) ? troubleLines(run, say) : [];
  if (since !== undefined && since !== at.toISOString()) {
    const word = event === "recovered" ? "had failed since" : "fails since";
    lines.push(`${word}: ${wallTime(new Date(since), run.zone)}`);
  }
  if (outcome?.summary !== undefined && event !== "failure") lines.push(outcome.summary);
  const exit = event === "recovered" ? undefined : outcome?.exitCode;
  lines.push(`on ${run.machine}${exit === undefined ? "" : `, exit ${exit}`}`);
  return lines.join("\n");
}

function troubleLines({ zone }: Run, { outcome, lastGood }: ToSay): string[] {
  const { message, hint } = outcome?.failure ?? {};
  return [
    ...(message === undefined ? [] : [head(message, MOST.message / 2)]),
    ...(hint === undefined ? [] : [`next: ${head(hint, MOST.line)}`]),
    ...(lastGood === undefined ? [] : [`last went well: ${wallTime(new Date(lastGood), zone)}`]),
  ];
}

function isTrouble(event: AlertEvent): boolean {
  return event === "failure" || event === "partial";
}
