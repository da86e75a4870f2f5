/** Alerts: from the policy's `notify` to channels, what was told before, and this machine's name. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { AppContext } from "./cli/app.ts";
import { cleanBlock } from "./cli/clean.ts";
import type { Alerts, AlertsAccess } from "./cli/notify-app.ts";
import type { NotifyFailedReport, NotifyTestReport } from "./cli/notify-outputs.ts";
import { openLocalHost } from "./host/local.ts";
import type { Cancel } from "./lib/cancel.ts";
import { DropsError, isFailure } from "./lib/errors.ts";
import { milliseconds } from "./lib/units.ts";
import { bookFile } from "./notify/book.ts";
import { composeTest } from "./notify/compose.ts";
import { deliverAll } from "./notify/deliver.ts";
import { tellOfDeath, unitOf } from "./notify/failed-unit.ts";
import { openChannels, programEnvironment } from "./notify/open-channels.ts";
import type { TellParts } from "./notify/tell.ts";
import { tellerOf } from "./notify/teller.ts";
import { findPolicy, POLICY_DIRS } from "./policy/find.ts";
import { loadPolicy } from "./policy/load.ts";
import { type AlertPolicy, alertPolicyOf, readNotifyAlone } from "./policy/notify-alone.ts";
import type { AlertVerb } from "./policy/notify-schema.ts";

/** Of a unit's log. */
const LOG_LINES = 60;

/** Undefined when the policy names no channel. Throws as `loadPolicy` does, unless its `notify` can be read at least. */
export async function openAlerts(access: AlertsAccess, context: AppContext): Promise<Alerts | undefined> {
  const policy = await alertPolicy(access, context);
  if (!policy) return undefined;
  const machine = hostname();
  const channels = openChannels(policy.notify.channels, { machine, env: programEnvironment(context.env) });
  const parts = (verb: AlertVerb, invocation: string | undefined): TellParts => ({
    run: { policy: policy.name, zone: policy.zone, verb, machine, started: context.now() },
    channels,
    file: bookFile(policy.notify.state_directory, policy.name, verb),
    limitMs: milliseconds(policy.notify.time_limit),
    rpoMs: milliseconds(policy.rpo),
    invocation,
    now: context.now,
    id: randomUUID,
    warn: access.warn,
  });
  return {
    teller: (verb) => tellerOf(parts(verb, context.env["INVOCATION_ID"])),
    test: async ({ channel, signal }): Promise<NotifyTestReport> => {
      const wanted = channels.filter(({ name }) => channel === undefined || name === channel);
      if (wanted.length === 0) {
        throw new DropsError("usage/invalid", `the policy ${policy.name} names no channel ${channel}`, {
          hint: channels.map(({ name }) => `drops notify test ${name}`).join("  or  "),
        });
      }
      const of = { policy: policy.name, machine };
      const letters = wanted.map((each) => {
        return { channel: each, alert: composeTest(of, randomUUID(), context.now()) };
      });
      const limitMs = milliseconds(policy.notify.time_limit);
      const deliveries = await deliverAll(letters, { limitMs, signal });
      signal.throwIfAborted();
      return { policy: policy.name, channels: deliveries };
    },
    failed: async ({ unit, signal }): Promise<NotifyFailedReport> => {
      const { verb } = unitOf(unit) ?? refuseUnit(unit);
      const { env } = context;
      const invocation = env["MONITOR_INVOCATION_ID"];
      const death = {
        unit,
        result: env["MONITOR_SERVICE_RESULT"],
        code: env["MONITOR_EXIT_CODE"],
        status: env["MONITOR_EXIT_STATUS"],
        log: await logOf(unit, invocation, { signal }),
      };
      const told = await tellOfDeath(parts(verb, invocation), death, { signal });
      signal.throwIfAborted();
      return {
        policy: policy.name,
        unit,
        verb,
        toldByItself: told.byItself,
        channels: told.deliveries,
      };
    },
  };
}

async function alertPolicy(access: AlertsAccess, context: AppContext): Promise<AlertPolicy | undefined> {
  const file = await findPolicy(access.policy, { fromEnv: context.env["DROPS_POLICY"], dirs: POLICY_DIRS });
  try {
    return alertPolicyOf(await loadPolicy(file));
  } catch (error) {
    const alone = isFailure(error, "policy/invalid") ? await readNotifyAlone(file) : undefined;
    if (!alone) throw error;
    return alone;
  }
}

function refuseUnit(unit: string): never {
  throw new DropsError("usage/invalid", `${unit} is no unit of drops`, {
    hint: "drops notify failed drops-backup@POLICY.service",
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
