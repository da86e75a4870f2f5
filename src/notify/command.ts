import type { CommandChannelPolicy } from "../policy/notify-schema.ts";
import type { Channel } from "./channel.ts";
import { jsonOf } from "./json-body.ts";
import type { Alert } from "./report.ts";
import { runProgram } from "./run-program.ts";

/** A program of the administrator's: the webhook's body on its input, the main facts in its environment. */
export function commandChannel(policy: CommandChannelPolicy): Channel {
  const { name, kind, on, verbs, argv } = policy;
  return {
    ...{ name, kind, on, verbs },
    deliver: async (alert, how) => {
      const input = `${jsonOf(alert)}\n`;
      await runProgram({ what: argv[0] ?? "", argv, input, env: variables(alert) }, how);
      return "exit status 0";
    },
  };
}

/** docs/alerts.md lists them. Environments hold no zero bytes; escaped text has none. */
function variables(alert: Alert): Record<string, string> {
  const all: Record<string, string | undefined> = {
    DROPS_EVENT: alert.event,
    DROPS_REMINDER: alert.reminder ? "1" : "0",
    DROPS_ID: alert.id,
    DROPS_TITLE: alert.title,
    DROPS_MESSAGE: alert.message,
    DROPS_POLICY_NAME: alert.policy,
    DROPS_VERB: alert.verb,
    DROPS_MACHINE: alert.machine,
    DROPS_AT: alert.at,
    DROPS_EXIT_CODE: alert.exitCode?.toString(),
    DROPS_FAILURE: alert.failure?.code,
  };
  const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, value.replaceAll("\0", "")]));
}
