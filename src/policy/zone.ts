import { tzOffset } from "@date-fns/tz/tzOffset";

const DAY_MS = 86_400_000;

/**
 * The instants at which clocks in `zone` showed `wall` (milliseconds, as if it were UTC), earliest first: one as a
 * rule, none when clocks jumped over it, two when they were set back.
 */
export function wallTimeToInstants(wall: number, zone: string): Date[] {
  const offsets = [wall - DAY_MS, wall + DAY_MS].map((near) => tzOffset(zone, new Date(near)));
  const candidates = [...new Set(offsets)].map((offset) => ({ at: wall - offset * 60_000, offset }));
  return candidates
    .filter(({ at, offset }) => tzOffset(zone, new Date(at)) === offset)
    .map(({ at }) => new Date(at))
    .sort((a, b) => a.getTime() - b.getTime());
}

/** What clocks in `zone` showed: `2026-11-20 02:30:05 +01:00`. */
export function wallTime(at: Date, zone: string): string {
  const minutes = Math.round(tzOffset(zone, at)); // of before 1900 there were seconds, too
  const iso = new Date(at.getTime() + minutes * 60_000).toISOString();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} ${minutes < 0 ? "-" : "+"}${hours}:${rest}`;
}
