import type { DrillCheck, DrillReport } from "../../drill/report.ts";
import { clean } from "../../lib/clean.ts";
import { inBytes } from "../../lib/units.ts";
import { counted, duration } from "../../lib/words.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";

export function drillInWords(report: DrillReport, paint: Paint): string {
  const { snapshot, objectives, evidence } = report;
  const verdict =
    report.verdict === "proven" ? paint.green("PROVEN") : paint.red(report.verdict.toUpperCase());
  const part = report.whole ? "" : ", a part of it";
  return [
    `${paint.bold(`drill of snapshot ${snapshot.id}`)} of ${report.policy}, ${snapshot.state}, ` +
      `${when(snapshot.ended, report.zone)}: ${verdict}${part}`,
    "",
    table(["source", "check", "outcome", "took", "found"], report.checks.map(row), {
      right: ["took"],
      width: paint.width,
    }),
    ...report.checks.flatMap(hint),
    ...untested(report),
    "",
    `${counted(report.files, "file")}, ${inBytes(report.bytes)} from ${counted(report.packs, "pack")} in ${duration(report.seconds)}; ` +
      `${measured("age", objectives.ageSeconds, objectives.rpoSeconds)}; ` +
      measured(
        "restore and load",
        sum(objectives.restoreSeconds, objectives.loadSeconds),
        objectives.rtoSeconds,
      ),
    ...(report.work === undefined ? [] : [`kept, in plain: ${clean(report.work)}`]),
    ...(evidence
      ? [`evidence: ${clean(evidence.page)}, with .json, .json.sig and .junit.xml beside it`]
      : []),
    ...(evidence?.published === undefined ? [] : [`published: ${evidence.published}`]),
    ...notes(report.notes),
  ].join("\n");
}

const OUTCOMES: Readonly<Record<DrillCheck["outcome"], string>> = {
  passed: "passed",
  failed: "FAILED",
  damaged: "DAMAGED",
  "could-not-run": "COULD NOT RUN",
};

const LONGEST_FOUND = 100;

function row({ source, name, outcome, found, seconds }: DrillCheck): string[] {
  const short =
    found.length <= LONGEST_FOUND || outcome !== "passed" ? found : `${found.slice(0, LONGEST_FOUND - 1)}…`;
  return [source ?? "", name, OUTCOMES[outcome], duration(seconds), short];
}

function hint({ id, outcome, hint }: DrillCheck): string[] {
  return outcome === "passed" || hint === undefined ? [] : [`  ${clean(id)}: ${clean(hint)}`];
}

function untested({ notTested }: DrillReport): string[] {
  if (notTested.length === 0) return [];
  return ["", "not tested:", ...notTested.map(({ what, why }) => `  ${clean(what)}: ${clean(why)}`)];
}

function measured(what: string, value: number | undefined, limit: number | undefined): string {
  if (value === undefined) return `${what} not measured`;
  return `${what} ${duration(value)}${limit === undefined ? "" : ` of ${duration(limit)}`}`;
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? undefined : a + (b ?? 0);
}
