import { once } from "node:events";
import type { Writable } from "node:stream";
import { clean, cleanBlock } from "../lib/clean.ts";
import type { Progress, Reporter } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import { type Level, type LogFormat, RecentLines, writtenAs } from "./log-lines.ts";
import { ProgressBoard } from "./progress.ts";

export interface ScreenOptions {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly json: boolean;
  readonly quiet: boolean;
  /** Whether styles are wanted at all; a stream that is no terminal gets none anyway. */
  readonly color: boolean;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** How lines on standard error are written; default: as text. */
  readonly logFormat?: LogFormat;
  /** The wall clock, for lines that carry their time. */
  readonly now?: () => Date;
}

/** Styles for the words of a result; each returns its text unchanged when colours are off. */
export type Paint = Readonly<Record<"bold" | "dim" | "red" | "green" | "yellow", (text: string) => string>> &
  Room;

/** Columns of the terminal that is written to; undefined where there is none. */
export interface Room {
  readonly width?: number | undefined;
}

/** The only writer to standard output and standard error. Results go to the first, everything else to the second. */
export class Screen implements Reporter {
  readonly json: boolean;
  readonly paint: Paint;
  readonly #stdout: ScreenOptions["stdout"];
  readonly #stderr: ScreenOptions["stderr"];
  readonly #quiet: boolean;
  readonly #board: ProgressBoard;
  readonly #format: LogFormat;
  readonly #now: () => Date;
  readonly #recent = new RecentLines();
  #hasAnswered = false;

  constructor(how: ScreenOptions) {
    this.json = how.json;
    this.paint = how.color && how.stdout.isTTY === true ? COLORS : PLAIN;
    this.#stdout = how.stdout;
    this.#stderr = how.stderr;
    this.#quiet = how.quiet;
    this.#format = how.logFormat ?? "text";
    this.#now = how.now ?? (() => new Date());
    this.#board = new ProgressBoard({
      stream: how.stderr,
      isTerminal: how.stderr.isTTY === true && this.#format === "text",
      clock: how.clock,
      write: (line) => this.#log("info", line),
    });
  }

  /** The last lines that were told, for alerts; with --quiet also what was not shown. */
  get recent(): readonly string[] {
    return this.#recent.lines;
  }

  /** Whether standard output holds the command's one value already. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** The result of a command: the value itself with --json, else its words. */
  show<Value>(value: Value, words: (value: Value, paint: Paint) => string): void {
    const text = this.json
      ? JSON.stringify(value, undefined, 2)
      : cleanBlock(words(value, { ...this.paint, width: this.#width() }));
    this.#answer(`${text}\n`);
  }

  #width(): number | undefined {
    const { isTTY, columns = 0 } = this.#stdout;
    return isTTY === true && columns > 0 ? columns : undefined;
  }

  /** A result too long to hold: `head` and, under `key`, the items, as one value with --json, else a line per item. */
  async stream<Item>(
    head: object,
    key: string,
    items: AsyncIterable<Item>,
    words: (item: Item) => string,
  ): Promise<void> {
    const opening = JSON.stringify(head, undefined, 2).slice(0, -2);
    if (this.json) this.#answer(`${opening}${opening === "{" ? "" : ","}\n  ${JSON.stringify(key)}: [`);
    let separator = "\n";
    let pending = "";
    for await (const item of items) {
      pending += this.json ? `${separator}    ${JSON.stringify(item)}` : `${cleanBlock(words(item))}\n`;
      separator = ",\n";
      if (pending.length < 65_536) continue;
      await this.#answerSlowly(pending);
      pending = "";
    }
    await this.#answerSlowly(this.json ? `${pending}\n  ]\n}\n` : pending);
  }

  /** For bytes instead of words. Throws usage/invalid where they would land on a terminal or beside a JSON value. */
  bytes(): Writable {
    if (this.json) {
      throw new DropsError("usage/invalid", "--json cannot be used where bytes go to standard output");
    }
    if (this.#stdout.isTTY === true) {
      const hint = "add  > FILE  or pipe it into another command";
      throw new DropsError("usage/invalid", "refusing to write raw bytes to a terminal", { hint });
    }
    this.#hasAnswered = true;
    return this.#stdout;
  }

  // say and progress are handed on by themselves, so they carry their `this` with them
  readonly say = (line: string): void => {
    const shown = clean(line);
    if (this.#quiet) this.#recent.add(shown);
    else this.#writeLine("info", shown);
  };

  /** One line about what does not change the outcome and must be seen, with --quiet too. */
  readonly warn = (line: string): void => this.#writeLine("warning", clean(line));

  readonly progress = (title: string, unit: "bytes" | "files" | "objects" = "bytes"): Progress => {
    if (this.#quiet) return { update: () => {}, done: () => {} };
    return this.#board.start(title, unit);
  };

  /** A failure's words, shown even with --quiet; bars are taken away first. */
  complain(text: string): void {
    this.#board.stop();
    this.#log("err", cleanBlock(text));
  }

  /** Text that is no value: help and version, on standard output. */
  print(text: string): void {
    this.#stdout.write(text);
  }

  #answer(text: string): void {
    this.#board.stop();
    this.#hasAnswered = true;
    this.#stdout.write(text);
  }

  async #answerSlowly(text: string): Promise<void> {
    this.#hasAnswered = true;
    if (!this.#stdout.write(text)) await once(this.#stdout, "drain");
  }

  #writeLine(level: Level, line: string): void {
    if (this.#board.logAbove(line)) this.#recent.add(line);
    else this.#log(level, line);
  }

  #log(level: Level, text: string): void {
    this.#recent.add(text);
    this.#stderr.write(writtenAs(this.#format, level, text, this.#now));
  }
}

const style = (on: number, off: number) => (text: string) => `\u001b[${on}m${text}\u001b[${off}m`;
const COLORS: Paint = {
  bold: style(1, 22),
  dim: style(2, 22),
  red: style(31, 39),
  green: style(32, 39),
  yellow: style(33, 39),
};
const same = (text: string): string => text;
const PLAIN: Paint = { bold: same, dim: same, red: same, green: same, yellow: same };
