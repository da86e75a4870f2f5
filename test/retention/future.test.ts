import assert from "node:assert/strict";
import { test } from "node:test";
import type { RetentionContext } from "../../src/retention/context.ts";
import { decideAt, isImagined } from "../../src/retention/future.ts";
import { Calendar } from "../../src/retention/periods.ts";
import type { Candidate } from "../../src/snapshot/eligibility.ts";

const DAY = 86_400_000;
const TODAY = new Date("2026-10-24T12:00:00Z");

function night(ended: string, change: Partial<Candidate> = {}): Candidate {
  const at = new Date(ended);
  return {
    id: ended,
    key: ended,
    sequence: 7,
    state: "complete",
    ended: at,
    landed: at,
    trusted: true,
    whole: true,
    holds: ["db"],
    ...change,
  };
}

interface Asked {
  readonly at: string;
  readonly snapshots: readonly Candidate[];
  readonly daily?: number;
  readonly pinned?: (id: string, at: Date) => boolean;
  readonly today?: Date;
}

function decisionsOf({ at, snapshots, daily = 2, pinned = () => false, today = TODAY }: Asked) {
  const contextAt = (now: Date): RetentionContext => ({
    rules: { rules: "sequential", last: 0, daily, weekly: 0, monthly: 0, yearly: 0 },
    calendar: new Calendar("Europe/Berlin"),
    now,
    limits: { max_clock_skew: 900, commit_within: 3600 },
    withdrawn: () => false,
    pinned: (id) => pinned(id, now),
    proven: () => false,
  });
  return decideAt(new Date(at), today, snapshots, contextAt);
}

/** `23T01:30 kept`, `night of 2026-10-25 24T02:30 goes`. */
function nightsOf(asked: Asked): string[] {
  return decisionsOf(asked).map(({ snapshot, keep }) => {
    const when = snapshot.ended.toISOString().slice(8, 16);
    return `${isImagined(snapshot) ? "imagined " : ""}${when}${keep ? "" : " goes"}`;
  });
}

const two = [night("2026-10-23T01:30:00Z"), night("2026-10-24T01:30:00Z")];
const table: readonly { name: string; asked: Asked; says: readonly string[] }[] = [
  {
    name: "before the next night nothing is new",
    asked: { at: "2026-10-24T13:00:00Z", snapshots: two },
    says: ["23T01:30", "24T01:30"],
  },
  {
    name: "the clocks change in the night: it is at the same hour of the wall",
    asked: { at: "2026-10-25T02:29:59Z", snapshots: two },
    says: ["23T01:30", "24T01:30"],
  },
  {
    name: "the next night is over: nobody has pruned since",
    asked: { at: "2026-10-25T02:30:00Z", snapshots: two },
    says: ["24T01:30", "imagined 25T02:30"],
  },
  {
    name: "two more nights have taken the place of both",
    asked: { at: "2026-10-26T12:00:00Z", snapshots: two },
    says: ["imagined 25T02:30", "imagined 26T02:30"],
  },
  {
    name: "nights that were missed before today are not imagined",
    asked: { at: "2026-10-25T12:00:00Z", snapshots: [night("2026-10-20T01:30:00Z")] },
    says: ["20T01:30", "imagined 25T02:30"],
  },
  {
    name: "the night that is over right now was missed",
    asked: { at: "2026-10-24T13:00:00Z", snapshots: [night("2026-10-23T12:00:00Z")] },
    says: ["23T12:00"],
  },
  {
    name: "a night to come tonight, when the newest is of yesterday, counts from today's clock on",
    asked: { at: "2026-10-24T23:00:00Z", snapshots: [night("2026-10-23T20:00:00Z")] },
    says: ["23T20:00", "imagined 24T20:00"],
  },
  {
    name: "without any snapshot the nights are at the hour of now",
    asked: { at: "2026-10-26T00:00:00Z", snapshots: [] },
    says: ["imagined 25T13:00"],
  },
  ...(["partial", "untrusted", "broken"] as const).map((what) => ({
    name: `one that is ${what} does not say at which hour the nights are`,
    asked: {
      at: "2026-10-25T12:00:00Z",
      snapshots: [
        night("2026-10-24T01:30:00Z"),
        night("2026-10-24T09:00:00Z", {
          state: what === "partial" ? "partial" : "complete",
          trusted: what !== "untrusted",
          whole: what !== "broken",
          holds: [],
        }),
      ],
    },
    says:
      what === "partial" ? ["24T01:30", "imagined 25T02:30"] : ["24T01:30", "24T09:00", "imagined 25T02:30"],
  })),
  {
    name: "a pin counts as long as it will",
    asked: {
      at: "2026-10-26T12:00:00Z",
      snapshots: two,
      pinned: (id, at) => id === "2026-10-23T01:30:00Z" || at < new Date("2026-10-26T00:00:00Z"),
    },
    says: ["23T01:30", "imagined 25T02:30", "imagined 26T02:30"],
  },
];
for (const { name, asked, says } of table) {
  test(name, () => assert.deepEqual(nightsOf(asked), says));
}

test("an imagined night is like the newest one, a number later, and lands when it ends", () => {
  const [, imagined] = decisionsOf({
    at: "2026-10-25T12:00:00Z",
    snapshots: [night("2026-10-24T01:30:00Z")],
  });
  const ended = new Date("2026-10-25T02:30:00Z");
  assert.deepEqual(imagined?.snapshot, {
    ...night("2026-10-25T02:30:00Z"),
    ...{ id: "night of 2026-10-25", key: "night of 2026-10-25", sequence: 8, ended, landed: ended },
  });
  assert.ok(imagined.goes && imagined.goes > ended);
  const [first] = decisionsOf({ at: "2026-10-26T00:00:00Z", snapshots: [] });
  assert.deepEqual([first?.snapshot.sequence, first?.snapshot.holds], [1, []]);
  assert.ok(!isImagined({ id: "0123456789abcdef" }));
});

test("only what is ahead, and within ten years, is foreseen", () => {
  const furthest = new Date(TODAY.getTime() + 3660 * DAY);
  const late = [night(new Date(furthest.getTime() - 1).toISOString())]; // else each night of ten years is decided about
  const asked = (at: Date) => () => nightsOf({ at: at.toISOString(), snapshots: late, daily: 1 });
  for (const at of [TODAY, new Date(0), new Date(furthest.getTime() + 1)])
    assert.throws(asked(at), { code: "usage/invalid", hint: /^--at / });
  assert.equal(asked(furthest)().length, 1);
});
