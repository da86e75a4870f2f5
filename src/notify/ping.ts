import type { PingPolicy } from "../policy/notify-schema.ts";
import { head } from "./bounds.ts";
import type { Channel } from "./channel.ts";
import { call } from "./http-call.ts";
import type { Alert } from "./report.ts";
import { readTarget } from "./secret-text.ts";

/** A watchdog that misses us when we do not call: told of every run, so that silence is trouble too. */
export function pingChannel(policy: PingPolicy): Channel {
  const { name, kind, verbs, style } = policy;
  // it knows up and down alone: a start is neither, and sent as "up" it would end an alarm
  const on = style === "uptime-kuma" ? policy.on.filter((event) => event !== "start") : policy.on;
  return {
    ...{ name, kind, on, verbs },
    deliver: async (alert, how) => {
      const target = await readTarget(policy);
      if (style === "uptime-kuma")
        return call({ ...target, url: pushed(target.url, alert) }, { method: "GET" }, how);
      const url = withSuffix(target.url, SUFFIX[alert.event]);
      return call({ ...target, url }, { method: "POST", contentType: TEXT, body: textOf(alert) }, how);
    },
  };
}

const TEXT = "text/plain; charset=utf-8";

/** Of healthchecks.io's protocol; `log` is noted there and changes nothing. */
const SUFFIX: Readonly<Record<Alert["event"], string>> = {
  start: "/start",
  success: "",
  recovered: "",
  partial: "/fail",
  failure: "/fail",
  test: "/log",
};

function withSuffix(base: URL, suffix: string): URL {
  const url = new URL(base);
  if (suffix !== "") url.pathname = url.pathname.replace(/\/+$/, "") + suffix;
  return url;
}

function textOf({ title, message, log = "" }: Alert): string {
  return `${title}\n${message}\n${log === "" ? "" : `\n${log}\n`}`;
}

/** What Uptime Kuma's page shows beside each of its pushes. A test is an "up" that says so. */
function pushed(base: URL, alert: Alert): URL {
  const url = new URL(base);
  const down = alert.event === "failure" || alert.event === "partial";
  url.searchParams.set("status", down ? "down" : "up");
  url.searchParams.set(
    "msg",
    head(down ? `${alert.title}: ${alert.failure?.message ?? ""}` : alert.title, 200),
  );
  if (alert.seconds !== undefined) url.searchParams.set("ping", String(Math.round(alert.seconds * 1000)));
  return url;
}
