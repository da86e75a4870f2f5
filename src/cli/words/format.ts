import Table from "cli-table3";
import { inBytes } from "../../lib/units.ts";
import { wallTime } from "../../policy/zone.ts";
import { clean } from "../clean.ts";

/** Bytes, in tables and lines. */
export const size = inBytes;

/** `0.42 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(seconds < 0.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return both(whole, 60, "min", 1, "s");
  return whole < 86_400 ? both(whole, 3600, "h", 60, "min") : both(whole, 86_400, "d", 3600, "h");
}

function both(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ""}`;
}

/** `1 file`, `2 files`, `12,345 files`. */
export function count(amount: number, one: string, many = `${one}s`): string {
  return `${amount.toLocaleString("en")} ${amount === 1 ? one : many}`;
}

/** An ISO time as clocks in `zone` showed it. */
export function when(iso: string, zone: string): string {
  return wallTime(new Date(iso), zone);
}

/** Columns without borders. Cells may be foreign text; columns named in `right` are numbers. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  how: { readonly right?: readonly string[]; readonly keepStyles?: boolean } = {},
): string {
  const none = { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "" };
  const more = { "bottom-left": "", "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "" };
  const shown = new Table({
    head: [...head],
    colAligns: head.map((name) => (how.right?.includes(name) ? "right" : "left")),
    chars: { ...none, ...more, right: "", "right-mid": "", middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  for (const row of rows) shown.push(row.map((cell) => (how.keepStyles ? cell : clean(cell))));
  return shown
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Notes as an indented list under what they belong to; empty when there are none. */
export function notes(list: readonly string[], limit = 20): string[] {
  const shown = list.slice(0, limit).map((note) => `  note: ${clean(note)}`);
  return list.length > limit
    ? [...shown, `  … and ${list.length - limit} more notes (--json shows all)`]
    : shown;
}
