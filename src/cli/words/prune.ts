import { inBytes } from "../../lib/units.ts";
import { counted, duration } from "../../lib/words.ts";
import type { PruneReport } from "../../retention/report.ts";
import type { Paint } from "../screen.ts";
import { notes, when } from "./format.ts";

type Objects = PruneReport["removed"];

export function pruneInWords(report: PruneReport, paint: Paint): string {
  const { forgotten, condemned, waiting, young, inUse, zone } = report;
  const head = report.refused.length > 0 ? paint.red("refused") : `${counted(report.kept, "snapshot")} kept`;
  return [
    `${paint.bold(`prune of ${report.policy}`)} in ${report.store}: ${head}, in ${duration(report.seconds)}`,
    `  forgotten  ${counted(forgotten.length, "snapshot")}`,
    ...forgotten.map(({ id, ended, state }) => `             ${when(ended, zone)}  ${id}  ${state}`),
    ...removedInWords(report),
    ...row("condemned", condemned, "a later prune removes them"),
    ...row("waiting", waiting, "condemned less than a day ago", true),
    ...row("young", young, "a running backup may need them", true),
    ...row("in use", inUse, "a new snapshot needs them", true),
    ...report.quarantined.map(({ key, why }) => `  quarantine ${key}: ${why}`),
    ...report.refused.flatMap(({ why, hint }) => [`  refused: ${why}`, `    ${hint}`]),
    `  ${report.promise}`,
    ...notes(report.notes),
  ].join("\n");
}

function removedInWords({ removed, held }: PruneReport): string[] {
  if (held === undefined) return row("removed", removed, "freed, unless the store keeps versions or locks");
  if (held.objects === 0) return row("freed", removed, "no version or lock keeps them");
  return [
    ...row("removed", removed, "hidden; freed when no version or lock keeps them"),
    ...row("held", held, "removed now or earlier, but kept by versions or Object Lock"),
  ];
}

function row(name: string, { objects, bytes }: Objects, what: string, onlyIfAny = false): string[] {
  if (objects === 0) return onlyIfAny ? [] : [`  ${name.padEnd(9)}  nothing`];
  return [`  ${name.padEnd(9)}  ${inBytes(bytes)} in ${counted(objects, "object")}: ${what}`];
}
