import { TZDate } from "@date-fns/tz";
import { addDays } from "date-fns/addDays";
import { DropsError } from "../lib/errors.ts";
import { wallTimeToInstants } from "./zone.ts";

/** Which snapshot the operator meant. Days and times are resolved to UTC here; nothing later knows about zones. */
export type WantedSnapshot =
  | { readonly kind: "latest" }
  /** A snapshot's id, or at least its first six digits. */
  | { readonly kind: "id"; readonly id: string }
  /** A day of the zone, half-open: `from <= ended < to`. 23 or 25 hours long when clocks change. */
  | { readonly kind: "day"; readonly day: string; readonly from: Date; readonly to: Date }
  /** The newest that ended at or before this instant. */
  | { readonly kind: "time"; readonly at: Date };

const DAY = /^(\d{4})-(\d\d)-(\d\d)$/;
const TIME = /^(\d{4}-\d\d-\d\d)[t ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(z|[+-]\d\d:?\d\d)?$/;
const AGO = /^(\d{1,5}) (minute|hour|day|week)s? ago$/;
const RECORD = /^\d{8}t\d{6}z-([0-9a-f]{8,32})$/;
const ID = /^[0-9a-f]{6,32}$/;

/**
 * Read `2026-11-20` (a day of `zone`), `2026-11-20T14:30` (of `zone`, or with Z or an offset), `latest`, `today`,
 * `yesterday`, `3 days ago`, `2 hours ago`, or a snapshot id. Throws usage/invalid with examples.
 */
export function parseDateWords(
  words: string,
  how: { readonly zone: string; readonly now: Date },
): WantedSnapshot {
  const text = words.trim().toLowerCase().replaceAll(/\s+/g, " ");
  if (text === "latest") return { kind: "latest" };
  if (text === "today") return dayAgo(0, how);
  if (text === "yesterday") return dayAgo(1, how);
  const ago = AGO.exec(text);
  if (ago) return someTimeAgo(Number(ago[1]), ago[2] ?? "", how);
  const record = RECORD.exec(text)?.[1];
  if (record !== undefined) return { kind: "id", id: record };
  if (ID.test(text)) return { kind: "id", id: text };
  if (DAY.test(text)) return dayOf(text, how.zone, words);
  const time = TIME.exec(text);
  if (time) return { kind: "time", at: instantOf(time, how.zone, words) };
  throw bad(words, "is not a date, a time or a snapshot id");
}

function someTimeAgo(count: number, unit: string, how: { zone: string; now: Date }): WantedSnapshot {
  if (unit === "day" || unit === "week") return dayAgo(unit === "week" ? count * 7 : count, how);
  return {
    kind: "time",
    at: new Date(how.now.getTime() - count * (unit === "hour" ? 3_600_000 : 60_000)),
  };
}

function dayAgo(days: number, how: { zone: string; now: Date }): WantedSnapshot {
  const [year, month, day] = calendarDay(addDays(new TZDate(how.now, how.zone), -days));
  return between(year, month, day, how.zone);
}

function dayOf(text: string, zone: string, words: string): WantedSnapshot {
  const [year, month, day] = numbers(text);
  if (!exists(year, month, day)) throw bad(words, "is not a day of the calendar");
  const wanted = between(year, month, day, zone);
  if (wanted.kind === "day" && wanted.from.getTime() === wanted.to.getTime()) {
    throw bad(words, `was skipped in ${zone}`);
  }
  return wanted;
}

function between(year: number, month: number, day: number, zone: string): WantedSnapshot {
  const start = new TZDate(year, month - 1, day, zone);
  const next = new Date(Date.UTC(year, month - 1, day + 1)); // calendar arithmetic, no zone in it
  const end = new TZDate(next.getUTCFullYear(), next.getUTCMonth(), next.getUTCDate(), zone);
  const name = [String(year).padStart(4, "0"), pad(month), pad(day)].join("-");
  return { kind: "day", day: name, from: new Date(start.getTime()), to: new Date(end.getTime()) };
}

function instantOf(match: RegExpExecArray, zone: string, words: string): Date {
  const [, dayText = "", hour = "", minute = "", second, fraction, offset] = match;
  const [year, month, day] = numbers(dayText);
  const clock = Number(hour) < 24 && Number(minute) < 60 && Number(second ?? 0) < 60;
  if (!exists(year, month, day) || !clock) throw bad(words, "is not a time of the calendar");
  const wall = Date.UTC(year, month - 1, day, Number(hour), Number(minute), Number(second ?? 0));
  const rest = restOfUnit(second, fraction);
  if (offset !== undefined) return new Date(wall + rest - offsetMinutes(offset, words) * 60_000);
  const [instant, other] = wallTimeToInstants(wall, zone);
  if (!instant) throw bad(words, `did not happen in ${zone}: clocks went forward over it`);
  if (other) throw bad(words, `happened twice in ${zone}: add Z or an offset, such as +01:00`);
  return new Date(instant.getTime() + rest);
}

/**
 * A time without seconds means its whole minute, one without a fraction its whole second: what `drops snapshots` prints
 * of a snapshot finds it again. Milliseconds.
 */
function restOfUnit(second: string | undefined, fraction: string | undefined): number {
  if (second === undefined) return 59_999;
  return fraction === undefined ? 999 : Number(fraction.padEnd(3, "0").slice(0, 3));
}

function offsetMinutes(offset: string, words: string): number {
  if (offset === "z") return 0;
  const [hours, minutes] = [Number(offset.slice(1, 3)), Number(offset.slice(-2))];
  if (hours > 14 || minutes > 59) throw bad(words, "has no such offset from UTC");
  return (hours * 60 + minutes) * (offset.startsWith("-") ? -1 : 1);
}

function numbers(day: string): [number, number, number] {
  const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
  return [year, month, date];
}

function exists(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return year >= 1970 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function calendarDay(date: Date): [number, number, number] {
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()];
}

const pad = (part: number): string => String(part).padStart(2, "0");

function bad(words: string, why: string): DropsError {
  return new DropsError("usage/invalid", `"${words.slice(0, 60)}" ${why}`, {
    hint: '2026-11-20, 2026-11-20T14:30, 2026-11-20T13:30Z, latest, yesterday, "3 days ago", or an id from drops snapshots',
  });
}
