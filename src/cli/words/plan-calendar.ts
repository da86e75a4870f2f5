import type { PlannedSnapshot } from "../../retention/report.ts";
import { when } from "./format.ts";

/** The coarsest rule that keeps a day's snapshot is shown: it is the one that keeps it longest. */
const LETTERS: readonly (readonly [letter: string, rule: string, means: string])[] = [
  ["Y", "yearly", "yearly"],
  ["M", "monthly", "monthly"],
  ["W", "weekly", "weekly"],
  ["D", "daily", "daily"],
  ["L", "last", "one of the last"],
];
const OTHERS = "+ kept for another reason  x goes  ? quarantine  . nothing";
/** Of several snapshots of a day the first in this order is shown. */
const RANK = "YMWDL+?x.";

/**
 * A line a month, a letter a day, readable without colour. Months without a snapshot between others are there too: a gap
 * should be seen.
 */
export function planCalendar(snapshots: readonly PlannedSnapshot[], zone: string): string {
  const days = new Map<string, string>();
  for (const snapshot of snapshots) {
    const day = when(snapshot.ended, zone).slice(0, 10);
    const [here, there] = [letterOf(snapshot), days.get(day) ?? "."];
    days.set(day, RANK.indexOf(here) < RANK.indexOf(there) ? here : there);
  }
  const months = monthsBetween([...days.keys()].sort());
  const ruler = "         1........10........20........30.";
  const legend = LETTERS.map(([letter, , means]) => `${letter} ${means}`).join("  ");
  return [ruler, ...months.map((month) => line(month, days)), `  ${legend}`, `  ${OTHERS}`].join("\n");
}

function line(month: string, days: ReadonlyMap<string, string>): string {
  const [year = 0, number = 0] = month.split("-").map(Number);
  const length = new Date(Date.UTC(year, number, 0)).getUTCDate();
  const letters = Array.from({ length }, (_, at) => days.get(`${month}-${String(at + 1).padStart(2, "0")}`));
  return `${month}  ${letters.map((letter) => letter ?? ".").join("")}`;
}

function letterOf({ keep, slots, quarantined }: PlannedSnapshot): string {
  if (quarantined !== undefined) return "?";
  if (!keep) return "x";
  return LETTERS.find(([, rule]) => slots.some((slot) => slot.rule === rule))?.[0] ?? "+";
}

function monthsBetween(days: readonly string[]): string[] {
  const [first, last] = [days[0]?.slice(0, 7) ?? "", days.at(-1)?.slice(0, 7) ?? ""];
  const months: string[] = [];
  let [year = 0, number = 0] = first.split("-").map(Number);
  for (let month = first; month !== "" && month <= last; ) {
    months.push(month);
    number = number === 12 ? 1 : number + 1;
    if (number === 1) year++;
    month = `${String(year).padStart(4, "0")}-${String(number).padStart(2, "0")}`;
  }
  return months;
}
