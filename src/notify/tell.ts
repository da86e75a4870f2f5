import type { Cancel } from "../lib/cancel.ts";
import { messageOf } from "../lib/errors.ts";
import type { Outcome } from "./alert.ts";
import { type Book, EMPTY_BOOK, readBook, writeBook } from "./book.ts";
import type { Channel } from "./channel.ts";
import { compose, type Run } from "./compose.ts";
import { decide, noted, type Question } from "./decide.ts";
import { deliverAll } from "./deliver.ts";
import type { Delivery } from "./report.ts";

export interface TellParts {
  readonly run: Run;
  readonly channels: readonly Channel[];
  /** See `bookFile`. */
  readonly file: string;
  /** For all channels together. */
  readonly limitMs: number;
  readonly rpoMs: number;
  /** systemd's id of this run. */
  readonly invocation: string | undefined;
  readonly now: () => Date;
  readonly id: () => string;
  /** For what went wrong with an alert: one line. */
  readonly warn: (line: string) => void;
}

/** Tell how a run ended whoever is to hear it, and remember who did. Never throws; not longer than the limit. */
export async function tell(
  parts: TellParts,
  { book, outcome }: { readonly book: Book; readonly outcome: Outcome },
  how: { readonly limitMs: number } & Cancel,
): Promise<readonly Delivery[]> {
  const { run, channels, rpoMs, invocation } = parts;
  const question: Question<Channel> = { verb: run.verb, outcome, book, channels, now: parts.now(), rpoMs };
  const tells = decide(question);
  // what it says of the past is of before this run
  const isOver = outcome.event === "success";
  const after = noted(question, [], invocation);
  const past = {
    lastGood: isOver ? undefined : after.good,
    since: isOver ? book.trouble?.since : after.trouble?.since,
  };
  const letters = tells.map(({ channel, event, reminder }) => {
    const said = event === "success" ? { ...past, since: undefined } : past;
    const alert = compose(run, { id: parts.id(), event, reminder, at: question.now, outcome, ...said });
    return { channel, alert };
  });
  const deliveries = await deliverAll(letters, how);
  complain(parts, deliveries);
  const reached = tells.filter((_tell, index) => deliveries[index]?.delivered === true);
  try {
    await writeBook(parts.file, noted(question, reached, invocation));
  } catch (error) {
    parts.warn(`earlier alerts are not remembered, and are sent again: ${messageOf(error)}`);
  }
  return deliveries;
}

/** One that cannot be read counts as empty: telling twice is better than not at all. */
export async function openBook({ file, warn }: Pick<TellParts, "file" | "warn">): Promise<Book> {
  try {
    return await readBook(file);
  } catch {
    warn(`${file} cannot be read: earlier alerts are not known, and are sent again`);
    return EMPTY_BOOK;
  }
}

export function complain({ warn }: Pick<TellParts, "warn">, deliveries: readonly Delivery[]): void {
  for (const { channel, delivered, said } of deliveries)
    if (!delivered) warn(`no alert reached ${channel}: ${said}`);
}
