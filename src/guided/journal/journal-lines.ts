import * as z from "zod";

/** One line; what is not named here is of whoever appended it. */
const JournalLine = z.looseObject({
  /** Counts up from 0, with gaps. */
  n: z.int().nonnegative(),
  /** By the operator's clock, in UTC, with milliseconds. */
  at: z.iso.datetime(),
  /** `created`, `closed`, or a word of whoever appends. */
  event: z.string().min(1),
});
export type JournalLine = Readonly<z.infer<typeof JournalLine>>;

/** Lines that are named one by one. */
const MOST_NOTES = 20;

export interface ReadLines {
  /** By `n`; the same line twice is once. */
  readonly lines: readonly JournalLine[];
  readonly notes: readonly string[];
}

/**
 * The lines of a journal. A last line without its end was broken off and counts as never written; any other that
 * cannot be read is named. `where` is for the notes. Pure.
 */
export function readLines(text: string, where: string): ReadLines {
  const pieces = text.split("\n");
  const torn = pieces.pop() ?? "";
  const lines = new Map<string, JournalLine>();
  const notes: string[] = [];
  let unread = 0;
  for (const [index, piece] of pieces.entries()) {
    if (piece === "") continue;
    const parsed = parse(piece);
    if (parsed !== undefined) lines.set(parsed.text, parsed.line);
    else if (++unread <= MOST_NOTES)
      notes.push(`line ${index + 1} of ${where} cannot be read and is passed over`);
  }
  if (unread > MOST_NOTES)
    notes.push(`${unread - MOST_NOTES} more lines of ${where} cannot be read and are passed over`);
  if (torn !== "") notes.push(`the last line of ${where} was interrupted, so it counts as never written`);
  return { lines: [...lines.values()].toSorted((a, b) => a.n - b.n), notes };
}

/** Lines of the first that the second lacks. Pure. */
export function lacking(all: readonly JournalLine[], some: readonly JournalLine[]): readonly JournalLine[] {
  const have = new Set(some.map((line) => JSON.stringify(line)));
  return all.filter((line) => !have.has(JSON.stringify(line)));
}

/** Of `{"n":0,"at":"2026-11-23T02:30:00Z","event":"x"}`, and less than any line. */
const SHORTEST = 40;

/** With its fields in the order in which they were written: the same line is the same text. */
function parse(piece: string): { readonly line: JournalLine; readonly text: string } | undefined {
  if (piece.length < SHORTEST) return undefined; // a host may send millions, and a failure to parse costs much
  try {
    const line = JSON.parse(piece) as JournalLine;
    JournalLine.parse(line);
    return { line, text: JSON.stringify(line) }; // which fails when it is nested beyond measure
  } catch {
    return undefined;
  }
}

/** A number of a line that counts something; 0 for what is none. */
export function numberIn(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
