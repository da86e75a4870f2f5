import assert from "node:assert/strict";
import { test } from "node:test";
import type { Decision } from "../../src/retention/decide.ts";
import { oldestPoint, promiseOf } from "../../src/retention/promise.ts";
import { KEEP } from "../support/nights.ts";

const decision = (day: number, change: Partial<Decision> = {}, state = "complete"): Decision =>
  ({
    snapshot: { ended: new Date(Date.UTC(2026, 10, day, 23, 30)), state },
    standing: { fills: true },
    keep: true,
    slots: [],
    guards: [],
    ...change,
  }) as unknown as Decision;
const none = { ...KEEP, daily: 0, weekly: 0, monthly: 0 };
const of = (rules: Partial<typeof KEEP>, decisions: readonly Decision[] = []) =>
  promiseOf(decisions, { ...none, ...rules }, "Europe/Berlin");

test("rules in words, one and many", () => {
  const nowhere = "; no restore point yet";
  assert.equal(of({ last: 1 }), `any of the last snapshot${nowhere}`);
  assert.equal(of({ last: 3, daily: 1 }), `any of the last 3 snapshots, 1 day${nowhere}`);
  const all = { daily: 7, weekly: 4, monthly: 12, yearly: 1 };
  assert.equal(of(all), `any of the last 7 days, 4 weeks, 12 months, 1 year${nowhere}`);
});

test("the oldest restore point is a day of the policy's zone", () => {
  assert.match(of({ daily: 1 }, [decision(2)]), /; oldest restore point 2026-11-03$/);
});

const table: readonly { name: string; first: Decision; counts: boolean }[] = [
  { name: "that goes", first: decision(1, { keep: false }), counts: false },
  { name: "that is partial", first: decision(1, {}, "partial"), counts: false },
  {
    name: "in quarantine",
    first: decision(1, { standing: { fills: false, quarantined: true, why: "" } }),
    counts: false,
  },
  {
    name: "that was withdrawn",
    first: decision(1, { standing: { fills: false, quarantined: false, why: "" } }),
    counts: true,
  },
];
for (const { name, first, counts } of table) {
  test(`a snapshot ${name} is ${counts ? "a" : "no"} restore point`, () => {
    assert.equal(oldestPoint([first, decision(2)])?.getUTCDate(), counts ? 1 : 2);
    assert.equal(oldestPoint([]), undefined);
  });
}
