import type { NotifyFailedReport, NotifyTestReport } from "../../notify/report.ts";
import type { Paint } from "../screen.ts";
import { table } from "./format.ts";

export function notifyTestInWords({ policy, channels }: NotifyTestReport, paint: Paint): string {
  return [`${paint.bold("alerts")} of ${policy}`, "", deliveries(channels, paint)].join("\n");
}

export function notifyFailedInWords(report: NotifyFailedReport, paint: Paint): string {
  const { unit, toldByItself, channels } = report;
  const own = toldByItself ? `${unit} reported its end itself` : `${unit} could not report its end`;
  if (channels.length === 0) return `${own}; no other channel needs an alert now`;
  return [own, "", deliveries(channels, paint)].join("\n");
}

function deliveries(channels: NotifyTestReport["channels"], paint: Paint): string {
  const rows = channels.map(({ channel, kind, delivered, said, hint }) => [
    channel,
    kind,
    delivered ? paint.green("sent") : paint.red("NOT SENT"),
    hint === undefined ? said : `${said}; ${hint}`,
  ]);
  return table(["channel", "kind", "outcome", "answer"], rows, {
    keepStyles: true,
    width: paint.width,
  });
}
