import type {
  BootstrapReport,
  FinishReport,
  GuidedReport,
  GuidedStep,
  RollbackReport,
} from "../../guided/report.ts";
import { clean } from "../../lib/clean.ts";
import { inBytes } from "../../lib/units.ts";
import { duration } from "../../lib/words.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";

/** What will be brought back, what is lost by it, and every step with its commands. */
export function planInWords(report: GuidedReport, paint: Paint): string {
  return [
    ...headLines(report, paint),
    ...lostLines(report),
    "",
    ...report.steps.flatMap((step) => stepLines(step, paint)),
    ...leftOutLines(report),
    ...notes(report.notes),
    "",
    `${inBytes(report.bytes)} in about ${duration(report.expectedSeconds)} (RTO ${duration(report.rtoSeconds)})`,
  ].join("\n");
}

/** The same without styles, line by line. */
export function planLines(report: GuidedReport): string[] {
  const same = (text: string): string => text;
  return planInWords(report, { bold: same, dim: same, red: same, green: same, yellow: same }).split("\n");
}

/** `run` was carried out, or was only planned. */
export function guidedInWords(report: GuidedReport, paint: Paint): string {
  if (report.dryRun) return [planInWords(report, paint), "", "nothing was changed (--dry-run)"].join("\n");
  return [
    ...headLines(report, paint),
    "",
    table(
      ["step", "", "outcome", "time", "expected"],
      report.steps.map((step) => [
        String(step.number),
        step.title,
        step.outcome === "passed" ? "done before" : step.outcome,
        duration(step.seconds ?? 0),
        duration(step.expectedSeconds),
      ]),
      { right: ["step", "time", "expected"], width: paint.width },
    ),
    ...report.steps.flatMap((step) => notes(step.notes)),
    ...leftOutLines(report),
    ...notes(report.notes),
    "",
    timeLine(report, paint),
    ...nextLines(report.next),
  ].join("\n");
}

export function finishInWords(report: FinishReport): string {
  const removed = report.removed.map((label) => `  old data removed: ${clean(label)}`);
  return [`run ${report.run} on ${clean(report.host)} is finished`, ...removed, ...notes(report.notes)].join(
    "\n",
  );
}

export function rollbackInWords(report: RollbackReport, paint: Paint): string {
  return [
    `${clean(report.host)} has its state from before run ${report.run} again`,
    ...report.putBack.map((label) => `  back in place: ${clean(label)}`),
    ...report.started.map((unit) => `  running again: ${clean(unit)}`),
    ...report.notReady.map((unit) => paint.red(`  NOT READY: ${clean(unit)}`)),
    ...notes(report.notes),
  ].join("\n");
}

export function bootstrapInWords(report: BootstrapReport, paint: Paint): string {
  const { snapshot } = report;
  return [
    `${paint.bold(`snapshot ${snapshot.id}`)} of ${report.policy}, ${when(snapshot.ended, report.zone)}`,
    "",
    table(
      ["mode", "file"],
      report.files.map(({ path, mode, secret }) => [mode, secret ? `${path}  (secret)` : path]),
      { width: paint.width },
    ),
    ...(report.flake === undefined ? [] : [`flake: ${clean(report.flake)}`]),
    ...notes(report.notes),
    ...report.choices.flatMap(({ title, commands, notes: more }, index) => [
      "",
      paint.bold(`${index + 1}. ${clean(title)}`),
      ...more.map((note) => `   ${clean(note)}`),
      ...commands.map((command) => `   ${clean(command)}`),
    ]),
  ].join("\n");
}

function headLines({ snapshot, policy, host, run, ageSeconds, zone }: GuidedReport, paint: Paint): string[] {
  const doubt = snapshot.signature === "trusted" ? [] : [paint.red(`SIGNATURE ${snapshot.signature}`)];
  return [
    `${paint.bold(`run ${run}`)}: ${policy} onto ${clean(host)}`,
    `snapshot ${snapshot.id}, ${snapshot.state}, ${when(snapshot.ended, zone)} (${duration(ageSeconds)} old)`,
    ...doubt,
  ];
}

function lostLines({ lost, zone }: GuidedReport): string[] {
  const rows = lost.snapshots.map(({ id, ended, sources }) => {
    const held = sources.map(
      ({ name, bytes, readBytes }) => `${name} ${inBytes(bytes)}, ${inBytes(readBytes)} of it new`,
    );
    return `  ${when(ended, zone)}  ${id}: ${clean(held.join("; "))}`;
  });
  const shown =
    rows.length <= 10 ? rows : [...rows.slice(0, 5), `  … ${rows.length - 10} more …`, ...rows.slice(-5)];
  const more = rows.length === 0 ? "no later snapshot has it" : "later snapshots have some of it:";
  return [`LOST: all data after ${when(lost.since, zone)}; ${more}`, ...shown];
}

function stepLines(step: GuidedStep, paint: Paint): string[] {
  const amount = step.bytes > 0 ? `, ${inBytes(step.bytes)}` : "";
  const time = step.expectedSeconds > 0 ? `, about ${duration(step.expectedSeconds)}` : "";
  return [
    `${paint.bold(`step ${step.number}`)}, ${step.title}${amount}${time}`,
    ...step.actions.map(
      ({ what, command = "" }) => `  ${clean(what)}${command === "" ? "" : `:  ${clean(command)}`}`,
    ),
  ];
}

function leftOutLines({ leftOut }: GuidedReport): string[] {
  return leftOut.map(({ source, why }) => `  left out: ${source}: ${clean(why)}`);
}

function timeLine({ secondsToStarted, rtoSeconds }: GuidedReport, paint: Paint): string {
  if (secondsToStarted === undefined) return paint.yellow("this run did not start the services");
  const [paintIt, verdict] = secondsToStarted <= rtoSeconds ? [paint.green, "within"] : [paint.red, "OVER"];
  return paintIt(
    `running again ${duration(secondsToStarted)} after the start, ${verdict} the RTO of ${duration(rtoSeconds)}`,
  );
}

function nextLines(next: readonly string[]): string[] {
  return next.length === 0 ? [] : ["", "next:", ...next.map((line) => `  ${clean(line)}`)];
}
