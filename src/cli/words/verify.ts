import { clean } from "../clean.ts";
import type { VerifyReport } from "../outputs.ts";
import type { Paint } from "../screen.ts";
import { count, duration, notes, size, table, when } from "./format.ts";

export function verifyInWords(report: VerifyReport, paint: Paint): string {
  const intact = report.snapshots.filter((snapshot) => snapshot.intact).length;
  return [
    `${count(report.snapshots.length, "snapshot")} of ${report.policy} in ${report.store}: ` +
      `${report.damage.length === 0 ? paint.green(`${intact} intact`) : paint.red(`${intact} intact`)}`,
    `${count(report.objects, "object")} (${size(report.objectBytes)}) looked for by name and size; ${reading(report)}`,
    ...broken(report),
    ...report.damage.slice(0, 50).map(({ key, problem, snapshots }) => {
      return `  ${clean(key)}: ${clean(problem)}; needed by ${snapshots.join(", ")}`;
    }),
    ...sources(report),
    ...notes(report.notes),
    `in ${duration(report.seconds)}`,
  ].join("\n");
}

function reading({ packsRead, bytesRead, opened }: VerifyReport): string {
  if (packsRead === 0) return "no data was read back (--read-data does)";
  const how = opened
    ? "opened and every chunk compared with its name"
    : "compared with their names, not opened";
  return `${count(packsRead, "pack")} (${size(bytesRead)}) read back, ${how}`;
}

function broken(report: VerifyReport): string[] {
  return report.snapshots
    .filter(({ intact }) => !intact)
    .map(({ id, ended }) => `  snapshot ${id} of ${when(ended, report.zone)} cannot be restored whole`);
}

function sources(report: VerifyReport): string[] {
  if (report.sources.length === 0) return [];
  const rows = report.sources.map((each) => [each.snapshot, each.name, each.ok ? "ok" : "BAD", each.detail]);
  return ["", table(["snapshot", "source", "check", "detail"], rows)];
}
