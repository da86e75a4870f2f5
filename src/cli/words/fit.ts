import { stripVTControlCharacters } from "node:util";

/** Between two columns. */
const GAP = 2;
/** A column of words is not made narrower than this for the others' sake. */
const NARROW = 12;

type Rows = readonly (readonly string[])[];

/**
 * Cells broken between words so that a table of them is at most `width` columns wide; numbers (`rigid` columns) and words are
 * never broken. Undefined when it cannot be that narrow.
 */
export function fitted(rows: Rows, rigid: readonly boolean[], width: number): string[][] | undefined {
  const widths = columns(rows, letters);
  const least = columns(rows, longestWord).map((word, at) => {
    const whole = widths[at] ?? 0;
    return rigid[at] ? whole : Math.max(word, Math.min(whole, NARROW));
  });
  const sum = () => widths.reduce((all, each) => all + each, GAP * (widths.length - 1));
  while (sum() > width) {
    const free = widths.map((each, at) => (each > (least[at] ?? 0) ? each : 0));
    const widest = Math.max(...free);
    if (widest === 0) return undefined;
    widths[free.indexOf(widest)] = widest - 1;
  }
  return rows.map((row) => row.map((cell, at) => broken(cell, widths[at] ?? 0).join("\n")));
}

/** For a screen too narrow for the table: the cells of each row below one another, with the names of their columns. */
export function stacked(head: readonly string[], rows: Rows, width: number): string {
  const names = Math.max(0, ...head.map(letters));
  const indent = " ".repeat(names + GAP);
  const lines = (row: readonly string[]) =>
    row.flatMap((cell, at) => {
      const [first = "", ...more] = broken(cell, width - indent.length);
      return first === ""
        ? []
        : [(head[at] ?? "").padEnd(names + GAP) + first, ...more.map((line) => indent + line)];
    });
  return rows.map((row) => lines(row).join("\n")).join("\n\n");
}

function columns(rows: Rows, measure: (cell: string) => number): number[] {
  return (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => measure(row[at] ?? ""))));
}

function broken(cell: string, width: number): string[] {
  if (letters(cell) <= width || isStyled(cell)) return [cell];
  const lines: string[] = [];
  for (const word of cell.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`;
    if (lines.length > 0 && letters(longer) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function longestWord(cell: string): number {
  return isStyled(cell) ? letters(cell) : Math.max(...cell.split(" ").map(letters));
}

function letters(cell: string): number {
  return stripVTControlCharacters(cell).length;
}

/** Styles would end with their line. */
function isStyled(cell: string): boolean {
  return cell.includes("\u001b");
}
