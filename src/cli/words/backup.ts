import { clean } from "../clean.ts";
import type { BackedUpSource, BackupReport } from "../outputs.ts";
import type { Paint } from "../screen.ts";
import { count, duration, notes, size, table, when } from "./format.ts";

export function backupInWords(report: BackupReport, paint: Paint): string {
  const { snapshot } = report;
  const state = snapshot.state === "complete" ? paint.green("complete") : paint.red(snapshot.state);
  return [
    `${paint.bold(`snapshot ${snapshot.id}`)} of ${report.policy}, ${state}, ${when(snapshot.ended, report.zone)}`,
    "",
    table(HEAD, report.sources.map(row), { right: ["files", "size", "read", "new", "stored"] }),
    ...report.sources.flatMap(details),
    "",
    `${size(report.bytes)} in all, ${size(report.newBytes)} of it new, ${size(report.storedBytes)} stored in ` +
      `${count(report.packs, "pack")} in ${duration(report.seconds)}; recovery points ${duration(report.skewSeconds)} apart`,
    ...notes(report.notes),
  ].join("\n");
}

/** For alerts. */
export function backupInOneLine({ snapshot, sources, bytes, storedBytes, seconds }: BackupReport): string {
  const what = `${count(sources.length, "source")}, ${size(bytes)}, ${size(storedBytes)} of it stored anew`;
  return `snapshot ${snapshot.id}: ${what}, in ${duration(seconds)}`;
}

const HEAD = ["source", "outcome", "files", "size", "read", "new", "stored", "time"];

function row(source: BackedUpSource): string[] {
  if (source.outcome === "failed") return [source.name, "FAILED", "", "", "", "", "", ""];
  return [
    source.name,
    source.outcome,
    source.files.toLocaleString("en"),
    size(source.bytes),
    size(source.readBytes),
    size(source.newBytes),
    size(source.storedBytes),
    duration(source.seconds),
  ];
}

function details(source: BackedUpSource): string[] {
  const listed = notes(source.notes).map((line) => line.replace("note:", `${source.name}:`));
  const { error } = source;
  if (!error) return listed;
  const hint = error.hint === undefined ? [] : [`    hint: ${clean(error.hint)}`];
  return [
    `  ${source.name} ${source.outcome === "failed" ? "failed" : "is incomplete"}: ${clean(error.message)}`,
    ...hint,
    ...listed,
  ];
}
