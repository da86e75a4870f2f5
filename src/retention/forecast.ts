import { TZDate } from "@date-fns/tz";
import { addDays } from "date-fns/addDays";
import { type Dated, type KeepRules, keep } from "./keep.ts";
import type { Calendar } from "./periods.ts";

/** Further ahead nobody plans. Days. */
const HORIZON = 3 * 366;

/**
 * When each snapshot that is kept now will be let go, if there is a backup every night from now on, at the hour of the
 * newest one, and a prune after each. Undefined: not within three years.
 *
 * @param kept the snapshots that the rules keep today, oldest first
 * @returns by id
 */
export function forecast(
  kept: readonly Dated[],
  rules: KeepRules,
  calendar: Calendar,
): ReadonlyMap<string, Date | undefined> {
  const gone = new Map<string, Date | undefined>(kept.map(({ id }) => [id, undefined]));
  const newest = kept.at(-1);
  if (!newest) return gone;
  const first = new TZDate(newest.at, calendar.zone);
  let living: readonly Dated[] = kept;
  let left = kept.length;
  for (let day = 1; day <= HORIZON && left > 0; day++) {
    const at = new Date(addDays(first, day).getTime());
    const next = [...living, { id: `in ${day} days`, at }];
    const stays = keep(next, rules, calendar);
    for (const { id } of living) {
      if (stays.has(id) || !gone.has(id)) continue;
      gone.set(id, at);
      left--;
    }
    living = next.filter(({ id }) => stays.has(id));
  }
  return gone;
}
