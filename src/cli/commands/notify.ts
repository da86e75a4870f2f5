import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import type { Alerts } from "../../notify/alerts.ts";
import type { NotifyTestReport } from "../../notify/report.ts";
import { explain, type GlobalFlags, type Shell } from "../shell.ts";

export function addNotify(program: Command, shell: Shell): void {
  const notify = program.command("notify").description("test and send alerts");
  const test = notify
    .command("test")
    .description("send a test alert to every channel, or to one, and show the answers")
    .argument("[channel]", "a channel's name")
    .action(async (channel: string | undefined, _flags: object, self: Command) => {
      const alerts = await openAlerts(shell, self.optsWithGlobals<GlobalFlags>());
      const report = await alerts.test({ channel, signal: shell.signal });
      const { notifyTestInWords } = await import("../words/notify.ts");
      shell.screen.show(report, notifyTestInWords);
      judge(report.channels);
    });
  explain(test, ["drops notify test", "drops notify test phone --json"], [21], TEST);
  const failed = notify
    .command("failed")
    .description("report a failed unit to channels that its own run could not reach; started by systemd")
    .argument("<unit>", "such as drops-backup@POLICY.service")
    .action(async (unit: string, _flags: object, self: Command) => {
      const alerts = await openAlerts(shell, self.optsWithGlobals<GlobalFlags>());
      const report = await alerts.failed({ unit, signal: shell.signal });
      const { notifyFailedInWords } = await import("../words/notify.ts");
      shell.screen.show(report, notifyFailedInWords);
      judge(report.channels);
    });
  explain(failed, ["drops notify failed drops-backup@ops.service"], [21], FAILED);
}

async function openAlerts(shell: Shell, { policy }: GlobalFlags): Promise<Alerts> {
  const { openAlerts } = await shell.app();
  // what cannot be told is in the report here, and told once
  return openAlerts({ policy, warn: () => {} }, shell.context);
}

function judge(channels: NotifyTestReport["channels"]): void {
  const [first, ...others] = channels.filter(({ delivered }) => !delivered);
  if (!first) return;
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  throw new DropsError("notify/refused", `no alert reached ${first.channel}: ${first.said}${more}`, {
    hint: first.hint ?? "drops notify test",
  });
}

const TEST = `
A test ping of the style healthchecks goes to /log, which changes no state. A test ping of the style uptime-kuma is an "up".
`;
const FAILED = `
drops-failed@UNIT.service starts this, with systemd's MONITOR_… variables. It reports runs that were killed, and tries once
more to deliver alerts that failed.
`;
