import { clean } from "../../lib/clean.ts";
import { inBytes } from "../../lib/units.ts";
import { duration } from "../../lib/words.ts";
import type { ShownSource, ShowReport } from "../../restore/report.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";

export function showInWords(report: ShowReport, paint: Paint): string {
  const facts: (readonly [string, string])[] = [
    ["state", report.state],
    ["started", when(report.started, report.zone)],
    ["ended", when(report.ended, report.zone)],
    ["sequence", String(report.sequence)],
    ["signature", report.signer === undefined ? report.signature : `${report.signature}, ${report.signer}`],
    ["made by", report.tool],
    ["skew", duration(report.skewSeconds)],
    ["record", report.key],
  ];
  return [
    `${paint.bold(`snapshot ${report.id}`)} of ${report.policy} in ${report.store}`,
    ...facts.map(([name, value]) => `  ${name.padEnd(10)} ${clean(value)}`),
    "",
    table(
      ["source", "kind", "outcome", "captured", "files", "size"],
      report.sources.map((source) => row(source, report.zone)),
      { right: ["files", "size"], width: paint.width },
    ),
    ...report.sources.flatMap(details),
    ...notes(report.notes),
  ].join("\n");
}

function row(source: ShownSource, zone: string): string[] {
  return [
    source.name,
    source.kind,
    source.outcome,
    source.capturedAt === undefined ? "" : when(source.capturedAt, zone),
    source.files.toLocaleString("en"),
    inBytes(source.bytes),
  ];
}

function details(source: ShownSource): string[] {
  const listed = notes(source.notes).map((line) => line.replace("note:", `${source.name}:`));
  return source.error
    ? [
        `  ${source.name} ${source.outcome === "failed" ? "failed" : "is incomplete"}: ${clean(source.error.message)}`,
        ...listed,
      ]
    : listed;
}
