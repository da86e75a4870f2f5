import { inBytes } from "../../lib/units.ts";
import { counted, duration } from "../../lib/words.ts";
import type { KeeperReport } from "../../retention/report.ts";
import type { Paint } from "../screen.ts";
import { notes, when } from "./format.ts";

/** So many of each kind are named; --json names all. */
const MOST = 20;

export function keeperInWords(report: KeeperReport, paint: Paint): string {
  const { zone, extended, enough, dryRun } = report;
  const head = `${paint.bold(`keeper of ${report.policy}`)} in ${report.store}`;
  return [
    `${head}: ${counted(report.snapshots, "snapshot")}, in ${duration(report.seconds)}`,
    row(dryRun ? "due" : "extended", extended, `${report.mode} mode`),
    row("enough", enough, "locked for long enough"),
    ...(report.lockedUntil === undefined
      ? [`  ${paint.red("not everything is locked")}`]
      : [`  all that they need is locked until ${when(report.lockedUntil, zone)} at least`]),
    ...(report.furthest === undefined ? [] : [`  the last lock ends ${when(report.furthest, zone)}`]),
    ...(report.otherMode > 0
      ? [
          `  ${counted(report.otherMode, "object")} are locked in another mode than ${report.mode}, and keep it`,
        ]
      : []),
    ...list(report.problems, (why) => `${paint.red("problem")}: ${why}`),
    ...list(report.missing, ({ key, bytes }) => `${paint.red("missing")}: ${key}, ${bytes} bytes`),
    ...list(report.hidden, (one) => `${paint.red("hidden")}: ${hiddenInWords(one, zone)}`),
    ...list(report.failed, ({ key, why }) => `${paint.red("not extended")}: ${key}: ${why}`),
    ...list(report.unbelieved, (key) => `not locked: nobody trusted signed ${key}`),
    ...list(report.removedEarly, (key) => `removed before its time, or the rules were changed: ${key}`),
    ...notes(report.notes),
  ].join("\n");
}

function hiddenInWords(
  { key, version, by, marker, since }: KeeperReport["hidden"][number],
  zone: string,
): string {
  const what = marker ? "by a delete marker" : "by an overwrite";
  return `${key} ${what} (${by}) since ${when(since, zone)}; the right version is ${version}`;
}

function row(name: string, { objects, bytes }: KeeperReport["extended"], what: string): string {
  return `  ${name.padEnd(8)}  ${objects === 0 ? "nothing" : `${inBytes(bytes)} in ${counted(objects, "object")}: ${what}`}`;
}

function list<Item>(items: readonly Item[], inWords: (item: Item) => string): string[] {
  const shown = items.slice(0, MOST).map((item) => `  ${inWords(item)}`);
  return items.length > MOST ? [...shown, `  … and ${items.length - MOST} more (--json shows all)`] : shown;
}
