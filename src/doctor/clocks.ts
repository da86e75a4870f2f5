import { fail, type Line, ok, warn } from "./types.ts";

/** Further apart than any machine that keeps its time, in seconds. */
const NOTICED = 60;

/**
 * Pure: how far this machine's clock is from another one's.
 *
 * @param aheadSeconds of this machine's
 * @param allowed as the repository says; beyond it backups refuse
 */
export function judgeClock(of: string, aheadSeconds: number, allowed: number): Line {
  const apart = Math.abs(aheadSeconds);
  if (apart <= 2) return ok(`this machine's clock agrees with the ${of}'s`);
  const said = `this machine's clock is ${inWords(apart)} ${aheadSeconds > 0 ? "ahead of" : "behind"} the ${of}'s`;
  const fix =
    "find out which one is wrong (date -u on both), then: timedatectl set-ntp true; timedatectl timesync-status";
  if (apart > allowed) return fail(`${said}; ${inWords(allowed)} are allowed`, fix);
  return apart > NOTICED ? warn(said, fix) : ok(said);
}

function inWords(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
