import assert from "node:assert/strict";
import { test } from "node:test";
import { forecast } from "../../src/retention/forecast.ts";
import { Calendar } from "../../src/retention/periods.ts";

const DAY = 86_400_000;
const NIGHT = new Date("2026-11-24T01:30:00Z");
const none = { rules: "sequential", last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 } as const;
const nights = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    id: `${count - at}`,
    at: new Date(NIGHT.getTime() - (count - at - 1) * DAY),
  }));
const daysOf = (last: number, count: number) =>
  [...forecast(nights(count), { ...none, last }, new Calendar("UTC"))].map(([id, at]) => [
    id,
    at && (at.getTime() - NIGHT.getTime()) / DAY,
  ]);

test("each goes in the night that pushes it out", () => {
  assert.deepEqual(daysOf(3, 3), [
    ["3", 1],
    ["2", 2],
    ["1", 3],
  ]);
  assert.deepEqual(daysOf(5, 2), [
    ["2", 4],
    ["1", 5],
  ]);
  assert.deepEqual(daysOf(3, 0), []);
});

test("three years are foreseen, and not a day more", () => {
  assert.deepEqual(daysOf(3 * 366 + 1, 2), [
    ["2", 3 * 366],
    ["1", undefined],
  ]);
});
