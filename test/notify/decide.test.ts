import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../../src/notify/alert.ts";
import { Book, EMPTY_BOOK } from "../../src/notify/book.ts";
import { decide, listeners, noted, type Tell } from "../../src/notify/decide.ts";
import type { AlertEvent, AlertVerb } from "../../src/policy/notify-schema.ts";

type Listener = Tell["channel"];
const ALL: readonly AlertVerb[] = ["backup", "prune", "verify", "status", "drill"];
const mail: Listener = { name: "mail", kind: "mail", on: ["partial", "failure", "recovered"], verbs: ALL };
const ping: Listener = {
  name: "ping",
  kind: "ping",
  on: ["start", "success", "partial", "failure"],
  verbs: ["backup"],
};
const chatty: Listener = {
  name: "chatty",
  kind: "webhook",
  on: ["success", "failure", "recovered"],
  verbs: ["backup"],
};

const HOUR = 3_600_000;
const START = Date.parse("2026-11-20T02:00:00Z");
const GOOD: Outcome = { event: "success", exitCode: 0, trouble: "", mayPass: false, log: [] };
const AWAY: Outcome = {
  event: "failure",
  exitCode: 11,
  trouble: "store/unavailable",
  mayPass: true,
  log: [],
};
const KEY: Outcome = { event: "failure", exitCode: 13, trouble: "key/missing", mayPass: false, log: [] };
const PART: Outcome = {
  event: "partial",
  exitCode: 3,
  trouble: "backup/partial db",
  mayPass: false,
  log: [],
};

interface Night {
  /** Hours after the first night. */
  readonly at: number;
  readonly ends: Outcome;
  /** `channel event`, with `again` for a reminder. */
  readonly told: readonly string[];
  /** Who cannot be reached. */
  readonly deaf?: readonly string[];
}

