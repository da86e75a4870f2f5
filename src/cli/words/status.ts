import { clean } from "../../lib/clean.ts";
import { inBytes } from "../../lib/units.ts";
import { counted, duration } from "../../lib/words.ts";
import type { StatusReport } from "../../status/report.ts";
import type { Paint } from "../screen.ts";
import { notes, table, when } from "./format.ts";

type Row = readonly [question: string, ...answer: string[]];

export function statusInWords(report: StatusReport, paint: Paint): string {
  const { policy, store, zone, at, state, concerns } = report;
  const tone = state === "green" ? paint.green : state === "amber" ? paint.yellow : paint.red;
  const rows = [
    restorable(report),
    proven(report),
    verified(report),
    destroyable(report),
    key(report),
    clock(report),
  ];
  return [
    `${paint.bold(policy)} in ${clean(store)}, ${when(at, zone)}: ${tone(state.toUpperCase())}`,
    ...concerns.flatMap(({ what, kind, hint }) => [
      `  ${state === "amber" ? tone("!") : paint.red("✗")} ${kind}: ${clean(what)}`,
      `    fix: ${clean(hint)}`,
    ]),
    "",
    ...rows.flatMap(([question, ...answer]) => [paint.bold(question), ...answer.map((line) => `  ${line}`)]),
    "",
    table(["source", "newest", "age", "files", "size", "last attempt"], report.sources.map(sourceRow(zone)), {
      right: ["files", "size"],
      width: paint.width,
    }),
    ...report.partial.map(partialLine(zone)),
    ...named(report),
    "",
    `${counted(report.snapshots.length, "snapshot")}, ${counted(report.stored.objects, "object")}, ${inBytes(report.stored.bytes)} in the store`,
    ...report.files.map((file) => `written: ${clean(file)}`),
    ...notes(report.notes),
    `next: ${clean(report.next)}`,
  ].join("\n");
}

function restorable({ restore: { newest, oldest, points, rpoSeconds }, zone }: StatusReport): Row {
  const question = "Can I restore, and to when?";
  if (!newest || !oldest) return [question, "NO: there is no complete, undamaged, trusted snapshot"];
  const late = newest.ageSeconds > rpoSeconds ? "too old: " : "";
  return [
    question,
    `yes, to ${when(newest.point, zone)} (${newest.id}), ${late}${duration(newest.ageSeconds)} of ${duration(rpoSeconds)} old`,
    points === 1
      ? "it is the only restore point"
      : `and back to ${when(oldest.point, zone)}: ${counted(points, "restore point")}`,
  ];
}

function proven({ drills: { last, proven: best, everySeconds, refused }, zone }: StatusReport): Row {
  const question = "Last proven when, and by what?";
  const doubtful = refused.map(({ why }) => `not trusted: ${clean(why)}`).slice(0, 3);
  if (!last) return [question, "never: no drill has published trusted evidence", ...doubtful];
  const due = `one is due every ${duration(everySeconds)}`;
  const found = best
    ? `${when(best.ended, zone)}, ${duration(best.ageSeconds)} ago, by ${by(best)}; ${due}`
    : `never: no drill has proven every source; ${due}`;
  const newer = last.id === best?.id ? [] : [`the last drill, ${when(last.ended, zone)}: ${last.verdict}`];
  return [question, found, ...newer, ...doubtful];
}

function verified({ verifies: { last, coverage, everySeconds, refused }, zone }: StatusReport): Row {
  const question = "Stored data verified when, and how?";
  const doubtful = refused.map(({ why }) => `not trusted: ${clean(why)}`).slice(0, 3);
  const due = everySeconds === undefined ? "" : `; one is due every ${duration(everySeconds)}`;
  if (!last || !coverage)
    return [question, `never: no verify has published trusted evidence${due}`, ...doubtful];
  const found = last.verdict === "intact" ? "nothing damaged" : `DAMAGED: ${counted(last.damaged, "object")}`;
  return [
    question,
    `${when(last.ended, zone)}, ${duration(last.ageSeconds)} ago: ${found}; ${extent(last)}${due}`,
    coverage.since === undefined
      ? `${Math.floor(coverage.share * 1000) / 10} % of the data was read back so far`
      : `all data was read back since ${when(coverage.since, zone)}`,
    ...doubtful,
  ];
}

type Verify = NonNullable<StatusReport["verifies"]["last"]>;

function extent({ objects, compared, checksumsFrom, read }: Verify): string {
  const how = checksumsFrom === "bytes" ? "hashed in place" : "by the store's checksums";
  const sums =
    checksumsFrom === undefined ? "names and sizes only" : `${compared.toLocaleString("en")} ${how}`;
  const packs = read ? `, ${counted(read.packs, "pack")} (${inBytes(read.bytes)}) read back` : "";
  return `${counted(objects, "object")}, ${sums}${packs}`;
}

type Drill = NonNullable<StatusReport["drills"]["last"]>;

function by({ id, on, passed, snapshot }: Drill): string {
  const where = on === undefined ? "" : ` on ${clean(on)}`;
  return `drill ${id}${where} of snapshot ${snapshot}, ${counted(passed, "check")} passed`;
}

function destroyable({ destroy }: StatusReport): Row {
  return ["Who can destroy it?", clean(destroy.why)];
}

function key({ drills: { opened }, recoveryKey, zone }: StatusReport): Row {
  const found =
    opened === undefined
      ? "no drill has opened a backup with any identity"
      : `an identity of drills opened a backup ${when(opened, zone)}`;
  const proven = recoveryKey.at === undefined ? "" : `${when(recoveryKey.at, zone)}: `;
  return ["Recovery key last proven when?", `${proven}${clean(recoveryKey.why)}; ${found}`];
}

function clock({ clock: { skewSeconds } }: StatusReport): Row {
  const skew = Math.abs(skewSeconds);
  const found =
    skew < 2 ? "agree" : `this machine is ${duration(skew)} ${skewSeconds > 0 ? "ahead" : "behind"}`;
  return ["Clocks of this machine and the store", found];
}

function sourceRow(zone: string): (source: StatusReport["sources"][number]) => string[] {
  return ({ name, inPolicy, newest, files, bytes, failed }) => {
    const said = failed ? `${failed.stored ? "INCOMPLETE" : "FAILED"} ${when(failed.at, zone)}` : "ok";
    const named = inPolicy ? name : `${name} (not in the policy)`;
    if (!newest) return [named, "NEVER", "", "", "", failed ? said : ""];
    const held = [duration(newest.ageSeconds), files.toLocaleString("en"), inBytes(bytes)];
    return [named, when(newest.captured, zone), ...held, said];
  };
}

function partialLine(zone: string): (partial: StatusReport["partial"][number]) => string {
  return ({ id, ended, failed }) => {
    const why = failed.length > 0 ? `failed: ${clean(failed.join(", "))}` : "a part was asked for";
    return `partial: ${id}, ${when(ended, zone)}; ${why}`;
  };
}

function named({ unreadable, snapshots }: StatusReport): string[] {
  const doubtful = snapshots.filter(({ standing }) => standing === "quarantined" || standing === "damaged");
  return [
    ...unreadable.slice(0, 20).map(({ key: name, why }) => `unreadable: ${clean(name)}: ${clean(why)}`),
    ...doubtful.slice(-20).map(({ standing, id, why = "" }) => `${standing}: ${id}: ${clean(why)}`),
  ];
}
