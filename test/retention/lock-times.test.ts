import assert from "node:assert/strict";
import { test } from "node:test";
import { locksOfNew, lockUntil } from "../../src/retention/lock-times.ts";
import { Calendar } from "../../src/retention/periods.ts";
import { KEEP } from "../support/nights.ts";

const DAY = 86_400_000;
const calendar = new Calendar("Europe/Berlin");
const lock = { mode: "governance", margin: 14 * DAY, max: 400 * DAY } as const;
const night = (day: string): Date => new Date(`${day}T01:30:00Z`);

/** Nightly from `first` to the day before `made`. */
function earlier(first: string, made: string): { id: string; at: Date }[] {
  const nights: { id: string; at: Date }[] = [];
  for (let at = night(first); at < night(made); at = new Date(at.getTime() + DAY))
    nights.push({ id: at.toISOString(), at });
  return nights;
}

// 2026-11-24 is a Tuesday, 2026-11-29 a Sunday, 2026-11-30 a Monday and the last of its month.
const table: readonly {
  readonly name: string;
  readonly made: string;
  readonly rules?: Partial<typeof KEEP>;
  readonly max?: number;
  readonly until: string;
}[] = [
  { name: "a day among many is let go after seven", made: "2026-11-24", until: "2026-12-15" },
  { name: "a Sunday becomes the week's", made: "2026-11-29", until: "2027-01-17" },
  { name: "the month's last becomes the month's", made: "2026-11-30", until: "2027-12-21" },
  { name: "no lock reaches further than max", made: "2026-11-30", max: 60, until: "2027-01-29" },
  {
    name: "what is kept for longer than anybody foresees is locked until max",
    made: "2026-12-31",
    rules: { yearly: 5 },
    until: "2028-02-04",
  },
  {
    name: "only the newest is kept: until tomorrow",
    made: "2026-11-24",
    rules: { daily: 1, weekly: 0, monthly: 0 },
    until: "2026-12-09",
  },
];
for (const { name, made, rules = {}, max = 400, until } of table) {
  test(`${name}, and locked for a margin longer`, () => {
    const how = { rules: { ...KEEP, ...rules }, calendar, lock: { ...lock, max: max * DAY } };
    const locks = locksOfNew(earlier("2025-06-01", made), night(made), how);
    assert.equal(locks.snapshot.until.toISOString().slice(0, 10), until);
    assert.deepEqual(locks.passing, {
      mode: "governance",
      until: new Date(night(made).getTime() + 14 * DAY),
    });
  });
}

test("the first snapshot of all is the oldest there is, until there are others", () => {
  const { snapshot } = locksOfNew([], night("2026-11-24"), { rules: KEEP, calendar, lock });
  assert.ok(snapshot.until > new Date(night("2026-11-24").getTime() + 300 * DAY));
});

test("what is dated ahead does not count: it would push the new one out sooner", () => {
  const rules = { ...KEEP, daily: 3, weekly: 0, monthly: 0 };
  const made = night("2026-11-24");
  const before = earlier("2026-11-01", "2026-11-24");
  const ahead = ["2026-11-25", "2026-11-26"].map((day) => ({ id: day, at: night(day) }));
  const until = (all: typeof before) => locksOfNew(all, made, { rules, calendar, lock }).snapshot.until;
  assert.deepEqual(until([...before, ...ahead]), until(before));
  assert.deepEqual(until(before), new Date(made.getTime() + 17 * DAY));
});

test("times are whole seconds, as servers keep them", () => {
  const now = new Date("2026-11-24T01:30:00.999Z");
  assert.equal(lockUntil(now, now, lock).until.getMilliseconds(), 0);
});
