import assert from "node:assert/strict";
import { test } from "node:test";
import { DropsError } from "../src/lib/errors.ts";
import { parseDateWords } from "../src/policy/dates.ts";
import { type Pickable, pickSnapshot } from "../src/policy/pick.ts";
import { wallTime } from "../src/policy/zone.ts";

const now = new Date("2026-11-23T21:30:00Z");

const days: readonly { words: string; zone?: string; now?: string; from: string; to: string }[] = [
  { words: "2026-11-20", from: "2026-11-19T23:00Z", to: "2026-11-20T23:00Z" },
  { words: "2026-11-20", zone: "UTC", from: "2026-11-20T00:00Z", to: "2026-11-21T00:00Z" },
  { words: "2026-12-31", zone: "Asia/Kathmandu", from: "2026-12-30T18:15Z", to: "2026-12-31T18:15Z" },
  // clocks go forward: 23 hours; back: 25 hours
  { words: "2026-03-29", from: "2026-03-28T23:00Z", to: "2026-03-29T22:00Z" },
  { words: "2026-10-25", from: "2026-10-24T22:00Z", to: "2026-10-25T23:00Z" },
  { words: "2026-03-08", zone: "America/New_York", from: "2026-03-08T05:00Z", to: "2026-03-09T04:00Z" },
  // days that begin at 01:00, or whose midnight happens twice
  { words: "2018-11-04", zone: "America/Sao_Paulo", from: "2018-11-04T03:00Z", to: "2018-11-05T02:00Z" },
  { words: "2018-11-03", zone: "America/Sao_Paulo", from: "2018-11-03T03:00Z", to: "2018-11-04T03:00Z" },
  { words: "2025-11-02", zone: "America/Havana", from: "2025-11-02T04:00Z", to: "2025-11-03T05:00Z" },
  { words: "2025-11-01", zone: "America/Havana", from: "2025-11-01T04:00Z", to: "2025-11-02T04:00Z" },
  { words: "today", from: "2026-11-22T23:00Z", to: "2026-11-23T23:00Z" },
  { words: "Yesterday", from: "2026-11-21T23:00Z", to: "2026-11-22T23:00Z" },
  { words: "0 days ago", from: "2026-11-22T23:00Z", to: "2026-11-23T23:00Z" },
  { words: " 3  days ago ", from: "2026-11-19T23:00Z", to: "2026-11-20T23:00Z" },
  { words: "1 week ago", from: "2026-11-15T23:00Z", to: "2026-11-16T23:00Z" },
  // 23:30 UTC is tomorrow in Berlin already; and counting back crosses a clock change
  { words: "today", now: "2026-11-23T23:30:00Z", from: "2026-11-23T23:00Z", to: "2026-11-24T23:00Z" },
  { words: "30 days ago", from: "2026-10-23T22:00Z", to: "2026-10-24T22:00Z" },
  { words: "yesterday", now: "2026-03-29T22:30:00Z", from: "2026-03-28T23:00Z", to: "2026-03-29T22:00Z" },
];
for (const row of days) {
  test(`${row.words.trim()} in ${row.zone ?? "Europe/Berlin"} is ${row.from} to ${row.to}`, () => {
    const wanted = parseDateWords(row.words, {
      zone: row.zone ?? "Europe/Berlin",
      now: row.now === undefined ? now : new Date(row.now),
    });
    assert.ok(wanted.kind === "day");
    assert.deepEqual([wanted.from, wanted.to], [new Date(row.from), new Date(row.to)]);
  });
}

const times: readonly { words: string; zone?: string; at: string }[] = [
  { words: "2026-11-20T14:30", at: "2026-11-20T13:30:59.999Z" },
  { words: "2026-11-20 14:30:15", at: "2026-11-20T13:30:15.999Z" },
  { words: "2026-11-20T14:30:00Z", at: "2026-11-20T14:30:00.999Z" },
  { words: "2026-11-20T14:30:00.123Z", at: "2026-11-20T14:30:00.123Z" },
  { words: "2026-11-20T14:30+05:30", at: "2026-11-20T09:00:59.999Z" },
  { words: "2026-11-20T14:30-0800", at: "2026-11-20T22:30:59.999Z" },
  { words: "2026-10-25T02:30+01:00", at: "2026-10-25T01:30:59.999Z" },
  { words: "2026-10-25T03:00", at: "2026-10-25T02:00:59.999Z" },
  { words: "2026-03-29T01:59", at: "2026-03-29T00:59:59.999Z" },
  { words: "2026-03-29T03:00", at: "2026-03-29T01:00:59.999Z" },
  { words: "2 hours ago", at: "2026-11-23T19:30:00Z" },
  { words: "90 minutes ago", at: "2026-11-23T20:00:00Z" },
];
for (const row of times) {
  test(`${row.words} is ${row.at}`, () => {
    const wanted = parseDateWords(row.words, { zone: row.zone ?? "Europe/Berlin", now });
    assert.deepEqual(wanted, { kind: "time", at: new Date(row.at) });
  });
}

test("words for no date: latest and ids", () => {
  const how = { zone: "Europe/Berlin", now };
  assert.deepEqual(parseDateWords("LATEST", how), { kind: "latest" });
  assert.deepEqual(parseDateWords("0123ab", how), { kind: "id", id: "0123ab" });
  assert.deepEqual(parseDateWords("20261123T023000Z-00ff00ff00ff00ff", how), {
    kind: "id",
    id: "00ff00ff00ff00ff",
  });
});

