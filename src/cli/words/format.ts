import Table from "cli-table3";
import { clean } from "../../lib/clean.ts";
import { wallTime } from "../../policy/zone.ts";
import { fitted, stacked } from "./fit.ts";

/** An ISO time as clocks in `zone` showed it. */
export function when(iso: string, zone: string): string {
  return wallTime(new Date(iso), zone);
}

/**
 * Columns without borders. Cells may be foreign text; columns named in `right` are numbers. What is wider than `width` is broken
 * between words, or stacked; nothing is cut. Undefined, as where no terminal is: as wide as it gets.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  how: {
    readonly right?: readonly string[];
    readonly keepStyles?: boolean;
    readonly width?: number | undefined;
  } = {},
): string {
  const cells = rows.map((row) => row.map((cell) => (how.keepStyles ? cell : clean(cell))));
  const rigid = head.map((name) => how.right?.includes(name) ?? false);
  const [top, ...body] =
    how.width === undefined ? [head, ...cells] : (fitted([head, ...cells], rigid, how.width) ?? []);
  if (top === undefined) return stacked(head, cells, how.width ?? 0);
  const none = { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "" };
  const more = { "bottom-left": "", "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "" };
  const shown = new Table({
    head: [...top],
    colAligns: head.map((name) => (how.right?.includes(name) ? "right" : "left")),
    chars: { ...none, ...more, right: "", "right-mid": "", middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  for (const row of body) shown.push([...row]);
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