const tables: readonly {
  name: string;
  verb?: AlertVerb;
  rpoHours?: number;
  channels?: readonly Listener[];
  nights: readonly Night[];
}[] = [
  {
    name: "the same trouble is told once and then daily, timers that jitter or not; its end once",
    nights: [
      { at: 0, ends: KEY, told: ["mail failure"] },
      { at: 1, ends: KEY, told: [] },
      { at: 19.9, ends: KEY, told: [] },
      { at: 23.5, ends: KEY, told: ["mail failure again"] },
      { at: 47.9, ends: KEY, told: ["mail failure again"] },
      { at: 48.5, ends: GOOD, told: ["mail recovered"] },
      { at: 49, ends: GOOD, told: [] },
      { at: 50, ends: KEY, told: ["mail failure"] },
    ],
  },
  {
    name: "another trouble is told at once",
    nights: [
      { at: 0, ends: PART, told: ["mail partial"] },
      { at: 1, ends: KEY, told: ["mail failure"] },
      { at: 2, ends: { ...PART, trouble: "backup/partial db media" }, told: ["mail partial"] },
      { at: 3, ends: GOOD, told: ["mail recovered"] },
    ],
  },
  {
    name: "who was not reached is told by the next run, and nobody twice",
    channels: [mail, chatty],
    nights: [
      { at: 0, ends: KEY, told: ["mail failure", "chatty failure"], deaf: ["mail"] },
      { at: 1, ends: KEY, told: ["mail failure"] },
      { at: 2, ends: GOOD, told: ["mail recovered", "chatty recovered"], deaf: ["mail"] },
      { at: 3, ends: GOOD, told: ["mail recovered", "chatty success"] },
      { at: 4, ends: GOOD, told: ["chatty success"] },
    ],
  },
  {
    name: "a trouble that comes back before its end could be told is new",
    nights: [
      { at: 0, ends: KEY, told: ["mail failure"] },
      { at: 1, ends: GOOD, told: ["mail recovered"], deaf: ["mail"] },
      { at: 2, ends: KEY, told: ["mail failure"] },
    ],
  },
  {
    name: "a ping hears of every run",
    channels: [ping],
    nights: [
      { at: 0, ends: KEY, told: ["ping failure"] },
      { at: 1, ends: KEY, told: ["ping failure"] },
      { at: 2, ends: PART, told: ["ping partial"] },
      { at: 3, ends: GOOD, told: ["ping success"] },
      { at: 4, ends: GOOD, told: ["ping success"] },
    ],
  },
  {
    name: "of its own verbs alone",
    verb: "verify",
    channels: [ping, mail],
    nights: [{ at: 0, ends: KEY, told: ["mail failure"] }],
  },
  {
    name: "an hourly backup whose store is away has a quarter of the rpo to cure itself",
    nights: [
      { at: 0, ends: GOOD, told: [] },
      { at: 1, ends: AWAY, told: [] },
      { at: 5, ends: AWAY, told: [] },
      { at: 6, ends: AWAY, told: ["mail failure"] },
      { at: 7, ends: AWAY, told: [] },
      { at: 8, ends: GOOD, told: ["mail recovered"] },
    ],
  },
  {
    name: "and is not said to be well again when nobody heard that it was not",
    nights: [
      { at: 0, ends: GOOD, told: [] },
      { at: 1, ends: AWAY, told: [] },
      { at: 2, ends: GOOD, told: [] },
    ],
  },
  {
    name: "a nightly one is told at once",
    nights: [
      { at: 0, ends: GOOD, told: [] },
      { at: 23.6, ends: AWAY, told: ["mail failure"] },
    ],
  },
  {
    name: "and with an rpo of three days too",
    rpoHours: 72,
    nights: [
      { at: 0, ends: GOOD, told: [] },
      { at: 23.6, ends: AWAY, told: ["mail failure"] },
    ],
  },
  {
    name: "nobody waits when no good backup is remembered, or a person is needed",
    nights: [
      { at: 0, ends: AWAY, told: ["mail failure"] },
      { at: 1, ends: GOOD, told: ["mail recovered"] },
      { at: 2, ends: KEY, told: ["mail failure"] },
    ],
  },
  {
    name: "only backups wait: the next verify may be a week away",
    verb: "verify",
    nights: [
      { at: 0, ends: GOOD, told: [] },
      { at: 1, ends: AWAY, told: ["mail failure"] },
    ],
  },
  {
    name: "a clock that was set back silences nobody",
    nights: [
      { at: 100, ends: KEY, told: ["mail failure"] },
      { at: 0, ends: KEY, told: ["mail failure again"] },
      { at: 1, ends: GOOD, told: ["mail recovered"] },
      { at: -500, ends: AWAY, told: ["mail failure"] },
    ],
  },
];
for (const { name, verb = "backup", rpoHours = 24, channels = [mail], nights } of tables) {
  test(name, () => {
    let book: Book = EMPTY_BOOK;
    for (const { at, ends, told, deaf = [] } of nights) {
      const now = new Date(START + at * HOUR);
      const question = { verb, outcome: ends, book, channels, now, rpoMs: rpoHours * HOUR };
      const tells = decide(question);
      const words = tells.map(
        ({ channel, event, reminder }) => `${channel.name} ${event}${reminder ? " again" : ""}`,
      );
      assert.deepEqual(words, told, `at ${at}`);
      book = Book.parse(
        noted(
          question,
          tells.filter(({ channel }) => !deaf.includes(channel.name)),
          undefined,
        ),
      );
    }
  });
}

test("since is when it first failed after it last went well, whatever the trouble is by now", () => {
  const after = (book: Book, outcome: Outcome, hours: number): Book => {
    const now = new Date(START + hours * HOUR);
    const question = { verb: "backup" as const, outcome, book, channels: [mail], now, rpoMs: 24 * HOUR };
    return noted(question, decide(question), undefined);
  };
  let book = after(EMPTY_BOOK, GOOD, 0);
  book = after(book, KEY, 24);
  book = after(book, PART, 48);
  assert.equal(book.trouble?.since, "2026-11-21T02:00:00.000Z");
  assert.equal(book.good, "2026-11-20T02:00:00.000Z");
  book = after(after(book, GOOD, 72), KEY, 96);
  assert.equal(book.trouble?.since, "2026-11-24T02:00:00.000Z");
});

test("a start is for those who want it, of that verb", () => {
  const of = (verb: AlertVerb, event: AlertEvent) =>
    listeners([mail, ping, chatty], verb, event).map(({ name }) => name);
  assert.deepEqual(of("backup", "start"), ["ping"]);
  assert.deepEqual(of("verify", "start"), []);
});
