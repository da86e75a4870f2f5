import * as z from "zod";
import { milliseconds } from "../lib/units.ts";
import { AbsolutePath, Duration, Name } from "./fields.ts";

export const ALERT_VERBS = ["backup", "prune", "verify", "status", "drill", "keeper"] as const;
export const ALERT_EVENTS = ["start", "success", "partial", "failure", "recovered"] as const;

/** Under which every verb remembers whom it told what; the units may write there. */
export const DEFAULT_STATE = "/var/lib/drops/notify";

const Verbs = z.array(z.enum(ALERT_VERBS)).min(1);
const Events = z.array(z.enum(ALERT_EVENTS)).min(1);
const SECRET = "file that holds it: an address that anyone can use is a secret";
const HttpUrl = z.url({ protocol: /^https?$/, error: "an http or https address" });
const Address = z
  .string()
  .max(254)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._%+/=-]*@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, "a mail address");

const toldOfTrouble = {
  on: Events.default(["partial", "failure", "recovered"]).describe("what it is told"),
  verbs: Verbs.default([...ALERT_VERBS]).describe("of which commands"),
};

const Ping = z
  .strictObject({
    name: Name,
    kind: z.literal("ping"),
    url: HttpUrl.optional(),
    url_file: AbsolutePath.optional().describe(SECRET),
    style: z
      .enum(["healthchecks", "uptime-kuma"])
      .default("healthchecks")
      .describe("healthchecks: URL, URL/start, URL/fail; uptime-kuma: URL?status=up"),
    on: Events.default(["start", "success", "partial", "failure"]).describe("at which ends of a run"),
    verbs: Verbs.default(["backup"]).describe("of which commands; a check watches one schedule"),
  })
  .refine(hasOneUrl, ONE_URL());

const Webhook = z
  .strictObject({
    name: Name,
    kind: z.literal("webhook"),
    url: HttpUrl.optional(),
    url_file: AbsolutePath.optional().describe(SECRET),
    headers_file: AbsolutePath.optional().describe("file of `Name: value` lines, such as an Authorization"),
    fields: z
      .record(z.string().min(1), z.union([z.string(), z.number(), z.boolean()]))
      .default({})
      .describe("put into the body beside drops' own, and over them; ntfy wants `topic`"),
    ...toldOfTrouble,
  })
  .refine(hasOneUrl, ONE_URL());

const Mail = z.strictObject({
  name: Name,
  kind: z.literal("mail"),
  to: z.array(Address).min(1),
  from: Address.optional().describe("default: drops@ and this machine's name"),
  sendmail: z
    .array(z.string().min(1))
    .min(1)
    .refine(([program]) => program?.startsWith("/") === true, "a program by its absolute path")
    .default(["/usr/sbin/sendmail"])
    .describe("program and first arguments; `-i -- ADDRESS…` is added, the message is its input"),
  ...toldOfTrouble,
});

const Command = z.strictObject({
  name: Name,
  kind: z.literal("command"),
  argv: z
    .array(z.string().min(1))
    .min(1)
    .refine(([program]) => program?.startsWith("/") === true, "a program by its absolute path")
    .describe("no shell; facts come as JSON on its input and in DROPS_… variables"),
  ...toldOfTrouble,
});

const Channel = z.discriminatedUnion("kind", [Ping, Webhook, Mail, Command]);

export const Notify = z
  .strictObject({
    time_limit: Duration.default("30s")
      .refine((text) => milliseconds(text) >= 1000 && milliseconds(text) <= 300_000, "between 1s and 5m")
      .describe("for all channels together; a command ends no later than so much after its work"),
    state_directory: AbsolutePath.default(DEFAULT_STATE).describe(
      "remembers what was told, so that the same trouble is told once and then daily",
    ),
    channels: z
      .array(Channel)
      .min(1)
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "channel names must differ"),
  })
  .describe("whom to tell how nightly commands went");

export type NotifyPolicy = z.infer<typeof Notify>;

/** Of a policy that names nobody to tell. */
export const NO_CHANNELS: NotifyPolicy = { time_limit: "30s", state_directory: DEFAULT_STATE, channels: [] };
export type ChannelPolicy = NotifyPolicy["channels"][number];
export type PingPolicy = Extract<ChannelPolicy, { kind: "ping" }>;
export type WebhookPolicy = Extract<ChannelPolicy, { kind: "webhook" }>;
export type MailPolicy = Extract<ChannelPolicy, { kind: "mail" }>;
export type CommandChannelPolicy = Extract<ChannelPolicy, { kind: "command" }>;
export type AlertVerb = (typeof ALERT_VERBS)[number];
export type AlertEvent = (typeof ALERT_EVENTS)[number];

function hasOneUrl(channel: { readonly url?: unknown; readonly url_file?: unknown }): boolean {
  return (channel.url === undefined) !== (channel.url_file === undefined);
}

function ONE_URL() {
  return { error: "exactly one of url and url_file", path: ["url"] };
}
