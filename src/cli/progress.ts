import { createRequire } from "node:module";
import type { MultiBar, Options } from "cli-progress";
import { clean } from "../lib/clean.ts";
import type { Progress } from "../lib/context.ts";

/** What progress is written to: lines that stay, and, on a terminal, bars below them. */
export interface ProgressOutput {
  readonly stream: NodeJS.WriteStream | NodeJS.WritableStream;
  readonly isTerminal: boolean;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly write: (line: string) => void;
}

type Unit = "bytes" | "files" | "objects";

/** Without a terminal (systemd, CI): no more than a line in this many milliseconds, and one when a step ends. */
const QUIET_INTERVAL = 10_000;

/** Starts progress displays, and lets lines be written while bars are on the screen. */
export class ProgressBoard {
  readonly #output: ProgressOutput;
  #bars: MultiBar | undefined;
  #running = 0;

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  /** Write a line above the bars. False when there are none: the caller writes it itself. */
  logAbove(line: string): boolean {
    if (!this.#bars) return false;
    for (const part of folded(line, widthOf(this.#output.stream))) this.#bars.log(`${part}\n`);
    this.#bars.update();
    return true;
  }

  start(title: string, unit: Unit): Progress {
    const step = new Step(clean(title), unit, this.#output.clock);
    return this.#output.isTerminal ? this.#asBar(step) : this.#asLines(step);
  }

  /** Take the bars away, whatever still runs: the last words are about to be written. */
  stop(): void {
    this.#bars?.stop();
    this.#bars = undefined;
    this.#running = 0;
  }

  #asLines(step: Step): Progress {
    let last = this.#output.clock();
    let ended = false;
    return {
      update: (done, total, note) => {
        if (ended) return;
        step.update(done, total, note);
        const now = this.#output.clock();
        if (now - last < QUIET_INTERVAL) return;
        last = now;
        this.#output.write(`${step.title}: ${step.soFar()}`);
      },
      done: () => {
        if (ended) return;
        ended = true;
        this.#output.write(step.summary());
      },
    };
  }

  #asBar(step: Step): Progress {
    this.#bars ??= newBars(this.#output.stream);
    this.#running++;
    const bars = this.#bars;
    const bar = bars.create(1, 0, { words: step.title });
    let ended = false;
    return {
      update: (done, total, note) => {
        if (ended) return;
        step.update(done, total, note);
        bar.setTotal(Math.max(step.total ?? 0, 1));
        bar.update(Math.min(done, step.total ?? 0), { words: `${step.title}: ${step.soFar()}` });
      },
      done: () => {
        if (ended) return;
        ended = true;
        bar.stop();
        bars.remove(bar);
        if (this.#bars !== bars) return;
        this.logAbove(step.summary());
        this.#running--;
        if (this.#running === 0) this.stop();
      },
    };
  }
}

/** The numbers of one step and their words. */
class Step {
  readonly title: string;
  total: number | undefined;
  readonly #unit: Unit;
  readonly #clock: () => number;
  readonly #started: number;
  #done = 0;
  #note = "";

  constructor(title: string, unit: Unit, clock: () => number) {
    this.title = title;
    this.#unit = unit;
    this.#clock = clock;
    this.#started = clock();
  }

  update(done: number, total: number | undefined, note: string | undefined): void {
    this.#done = done;
    if (total !== undefined) this.total = total;
    if (note !== undefined) this.#note = clean(note);
  }

  soFar(): string {
    const rate = this.#done / Math.max(this.#seconds(), 0.001);
    const total = this.total !== undefined && this.total >= this.#done ? this.total : undefined; // or it was wrong
    const percent = total === undefined ? "" : ` (${Math.floor((100 * this.#done) / Math.max(total, 1))} %)`;
    const of = total === undefined ? "" : ` of ${this.#amount(total)}${percent}`;
    const left = total === undefined || rate <= 0 ? undefined : (total - this.#done) / rate;
    const eta = left === undefined || left < 0.5 ? "" : `, ${clockTime(left)} left`;
    return `${this.#amount(this.#done)}${of}, ${this.#amount(rate)}/s${eta}${this.#note && ` (${this.#note})`}`;
  }

  summary(): string {
    return `${this.title}: ${this.#amount(this.#done)} in ${clockTime(this.#seconds())}`;
  }

  #seconds(): number {
    return (this.#clock() - this.#started) / 1000;
  }

  #amount(value: number): string {
    if (this.#unit !== "bytes") return `${Math.round(value).toLocaleString("en")} ${this.#unit}`;
    return value < 1024 * 1024
      ? `${(value / 1024).toFixed(0)} KiB`
      : `${(value / 1024 / 1024).toFixed(1)} MiB`;
  }
}

/** Bars turn the terminal's own folding off: what is longer than its width would be cut. */
function folded(line: string, width: number): readonly string[] {
  const letters = [...line];
  const parts = [letters.splice(0, width).join("")];
  while (letters.length > 0) parts.push(letters.splice(0, width).join(""));
  return parts;
}

function widthOf(stream: ProgressOutput["stream"]): number {
  const columns = "columns" in stream ? stream.columns : undefined;
  return columns && columns > 0 ? columns : 80;
}

/** `0:07`, `12:30`, `3:00:00`. */
function clockTime(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

function newBars(stream: ProgressOutput["stream"]): MultiBar {
  // required here, and not imported above: most runs of drops draw no bar
  const { MultiBar } = createRequire(import.meta.url)("cli-progress") as typeof import("cli-progress");
  const options: Options = {
    format: "{bar} {words}",
    barsize: 20,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    stream: stream as NodeJS.WritableStream,
    fps: 5,
    hideCursor: false,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false, // signals are handled in one place
    emptyOnZero: true,
    linewrap: false,
    forceRedraw: true,
  };
  return new MultiBar(options);
}
