import { clean } from "../../lib/clean.ts";
import { inBytes } from "../../lib/units.ts";
import { counted, duration } from "../../lib/words.ts";
import type { RestoredSource, RestoreReport, SourceDamage } from "../../restore/report.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";

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
      width: paint.width,
    }),
    ...report.sources.flatMap((source) => details(source, report.zone)),
    "",
    `${counted(report.files, "file")}, ${inBytes(report.bytes)} from ${counted(report.packs, "pack")} ` +
      `in ${duration(report.seconds)}, every byte authenticated`,
    ...notes(report.notes),
    ...(report.next.length > 0 ? ["", "next:", ...report.next.map((step) => `  ${clean(step)}`)] : []),
  ].join("\n");
}

function row(source: RestoredSource): string[] {
  const files = source.files.toLocaleString("en");
  return [source.name, source.outcome, files, inBytes(source.bytes), source.directory];
}

function details(source: RestoredSource, zone: string): string[] {
  const listed = notes(source.notes).map((line) => line.replace("note:", `${source.name}:`));
  const failed = source.error ? [`  ${source.name} failed: ${clean(source.error.message)}`] : [];
  return [...failed, ...listed, ...damage(source, zone)];
}

const FILES_SHOWN = 10;

/** What came back of a damaged source, or could, and what is lost. */
function damage(source: RestoredSource, zone: string): string[] {
  if (!source.damage) return [];
  const { index, packs, chunksElsewhere, wholeFiles, wholeBytes, files, older } = source.damage;
  const verb = source.outcome === "failed" ? "can be restored whole" : "restored whole";
  const lost = files.filter(({ writtenAs }) => writtenAs === undefined).length;
  const more = files.length - FILES_SHOWN;
  return [
    `  ${source.name}: ${counted(wholeFiles, "entry", "entries")} (${inBytes(wholeBytes)}) ${verb}, ` +
      `${files.length - lost} in part, ${lost} lost`,
    ...(index === undefined ? [] : [`    lost: ${clean(index)}`]),
    ...packs.map(({ pack, problem }) => `    lost: pack ${pack.slice(0, 16)}… ${clean(problem)}`),
    ...(chunksElsewhere === 0
      ? []
      : [`    ${counted(chunksElsewhere, "chunk")} found in packs of other snapshots`]),
    ...files.slice(0, FILES_SHOWN).map((file) => `    ${damagedFile(file)}`),
    ...(more > 0 ? [`    and ${counted(more, "more file", "more files")}`] : []),
    ...(older === undefined
      ? []
      : [`    another version: snapshot ${older.snapshot}, ended ${when(older.ended, zone)}`]),
  ];
}

function damagedFile({
  path,
  missing,
  size: whole,
  writtenAs,
  older,
}: SourceDamage["files"][number]): string {
  const bytes = missing.reduce((sum, { from, to }) => sum + to - from, 0);
  const what = writtenAs === undefined ? "lost" : `${inBytes(bytes)} of ${inBytes(whole)} missing`;
  const elsewhere = older === undefined ? "" : `; another version in snapshot ${older.snapshot}`;
  return `${clean(path)}: ${what}${elsewhere}`;
}
