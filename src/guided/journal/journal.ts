import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { JournalCopy } from "./journal-copy.ts";
import { journalOnHost } from "./journal-host.ts";
import { type JournalLine, lacking, type ReadLines } from "./journal-lines.ts";

const MAX_LINE = 64 * 1024;

/** What a line is made of before it has a number and a time. JSON; at most 64 KiB; never a secret. */
export interface JournalEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface JournalPlaces {
  readonly host: Host;
  /** On the host. */
  readonly file: string;
  readonly copy: JournalCopy;
  readonly now: () => Date;
}

/** A run's journal, on the host and with the operator. The host's is the truth. */
export class Journal {
  readonly #places: JournalPlaces;
  readonly #lines: JournalLine[];
  readonly #notes: string[];
  /** Lines that only the operator's copy has: the host was set back, or their writing failed. Never written to the host. */
  readonly onlyWithOperator: readonly JournalLine[];
  #next: number;
  #appending: Promise<unknown> = Promise.resolve();

  /** Give the operator's copy what only the host has, and hand the journal out. Never fails for the copy's sake. */
  static async open(places: JournalPlaces, onHost: ReadLines): Promise<Journal> {
    const copied = await places.copy.read();
    const problem = await places.copy.append(lacking(onHost.lines, copied.lines));
    const extra = lacking(copied.lines, onHost.lines);
    const notes = [...onHost.notes, ...copied.notes, ...(problem === undefined ? [] : [problem])];
    if (extra.length > 0)
      notes.push(
        `${places.copy.path} has ${extra.length} lines that ${places.host.label} lacks: what the host has counts`,
      );
    return new Journal(places, { lines: onHost.lines, notes, extra });
  }

  private constructor(places: JournalPlaces, read: ReadLines & { readonly extra: readonly JournalLine[] }) {
    this.#places = places;
    this.#lines = [...read.lines];
    this.#notes = [...read.notes];
    this.onlyWithOperator = read.extra;
    this.#next = [...read.lines, ...read.extra].reduce((next, { n }) => Math.max(next, n + 1), 0);
  }

  /** In order; grows with `append`. */
  get lines(): readonly JournalLine[] {
    return this.#lines;
  }

  /** What the operator should know: unreadable lines by place, a copy that cannot be written. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /**
   * Resolves when the line is on the host's disk. The operator's copy follows; when that cannot be written it is a
   * note. One at a time: calls wait for each other. After a lost connection the line may or may not be there; its number
   * is not used again. Throws space/low, host/….
   */
  async append(event: JournalEvent, how: Cancel): Promise<JournalLine> {
    const turn = this.#appending.then(() => this.#append(event, how));
    this.#appending = turn.catch(() => {}); // whoever waits for it sees it
    return turn;
  }

  async #append(event: JournalEvent, how: Cancel): Promise<JournalLine> {
    const { host, file, copy, now } = this.#places;
    how.signal.throwIfAborted();
    const written = JSON.stringify({ ...event, n: this.#next, at: now().toISOString() });
    if (Buffer.byteLength(written) > MAX_LINE)
      throw new RangeError(`a journal line of ${written.length} characters`);
    this.#next += 1;
    const line = JSON.parse(written) as JournalLine; // exactly what a later reader gets
    const what = "writing the journal";
    await journalOnHost(host, ["append", file], { ...how, what, stdin: `${written}\n` });
    this.#lines.push(line);
    const problem = await copy.append([line]);
    if (problem !== undefined && !this.#notes.includes(problem)) this.#notes.push(problem);
    return line;
  }
}
