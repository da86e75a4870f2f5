import type { MailPolicy } from "../policy/notify-schema.ts";
import type { Channel } from "./channel.ts";
import { mailMessage } from "./mail-message.ts";
import { runProgram } from "./run-program.ts";

/** sysexits(3): the mail system asks to be tried again. */
const EX_TEMPFAIL = 75;

/** By the machine's own mail program, which queues, knows the relay and holds its password. */
export function mailChannel(policy: MailPolicy, from: { readonly machine: string }): Channel {
  const { name, kind, on, verbs, to, sendmail } = policy;
  const sender = policy.from ?? `drops@${/^[A-Za-z0-9.-]+$/.test(from.machine) ? from.machine : "localhost"}`;
  return {
    ...{ name, kind, on, verbs },
    deliver: async (alert, how) => {
      const envelope = policy.from === undefined ? [] : ["-f", policy.from];
      // -i: a line with a single dot does not end it; --: an address is never an option
      const argv = [...sendmail, "-i", ...envelope, "--", ...to];
      const input = mailMessage(alert, { from: sender, to });
      await runProgram({ what: "sendmail", argv, input, env: {}, later: [EX_TEMPFAIL] }, how);
      return `${sendmail[0] ?? ""} took it`;
    },
  };
}
