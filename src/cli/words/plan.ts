import { inBytes } from "../../lib/units.ts";
import { counted } from "../../lib/words.ts";
import type { PlannedSnapshot, PlanReport } from "../../retention/report.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";
import { planCalendar } from "./plan-calendar.ts";

const PLAIN: Pick<Paint, "bold" | "red" | "width"> = { bold: (text) => text, red: (text) => text };

export function planInWords(
  report: PlanReport,
  paint: Pick<Paint, "bold" | "red" | "width"> = PLAIN,
): string {
  const { snapshots, zone, policy, store } = report;
  const title = paint.bold(`plan of ${policy}`);
  const forWhen =
    report.next === undefined
      ? `as it will be at ${when(report.at, zone)}, with a backup every night`
      : `at ${when(report.at, zone)}`;
  return [
    `${title} in ${store}, ${forWhen}`,
    `  rules: ${rulesInWords(report.rules)}`,
    "",
    ...(snapshots.length === 0
      ? ["no snapshots"]
      : [
          table(
            ["ended", "id", "only it holds", "", "why", "goes"],
            snapshots.map((snapshot) => row(snapshot, zone)),
            { right: ["only it holds"], width: paint.width },
          ),
          "",
          planCalendar(snapshots, zone),
        ]),
    "",
    report.promise,
    ...nextInWords(report),
    ...report.refusals.flatMap(({ why, hint }) => [
      `${paint.red("a prune would refuse")}: ${why}`,
      `  ${hint}`,
    ]),
    ...notes(report.notes),
  ].join("\n");
}

function row(snapshot: PlannedSnapshot, zone: string): string[] {
  const { keep, quarantined, imagined, goes } = snapshot;
  return [
    when(snapshot.ended, zone),
    imagined ? "(to come)" : snapshot.id,
    imagined ? "" : inBytes(snapshot.bytesAlone),
    quarantined === undefined ? (keep ? "keep" : "GOES") : "QUARANTINE",
    snapshot.reasons.join(", "),
    goes === undefined || !keep ? "" : when(goes, zone).slice(0, 10),
  ];
}

function rulesInWords({ rules, ...counts }: PlanReport["rules"]): string {
  const named = Object.entries(counts).filter(([, many]) => many > 0);
  return `${rules}, ${named.map(([rule, many]) => `${many} ${rule}`).join(", ")}`;
}

function nextInWords({ next, stored, snapshots, held }: PlanReport): string[] {
  if (!next) return [];
  const later = next.condemn.bytes + next.waiting.bytes;
  return [
    `the next prune forgets ${next.forget} of ${counted(snapshots.length, "snapshot")} and frees ${inBytes(next.remove.bytes)} of ${inBytes(stored.bytes)}`,
    ...(later > 0 ? [`  ${inBytes(later)} more are freed by later prunes`] : []),
    ...(held && held.bytes > 0
      ? [`  ${inBytes(held.bytes)} were removed earlier, but are kept by versions or Object Lock`]
      : []),
    ...(next.young.bytes > 0
      ? [`  ${inBytes(next.young.bytes)} are too young: a running backup may need them`]
      : []),
  ];
}
