import type { Cancel } from "../../lib/cancel.ts";

/** One line. `n` counts from 0, `at` is the operator's clock; the rest is whoever appends it's. */
export interface JournalLine {
  readonly n: number;
  /** ISO, UTC, milliseconds. */
  readonly at: string;
  /** `created`, `closed`, or a word of whoever appends. */
  readonly event: string;
  readonly [field: string]: unknown;
}

/** What a line is made of before it has a number and a time. JSON; at most 64 KiB; never a secret. */
export interface JournalEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A run's journal, on the host and with the operator. The host's is the truth. */
export class Journal {
  /** In order; grows with `append`. */
  readonly lines: readonly JournalLine[] = [];
  /** Lines that only the operator's copy has: the host has lost them, or another host was meant. Never written to the host. */
  readonly onlyWithOperator: readonly JournalLine[] = [];
  /** What the operator should know: unreadable lines by place, a copy that cannot be written. */
  readonly notes: readonly string[] = [];

  /**
   * Resolves when the line is on the host's disk. The operator's copy follows; when that cannot be written it is a
   * note. One at a time: calls wait for each other. Throws space/low, host/….
   */
  async append(_event: JournalEvent, _how: Cancel): Promise<JournalLine> {
    throw new Error("to come");
  }
}
