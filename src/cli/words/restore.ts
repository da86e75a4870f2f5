import { clean } from "../clean.ts";
import type { RestoredSource, RestoreReport } from "../outputs.ts";
import type { Paint } from "../screen.ts";
import { count, duration, notes, size, table, when } from "./format.ts";

export function restoreInWords(report: RestoreReport, paint: Paint): string {
  const { snapshot } = report;
  const later = report.laterSnapshots === 0 ? "the newest" : `${report.laterSnapshots} newer ones exist`;
  const doubt = snapshot.signature === "trusted" ? [] : [paint.red(`SIGNATURE ${snapshot.signature}`)];
  return [
    `${paint.bold(`snapshot ${snapshot.id}`)} of ${report.policy}, ${snapshot.state}, ` +
      `${when(snapshot.ended, report.zone)} (${duration(report.ageSeconds)} old, ${later})`,
    ...doubt,
    "",
    table(["source", "outcome", "files", "size", "directory"], report.sources.map(row), {
      right: ["files", "size"],
    }),
    ...report.sources.flatMap(details),
    "",
    `${count(report.files, "file")}, ${size(report.bytes)} from ${count(report.packs, "pack")} ` +
      `in ${duration(report.seconds)}, every byte authenticated`,
    ...notes(report.notes),
    ...(report.next.length > 0 ? ["", "next:", ...report.next.map((step) => `  ${clean(step)}`)] : []),
  ].join("\n");
}

function row(source: RestoredSource): string[] {
  const files = source.files.toLocaleString("en");
  return [source.name, source.outcome, files, size(source.bytes), source.directory];
}

function details(source: RestoredSource): string[] {
  const listed = notes(source.notes).map((line) => line.replace("note:", `${source.name}:`));
  return source.error ? [`  ${source.name} failed: ${clean(source.error.message)}`, ...listed] : listed;
}
