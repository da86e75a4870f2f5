import { wallTime } from "../policy/zone.ts";
import type { ShownSnapshot } from "./report.ts";

/** So many of the newest months are drawn; what is older is in the list of snapshots. */
const MOST_MONTHS = 13;

/** What the best snapshot of a day is; `none`: there is none. */
export type DayMark = "good" | "partial" | "bad" | "none" | "ahead";

export interface Day {
  /** `2026-11-20`, of the zone. */
  readonly day: string;
  readonly mark: DayMark;
  readonly count: number;
  /** Packs that the day's runs put. Bytes. */
  readonly storedBytes: number;
}

export interface Month {
  /** `2026-11`. */
  readonly month: string;
  /** Empty cells before the first day; weeks begin on Mondays. */
  readonly before: number;
  readonly days: readonly Day[];
}

/** Every day from the first snapshot until today, in months, so that a night without one is seen. Newest month first. */
export function calendarOf(snapshots: readonly ShownSnapshot[], now: Date, zone: string): Month[] {
  const today = dayOf(now.toISOString(), zone);
  const byDay = new Map<string, ShownSnapshot[]>();
  for (const snapshot of snapshots) {
    const day = dayOf(snapshot.ended, zone);
    byDay.set(day, [...(byDay.get(day) ?? []), snapshot]);
  }
  const first = [...byDay.keys()].sort()[0] ?? today;
  const months: Month[] = [];
  let [year = 0, number = 0] = today.split("-").map(Number);
  for (let drawn = 0; drawn < MOST_MONTHS; drawn++) {
    const month = `${String(year).padStart(4, "0")}-${pad(number)}`;
    if (month < first.slice(0, 7)) break;
    months.push(monthOf(month, byDay, { first, today }));
    number = number === 1 ? 12 : number - 1;
    if (number === 12) year--;
  }
  return months;
}

function monthOf(
  month: string,
  byDay: ReadonlyMap<string, readonly ShownSnapshot[]>,
  { first, today }: { readonly first: string; readonly today: string },
): Month {
  const [year = 0, number = 0] = month.split("-").map(Number);
  const length = new Date(Date.UTC(year, number, 0)).getUTCDate();
  const before = (new Date(Date.UTC(year, number - 1, 1)).getUTCDay() + 6) % 7;
  const days = Array.from({ length }, (_, at): Day => {
    const day = `${month}-${pad(at + 1)}`;
    const found = byDay.get(day) ?? [];
    const outside = day < first || day > today;
    const storedBytes = found.reduce((sum, one) => sum + one.storedBytes, 0);
    return { day, mark: markOf(found, outside), count: found.length, storedBytes };
  });
  return { month, before, days };
}

function markOf(found: readonly ShownSnapshot[], outside: boolean): DayMark {
  const good = found.filter(({ standing }) => standing === "good");
  if (good.some(({ state }) => state === "complete")) return "good";
  if (good.length > 0) return "partial";
  if (found.length > 0) return "bad";
  return outside ? "ahead" : "none";
}

/** The day of the zone that a time is of. */
export function dayOf(iso: string, zone: string): string {
  return wallTime(new Date(iso), zone).slice(0, 10);
}

const pad = (part: number): string => String(part).padStart(2, "0");
