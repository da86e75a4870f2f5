import { TZDate } from "@date-fns/tz";
import { getISOWeek } from "date-fns/getISOWeek";
import { getISOWeekYear } from "date-fns/getISOWeekYear";

export type Period = "daily" | "weekly" | "monthly" | "yearly";

/** Finest first: the order in which sequential rules are applied. */
export const PERIODS: readonly Period[] = ["daily", "weekly", "monthly", "yearly"];

/** The calendar of one zone. It remembers what it was asked: planning the future asks for the same days again and again. */
export class Calendar {
  readonly zone: string;
  readonly #known = new Map<number, Record<Period, string>>();

  /** @param zone IANA name */
  constructor(zone: string) {
    this.zone = zone;
  }

  /**
   * The name of the period that an instant lies in, by what clocks in the zone showed: `2026-11-20`, `2026-W47`
   * (ISO 8601: weeks begin on Monday, week 1 holds the first Thursday), `2026-11`, `2026`. Days may have 23 or 25 hours.
   */
  periodOf(at: Date, period: Period): string {
    const time = at.getTime();
    const periods = this.#known.get(time) ?? this.#periods(at);
    this.#known.set(time, periods);
    return periods[period];
  }

  #periods(at: Date): Record<Period, string> {
    const wall = new TZDate(at, this.zone);
    const yearly = pad(wall.getFullYear(), 4);
    const monthly = `${yearly}-${pad(wall.getMonth() + 1, 2)}`;
    const weekly = `${pad(getISOWeekYear(wall), 4)}-W${pad(getISOWeek(wall), 2)}`;
    return { daily: `${monthly}-${pad(wall.getDate(), 2)}`, weekly, monthly, yearly };
  }
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}
