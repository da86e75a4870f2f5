import type { AlertEvent, AlertVerb } from "../policy/notify-schema.ts";
import type { Outcome } from "./alert.ts";
import type { Book } from "./book.ts";
import type { Channel } from "./channel.ts";

const HOUR_MS = 3_600_000;
/** "Daily" of a job that runs every night at about the same time: a day less what timers may come earlier. */
const DAILY_MS = 20 * HOUR_MS;
/** A backup that may cure itself is worth waking somebody for once a quarter of the rpo is gone. */
const PATIENT_SHARE = 0.25;

type Listener = Pick<Channel, "name" | "kind" | "on" | "verbs">;

export interface Tell<Of extends Listener = Listener> {
  readonly channel: Of;
  readonly event: AlertEvent;
  readonly reminder: boolean;
}

export interface Question<Of extends Listener = Listener> {
  readonly verb: AlertVerb;
  readonly outcome: Outcome;
  readonly book: Book;
  readonly channels: readonly Of[];
  readonly now: Date;
  readonly rpoMs: number;
}

/** Who wants to hear that a run has begun. */
export function listeners<Of extends Listener>(
  channels: readonly Of[],
  verb: AlertVerb,
  event: AlertEvent,
): readonly Of[] {
  return channels.filter(({ on, verbs }) => on.includes(event) && verbs.includes(verb));
}

/**
 * Whom to tell what of a run that ended. A ping hears of every run. Everybody else hears of the same trouble once and then
 * daily, of another trouble at once, and once that it is over if told of it.
 */
export function decide<Of extends Listener>(question: Question<Of>): readonly Tell<Of>[] {
  const { channels, verb } = question;
  return channels
    .filter(({ verbs }) => verbs.includes(verb))
    .flatMap((channel) => {
      const tell = channel.kind === "ping" ? ofRun(question, channel) : ofChange(question, channel);
      return tell ? [tell] : [];
    });
}

function ofRun<Of extends Listener>({ outcome }: Question<Of>, channel: Of): Tell<Of> | undefined {
  return channel.on.includes(outcome.event) ? { channel, event: outcome.event, reminder: false } : undefined;
}

function ofChange<Of extends Listener>(question: Question<Of>, channel: Of): Tell<Of> | undefined {
  const { outcome, book, now } = question;
  const told = book.trouble?.told[channel.name];
  if (outcome.event === "success") {
    if (told && channel.on.includes("recovered")) return { channel, event: "recovered", reminder: false };
    return ofRun(question, channel);
  }
  if (!channel.on.includes(outcome.event) || mayWait(question)) return undefined;
  const same = told?.trouble === outcome.trouble;
  const age = same ? now.getTime() - Date.parse(told.at) : 0;
  if (same && age >= 0 && age < DAILY_MS) return undefined; // a time to come is a clock that was set back
  return { channel, event: outcome.event, reminder: same };
}

/** Whether nobody is needed yet: the next run may cure it, and the last good backup is young. */
function mayWait({ verb, outcome, book, now, rpoMs }: Question): boolean {
  if (verb !== "backup" || !outcome.mayPass || book.good === undefined) return false;
  const age = now.getTime() - Date.parse(book.good);
  return age >= 0 && age < rpoMs * PATIENT_SHARE;
}

/** The book after that run, when these channels were reached. */
export function noted(question: Question, reached: readonly Tell[], invocation: string | undefined): Book {
  const { outcome, book, now } = question;
  const at = now.toISOString();
  const names = (kinds: (kind: Listener["kind"]) => boolean) =>
    reached.filter(({ channel }) => kinds(channel.kind)).map(({ channel }) => channel.name);
  // a run may be told of twice: by itself, and by what systemd starts when it failed
  const before = invocation !== undefined && book.run?.invocation === invocation ? book.run.pinged : [];
  const pinged = [...before, ...names((kind) => kind === "ping")];
  const run = { ...(invocation !== undefined && { invocation }), pinged };
  const heard = names((kind) => kind !== "ping");
  const trouble = outcome.event === "success" ? owed(question, heard) : grown(question, heard);
  const good = outcome.event === "success" ? at : book.good;
  return { format: book.format, ...(good !== undefined && { good }), ...(trouble && { trouble }), run };
}

function grown({ outcome, book, now }: Question, heard: readonly string[]): Book["trouble"] {
  const { event, mayPass, exitCode, failure, trouble: key } = outcome;
  if (event === "success") return undefined;
  const at = now.toISOString();
  const before = book.trouble;
  const isNew = before === undefined || (book.good !== undefined && book.good > before.since);
  const told = { ...before?.told, ...Object.fromEntries(heard.map((name) => [name, { trouble: key, at }])) };
  return {
    since: isNew ? at : before.since,
    key,
    event,
    mayPass,
    ...(exitCode !== undefined && { exitCode }),
    ...(failure && { failure }),
    told,
  };
}

/** What is over, but some who were told of it could not be told so. It is no trouble that could come back: it has no name. */
function owed({ book, channels }: Question, heard: readonly string[]): Book["trouble"] {
  if (!book.trouble) return undefined;
  const wanting = channels.filter(({ name, on }) => on.includes("recovered") && !heard.includes(name));
  const left = wanting.flatMap(({ name }) => {
    const told = book.trouble?.told[name];
    return told ? [[name, { ...told, trouble: "" }] as const] : [];
  });
  return left.length > 0 ? { ...book.trouble, key: "", told: Object.fromEntries(left) } : undefined;
}
