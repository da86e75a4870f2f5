/** Alerts: from the policy's `notify` to channels, what was told before, and this machine's name. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { openLocalHost } from "../host/local.ts";
import type { Cancel } from "../lib/cancel.ts";
import { cleanBlock } from "../lib/clean.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { milliseconds } from "../lib/units.ts";
import { findPolicy, POLICY_DIRS } from "../policy/find.ts";
import { loadPolicy } from "../policy/load.ts";
import { type AlertPolicy, alertPolicyOf, readNotifyAlone } from "../policy/notify-alone.ts";
import { type AlertVerb, NO_CHANNELS } from "../policy/notify-schema.ts";
import { bookFile } from "./book.ts";
import type { Channel } from "./channel.ts";
import { composeTest } from "./compose.ts";
import { deliverAll } from "./deliver.ts";
import { type Death, tellOfDeath, unitOf } from "./failed-unit.ts";
import { openChannels } from "./open-channels.ts";
import type { AlertsAccess, NotifyFailedReport, NotifyTestReport } from "./report.ts";
import type { TellParts } from "./tell.ts";
import { type Teller, tellerOf } from "./teller.ts";

/** Alerts of one policy. */
export interface Alerts {
  /** For one run of a verb, from now on. Undefined when the policy names nobody to tell. */
  teller(verb: AlertVerb): Teller | undefined;
  /** Never throws for a channel that cannot be told: that is in the report. Throws usage/invalid where there is none. */
  test(how: { readonly channel: string | undefined } & Cancel): Promise<NotifyTestReport>;
  /** Of a unit that failed, whoever has not heard it of the run itself. */
  failed(how: { readonly unit: string } & Cancel): Promise<NotifyFailedReport>;
}

/** Of a unit's log. */
const LOG_LINES = 60;

/** Throws as `loadPolicy` does, unless its `notify` can be read at least. */
export async function openAlerts(access: AlertsAccess, context: AppContext): Promise<Alerts> {
  const policy = await alertPolicy(access, context);
  const notify = policy.notify ?? NO_CHANNELS;
  const machine = hostname();
  const channels = openChannels(notify.channels, { machine });
  const limitMs = milliseconds(notify.time_limit);
  const parts = (verb: AlertVerb, invocation: string | undefined): TellParts => ({
    run: { policy: policy.name, zone: policy.zone, verb, machine, started: context.now() },
    channels,
    file: bookFile(notify.state_directory, policy.name, verb),
    limitMs,
    rpoMs: milliseconds(policy.rpo),
    invocation,
    now: context.now,
    id: randomUUID,
    warn: access.warn,
  });
  return {
    teller: (verb) => (channels.length > 0 ? tellerOf(parts(verb, context.env["INVOCATION_ID"])) : undefined),
    test: async ({ channel, signal }) => {
      const wanted = chosen(channels, channel, policy.name);
      const letters = wanted.map((each) => {
        const alert = composeTest({ policy: policy.name, machine }, randomUUID(), context.now());
        return { channel: each, alert };
      });
      const deliveries = await deliverAll(letters, { limitMs, signal });
      signal.throwIfAborted();
      return { policy: policy.name, channels: deliveries };
    },
    failed: async ({ unit, signal }) => {
      const { verb } = unitOf(unit, policy.name) ?? refuseUnit(unit, policy.name);
      const common = { policy: policy.name, unit, verb };
      if (channels.length === 0) return { ...common, toldByItself: false, channels: [] };
      const { MONITOR_INVOCATION_ID: invocation } = context.env;
      const log = await logOf(unit, invocation, { signal });
      const told = await tellOfDeath(
        parts(verb, invocation),
        { ...deathOf(unit, context.env), log },
        { signal },
      );
      signal.throwIfAborted();
      return { ...common, toldByItself: told.byItself, channels: told.deliveries };
    },
  };
}

function chosen(channels: readonly Channel[], name: string | undefined, policy: string): readonly Channel[] {
  const wanted = channels.filter((channel) => name === undefined || channel.name === name);
  if (wanted.length > 0) return wanted;
  if (channels.length === 0) {
    throw new DropsError("usage/invalid", `the policy ${policy} has no notify: there is nobody to alert`, {
      hint: "docs/alerts.md has examples",
    });
  }
  throw new DropsError("usage/invalid", `the policy ${policy} has no channel ${name}`, {
    hint: channels.map((each) => `drops notify test ${each.name}`).join("  or  "),
  });
}

function deathOf(unit: string, env: AppContext["env"]): Death {
  const { MONITOR_SERVICE_RESULT: result, MONITOR_EXIT_CODE: code, MONITOR_EXIT_STATUS: status } = env;
  return { unit, result, code, status };
}

async function alertPolicy(access: AlertsAccess, context: AppContext): Promise<AlertPolicy> {
  const file = await findPolicy(access.policy, { fromEnv: context.env["DROPS_POLICY"], dirs: POLICY_DIRS });
  try {
    return alertPolicyOf(await loadPolicy(file));
  } catch (error) {
    const alone = isFailure(error, "policy/invalid") ? await readNotifyAlone(file) : undefined;
    if (!alone) throw error;
    return alone;
  }
}

function refuseUnit(unit: string, policy: string): never {
  throw new DropsError("usage/invalid", `${unit} is not a drops unit of the policy ${policy}`, {
    hint: `drops notify failed drops-backup@${policy}.service`,
  });
}

/** The last lines of that run, as far as this user may read them. */
async function logOf(unit: string, invocation: string | undefined, how: Cancel): Promise<readonly string[]> {
  const ofRun = [`_SYSTEMD_INVOCATION_ID=${invocation}`, "+", `INVOCATION_ID=${invocation}`]; // it, or systemd about it
  const which = invocation === undefined ? ["-u", unit] : ofRun;
  const argv = ["journalctl", "-q", "--no-pager", "-o", "cat", "-n", String(LOG_LINES), ...which];
  await using host = await openLocalHost();
  try {
    const { stdout } = await host.run(argv, how);
    const lines = cleanBlock(stdout.toString("utf8")).split("\n");
    return lines.filter((line) => line !== "");
  } catch (error) {
    how.signal.throwIfAborted();
    if (isFailure(error)) return []; // no journal, or none for this user: the alert goes without
    throw error;
  }
}
