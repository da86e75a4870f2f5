/** What `drops notify` answers, and what channels are sent. */
import * as z from "zod";
import type { PolicyAccess } from "../lib/access.ts";
import { Count, type ReportOf, Seconds, Time } from "../lib/report-fields.ts";
import { ALERT_EVENTS, ALERT_VERBS } from "../policy/notify-schema.ts";

const Delivery = z.object({
  channel: z.string(),
  kind: z.enum(["ping", "webhook", "mail", "command"]),
  delivered: z.boolean(),
  said: z.string().describe("what the other side answered, or why it could not be told"),
  hint: z.string().optional(),
  attempts: Count,
});

export const NotifyTestReport = z.object({
  policy: z.string(),
  channels: z.array(Delivery).readonly().describe("exit 0 when all of them were delivered, else 21"),
});

export const NotifyFailedReport = z.object({
  policy: z.string(),
  unit: z.string(),
  verb: z.enum(ALERT_VERBS),
  toldByItself: z.boolean().describe("whether the run could tell of its end itself"),
  channels: z.array(Delivery).readonly().describe("that were told now"),
});

/** The body of a webhook and the input of a command. */
export const AlertBody = z.object({
  format: z.literal("drops-alert-1"),
  id: z.string().describe("the same whenever this alert is sent again"),
  event: z.enum([...ALERT_EVENTS, "test"]),
  reminder: z.boolean().describe("told before, and still so"),
  title: z.string().describe("one line of at most 120 bytes"),
  message: z.string().describe("a few lines, at most 1800 bytes"),
  priority: z.int().min(1).max(5).describe("3 is usual, 4 is trouble"),
  tags: z.array(z.string()).readonly(),
  policy: z.string(),
  verb: z.enum(ALERT_VERBS).optional().describe("absent in a test"),
  machine: z.string().describe("that drops ran on"),
  at: Time,
  started: Time.optional(),
  seconds: Seconds.optional(),
  exitCode: z.int().optional().describe("absent when it was killed"),
  failure: z
    .object({
      code: z.string().describe("such as host/unreachable; `bug`; `killed`"),
      message: z.string(),
      hint: z.string().optional().describe("the next command"),
    })
    .optional(),
  lastGood: Time.optional().describe("when it last went well, as far as this machine remembers"),
  since: Time.optional().describe("when it first failed after that"),
  log: z.string().optional().describe("the last lines, at most 3500 bytes"),
});

/** What the bodies of all channels are made of; docs/alerts.md describes it. */
export type Alert = ReportOf<typeof AlertBody>;
/** All of it printable: whoever makes it has escaped what is foreign. */
export type AlertFailure = NonNullable<Alert["failure"]>;
export type Delivery = ReportOf<typeof Delivery>;
export type NotifyTestReport = ReportOf<typeof NotifyTestReport>;
export type NotifyFailedReport = ReportOf<typeof NotifyFailedReport>;

export interface AlertsAccess extends PolicyAccess {
  /** For what went wrong with an alert: one line. */
  readonly warn: (line: string) => void;
}
