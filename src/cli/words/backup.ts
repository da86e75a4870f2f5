import type { BackedUpSource, BackupReport } from "../../backup/report.ts";
import { clean } from "../../lib/clean.ts";
import { inBytes } from "../../lib/units.ts";
import { counted, duration } from "../../lib/words.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";

export function backupInWords(report: BackupReport, paint: Paint): string {
  const { snapshot } = report;
  const state = snapshot.state === "complete" ? paint.green("complete") : paint.red(snapshot.state);
  return [
    `${paint.bold(`snapshot ${snapshot.id}`)} of ${report.policy}, ${state}, ${when(snapshot.ended, report.zone)}`,
    "",
    table(HEAD, report.sources.map(row), {
      right: ["files", "size", "read", "new", "stored"],
      width: paint.width,
    }),
    ...report.sources.flatMap(details),
    "",
    `${inBytes(report.bytes)} total, ${inBytes(report.newBytes)} new, ${inBytes(report.storedBytes)} stored in ` +
      `${counted(report.packs, "pack")} in ${duration(report.seconds)}; recovery points ${duration(report.skewSeconds)} apart`,
    ...notes(report.notes),
  ].join("\n");
}

/** For alerts. */
export function backupInOneLine({ snapshot, sources, bytes, storedBytes, seconds }: BackupReport): string {
  const what = `${counted(sources.length, "source")}, ${inBytes(bytes)}, ${inBytes(storedBytes)} of it newly stored`;
  return `snapshot ${snapshot.id}: ${what}, in ${duration(seconds)}`;
}

const HEAD = ["source", "outcome", "files", "size", "read", "new", "stored", "time"];

function row(source: BackedUpSource): string[] {
  if (source.outcome === "failed") return [source.name, "FAILED", "", "", "", "", "", ""];
  return [
    source.name,
    source.outcome,
    source.files.toLocaleString("en"),
    inBytes(source.bytes),
    inBytes(source.readBytes),
    inBytes(source.newBytes),
    inBytes(source.storedBytes),
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
