import { clean } from "../../lib/clean.ts";
import { inBytes } from "../../lib/units.ts";
import { counted, duration } from "../../lib/words.ts";
import type { VerifyReport } from "../../verify/report.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";

export function verifyInWords(report: VerifyReport, paint: Paint): string {
  const intact = report.snapshots.filter((snapshot) => snapshot.intact).length;
  return [
    `${counted(report.snapshots.length, "snapshot")} of ${report.policy} in ${report.store}: ` +
      `${report.damage.length === 0 ? paint.green(`${intact} intact`) : paint.red(`${intact} intact`)}`,
    `${counted(report.objects, "object")} (${inBytes(report.objectBytes)}) checked by name and size; ${reading(report)}`,
    ...checksums(report),
    ...coverage(report),
    ...broken(report),
    ...report.damage.slice(0, 50).map(({ key, problem, snapshots }) => {
      return `  ${clean(key)}: ${clean(problem)}; needed by ${snapshots.join(", ")}`;
    }),
    ...sources(report, paint),
    ...published(report),
    ...notes(report.notes),
    `in ${duration(report.seconds)}`,
  ].join("\n");
}

function reading({ packsRead, bytesRead, opened, independent }: VerifyReport): string {
  if (packsRead === 0) return "no data was read back (--read-data does)";
  const how = opened
    ? `opened and every chunk compared with its name${independent ? ", by drops and by age, zlib and tar" : ""}`
    : "compared with their names, not opened";
  return `${counted(packsRead, "pack")} (${inBytes(bytesRead)}) read back, ${how}`;
}

function checksums({ checksums: found }: VerifyReport): string[] {
  if (!found) return [];
  const { from, compared, sizeOnly } = found;
  const how = from === "bytes" ? "hashed in place" : "by the server's checksums";
  const rest = sizeOnly > 0 ? `; SIZE ONLY: ${counted(sizeOnly, "object")}` : "";
  return [`${counted(compared, "object")} compared with their names, ${how}${rest}`];
}

function coverage({ coverage: found, zone }: VerifyReport): string[] {
  if (!found || found.share === 0) return [];
  const { share, since, runsLeft, by } = found;
  if (since !== undefined) return [`all data was read back since ${when(since, zone)}`];
  const rest =
    runsLeft === undefined
      ? ""
      : `; the rest in ${counted(runsLeft, "such run")}${by === undefined ? "" : `: all data read by ${when(by, zone).slice(0, 10)}`}`;
  return [`${Math.floor(share * 1000) / 10} % of the data was read back so far${rest}`];
}

function published({ evidence }: VerifyReport): string[] {
  if (!evidence) return [];
  const marked = evidence.marked > 0 ? `, ${counted(evidence.marked, "object")} marked as damaged` : "";
  return [`published: ${clean(evidence.key)}${marked}`];
}

function broken(report: VerifyReport): string[] {
  return report.snapshots
    .filter(({ intact }) => !intact)
    .map(({ id, ended }) => `  snapshot ${id} of ${when(ended, report.zone)} cannot be restored whole`);
}

function sources(report: VerifyReport, { width }: Paint): string[] {
  if (report.sources.length === 0) return [];
  const rows = report.sources.map((each) => [each.snapshot, each.name, each.ok ? "ok" : "BAD", each.detail]);
  return ["", table(["snapshot", "source", "check", "detail"], rows, { width })];
}
