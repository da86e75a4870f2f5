import type { DoctorReport, Finding } from "../../doctor/report.ts";
import { clean } from "../../lib/clean.ts";
import { counted } from "../../lib/words.ts";
import type { Paint } from "../screen.ts";

type Result = Finding["result"];

const WIDTH = 80;
const MARKS: Readonly<Record<Result, string>> = { ok: "ok", warn: "warn", unable: "?", fail: "FAIL" };
/** Under the text of a finding. */
const INDENT = 8;

export function doctorInWords(report: DoctorReport, paint: Paint): string {
  const groups = [...new Set(report.findings.map(({ group }) => group))];
  return [
    ...wrap(`${paint.bold(report.policy)}: ${clean(report.host)} to ${clean(report.store)}`, 0),
    ...groups.flatMap((group) => [
      "",
      paint.bold(group),
      ...gathered(report.findings.filter((finding) => finding.group === group)).flatMap((finding) =>
        lines(finding, paint),
      ),
    ]),
    "",
    ...wrap(summary(report), 0),
  ].join("\n");
}

/** What was not looked at for one and the same reason, as one line; --json has them all. */
function gathered(findings: readonly Finding[]): Finding[] {
  const reasonOf = ({ what }: Finding) =>
    /^\S+ could not be looked at: (the \w+ was not reached)$/.exec(what)?.[1];
  return findings.flatMap((finding, at) => {
    const reason = reasonOf(finding);
    if (reason === undefined) return [finding];
    const same = findings.filter((one) => reasonOf(one) === reason);
    if (same[0] !== findings[at]) return [];
    const names = same.map(({ check }) => check).join(", ");
    return [{ ...finding, what: `not looked at, as ${reason}: ${names}` }];
  });
}

function lines({ result, what, why, fix }: Finding, paint: Paint): string[] {
  const [first = "", ...rest] = wrap(clean(what), INDENT);
  const mark = MARKS[result].padEnd(INDENT - 3);
  const said = [`  ${painted(result, paint)(mark)} ${first.trimStart()}`, ...rest];
  if (result === "ok") return said;
  const more = [...wrap(`why: ${clean(why)}`, INDENT), ...wrap(`fix: ${clean(fix ?? "")}`, INDENT)];
  return [...said, ...more];
}

function painted(result: Result, paint: Paint): (text: string) => string {
  if (result === "ok") return paint.green;
  return result === "warn" ? paint.yellow : paint.red;
}

function summary({ counts, well, recorded, left }: DoctorReport): string {
  const parts = [
    counts.fail > 0 ? `${counts.fail} failed` : "",
    counts.unable > 0 ? `${counts.unable} could not be checked` : "",
    counts.warn > 0 ? counted(counts.warn, "warning") : "",
    `${counts.ok} ok`,
  ].filter((part) => part !== "");
  const known = recorded === undefined ? "" : "; drops status shows the result";
  const stays =
    left.length === 0
      ? ""
      : `; ${counted(left.length, "object")} from this test stay in the store until a prune`;
  return `${well ? "well" : "NOT WELL"}: ${parts.join(", ")}${known}${stays}`;
}

/** At spaces, to 80 columns; a word that is longer stays whole, so that it can be copied. */
function wrap(text: string, indent: number): string[] {
  const pad = " ".repeat(indent);
  const found: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      found.push(pad + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...found, pad + line];
}