const bad: readonly (readonly [words: string, why: RegExp])[] = [
  ["", /is not a date/],
  ["tomorrow", /is not a date/],
  ["20.11.2026", /is not a date/],
  ["2026-11", /is not a date/],
  ["2026-02-30", /not a day of the calendar/],
  ["2026-13-01", /not a day of the calendar/],
  ["2026-11-20T24:00", /not a time of the calendar/],
  ["2026-02-30T10:00", /not a time of the calendar/],
  ["2026-11-20T10:00+19:00", /no such offset/],
  ["2026-03-29T02:30", /did not happen in Europe\/Berlin/],
  ["2026-10-25T02:30", /happened twice in Europe\/Berlin/],
  ["-1 days ago", /is not a date/],
  ["abc", /is not a date/],
];
for (const [words, why] of bad) {
  test(`"${words}" is refused with examples`, () => {
    assert.throws(
      () => parseDateWords(words, { zone: "Europe/Berlin", now }),
      (error) =>
        error instanceof DropsError &&
        error.code === "usage/invalid" &&
        why.test(error.message) &&
        /2026-11-20T13:30Z/.test(error.hint ?? ""),
    );
  });
}

test("a day that a zone skipped is refused", () => {
  assert.throws(() => parseDateWords("2011-12-30", { zone: "Pacific/Apia", now }), /was skipped/);
});

test("wall time carries its offset", () => {
  assert.equal(wallTime(new Date("2026-10-25T00:30:05Z"), "Europe/Berlin"), "2026-10-25 02:30:05 +02:00");
  assert.equal(wallTime(new Date("2026-10-25T01:30:05Z"), "Europe/Berlin"), "2026-10-25 02:30:05 +01:00");
});

// "!" partial, "?" checkpoint; ids are given in order
const list = ["11-18T02:30", "11-19T02:31", "11-19T14:00", "11-20T02:30!", "11-22T02:30", "11-22T23:00?"];
const snapshots: Pickable[] = list.map((text, index) => ({
  id: `${index}`.repeat(8),
  ended: new Date(`2026-${text.slice(0, 11)}:00Z`),
  state: text.endsWith("!") ? "partial" : text.endsWith("?") ? "checkpoint" : "complete",
}));

const picks: readonly { words: string; picked: number }[] = [
  { words: "latest", picked: 4 },
  { words: "2026-11-19", picked: 2 },
  { words: "2026-11-18", picked: 0 },
  { words: "2026-11-19T14:00Z", picked: 2 },
  { words: "2026-11-19T13:59:59Z", picked: 1 },
  { words: "2026-11-20T12:00Z", picked: 2 },
  { words: "333333", picked: 3 },
  { words: "55555555", picked: 5 },
];
for (const row of picks) {
  test(`${row.words} picks snapshot ${row.picked}`, () => {
    const wanted = parseDateWords(row.words, { zone: "UTC", now });
    assert.equal(pickSnapshot(snapshots.toReversed(), wanted, { zone: "UTC" }), snapshots[row.picked]);
  });
}

const missing: readonly { words: string; message: string; hint: string; of?: readonly Pickable[] }[] = [
  {
    words: "2026-11-20",
    message: "no complete snapshot ended on 2026-11-20 (UTC)",
    hint: "nearest earlier: --snapshot 22222222 of 2026-11-19 14:00:00 +00:00; nearest later: --snapshot 44444444 of 2026-11-22 02:30:00 +00:00",
  },
  {
    words: "2026-11-17T00:00",
    message: "no complete snapshot at or before 2026-11-17 00:00:59 +00:00",
    hint: "nearest later: --snapshot 00000000 of 2026-11-18 02:30:00 +00:00",
  },
  {
    words: "2026-11-23",
    message: "no complete snapshot ended on 2026-11-23 (UTC)",
    hint: "nearest earlier: --snapshot 44444444 of 2026-11-22 02:30:00 +00:00",
  },
  { words: "abcdef", message: "no snapshot abcdef", hint: "drops snapshots" },
  { words: "latest", of: [], message: "no complete snapshot in the repository", hint: "drops snapshots" },
  {
    words: "today",
    of: [],
    message: "no complete snapshot ended on 2026-11-23 (UTC)",
    hint: "drops snapshots  (none is complete)",
  },
];
for (const row of missing) {
  test(`${row.words} of ${row.of?.length ?? snapshots.length} finds nothing and says what there is`, () => {
    const wanted = parseDateWords(row.words, { zone: "UTC", now });
    assert.throws(() => pickSnapshot(row.of ?? snapshots, wanted, { zone: "UTC" }), {
      code: "snapshot/missing",
      message: row.message,
      hint: row.hint,
    });
  });
}

test("the first digits of an id must name one snapshot", () => {
  const twins: Pickable[] = ["abcdef00", "abcdef11"].map((id) => ({ id, ended: now, state: "complete" }));
  const how = { zone: "UTC", now };
  assert.throws(() => pickSnapshot(twins, parseDateWords("abcdef", how), how), { code: "usage/invalid" });
  assert.equal(pickSnapshot(twins, parseDateWords("abcdef1", how), how), twins[1]);
  const many = Array.from({ length: 12 }, (_, at): Pickable => {
    return {
      id: `abcdef${at.toString(16)}`.padEnd(16, "0"),
      ended: new Date(Date.UTC(2026, 10, 1 + at)),
      state: "complete",
    };
  });
  assert.throws(() => pickSnapshot(many, parseDateWords("abcdef", how), how), {
    message: "12 snapshots begin with abcdef",
    hint: /^abcdef0000000000 of 2026-11-01 \S+ \+\S+, (abcdef\S+ of \S+ \S+ \S+, ){3}abcdef4000000000 of \S+ \S+ \S+ and 7 more$/,
  });
});
