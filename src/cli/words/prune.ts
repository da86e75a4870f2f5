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
    ...row("condemned", condemned, "a later prune frees them"),
    ...row("waiting", waiting, "condemned less than a day ago", true),
    ...row("young", young, "a backup may be about to refer to them", true),
    ...row("in use", inUse, "a snapshot that landed meanwhile needs them", true),
    ...report.quarantined.map(({ key, why }) => `  quarantine ${key}: ${why}`),
    ...report.refused.flatMap(({ why, hint }) => [`  refused: ${why}`, `    ${hint}`]),
    `  ${report.promise}`,
    ...notes(report.notes),
  ].join("\n");
}

function removedInWords({ removed, held }: PruneReport): string[] {
  if (held === undefined)
    return row("removed", removed, "freed where the store keeps no versions and locks nothing");
  if (held.objects === 0) return row("freed", removed, "no version or lock holds them");
  return [
    ...row("removed", removed, "hidden; they are freed when nothing holds them"),
    ...row("held", held, "removed now or earlier, and not freed: versions or Object Lock hold them"),
  ];
}

function row(name: string, { objects, bytes }: Objects, what: string, onlyIfAny = false): string[] {
  if (objects === 0) return onlyIfAny ? [] : [`  ${name.padEnd(9)}  nothing`];
  return [`  ${name.padEnd(9)}  ${inBytes(bytes)} in ${counted(objects, "object")}: ${what}`];
}
