import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Dated, type KeepRules, keep } from "../../src/retention/keep.ts";
import { Calendar } from "../../src/retention/periods.ts";

const NONE = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const UTC = new Calendar("UTC");

const table: readonly {
  name: string;
  rules?: KeepRules["rules"];
  zone?: string;
  keep: Partial<typeof NONE>;
  backups: readonly string[];
  kept: readonly string[];
}[] = [
  {
    name: "daily keeps the newest backup of each day, and days without one do not count",
    keep: { daily: 2 },
    backups: ["2026-03-01T02", "2026-03-02T02", "2026-03-02T14", "2026-03-09T02"],
    kept: ["2026-03-09T02 daily 1/2 2026-03-09", "2026-03-02T14 daily 2/2 2026-03-02"],
  },
  {
    name: "weeks are those of ISO 8601: 2027-01-03 still belongs to week 53 of 2026",
    keep: { weekly: 2 },
    backups: ["2026-12-27T02", "2026-12-28T02", "2027-01-03T02", "2027-01-04T02"],
    kept: ["2027-01-04T02 weekly 1/2 2027-W01", "2027-01-03T02 weekly 2/2 2026-W53"],
  },
  {
    name: "sequential: what a finer rule keeps takes no slot of a coarser one, but uses its period up",
    keep: { daily: 1, monthly: 1 },
    backups: ["2026-01-10T02", "2026-01-31T02", "2026-02-01T02", "2026-02-02T02"],
    kept: ["2026-02-02T02 daily 1/1 2026-02-02", "2026-01-31T02 monthly 1/1 2026-01"],
  },
  {
    name: "independent: one backup may take a slot of every rule",
    rules: "independent",
    keep: { daily: 1, monthly: 1 },
    backups: ["2026-01-10T02", "2026-01-31T02", "2026-02-01T02", "2026-02-02T02"],
    kept: ["2026-02-02T02 daily 1/1 2026-02-02, monthly 1/1 2026-02"],
  },
  {
    name: "a rule that is not full keeps the oldest backup as well",
    keep: { yearly: 3 },
    backups: ["2026-01-10T02", "2026-01-31T02", "2026-02-01T02"],
    kept: ["2026-02-01T02 yearly 1/3 2026", "2026-01-10T02 yearly 2/3 2026 (oldest)"],
  },
  {
    name: "days are those of the policy's zone: 23:30 UTC is the next day in Berlin",
    zone: "Europe/Berlin",
    keep: { daily: 3 },
    backups: ["2026-03-01T22", "2026-03-01T23", "2026-03-02T12"],
    kept: ["2026-03-02T12 daily 1/3 2026-03-02", "2026-03-01T22 daily 2/3 2026-03-01"],
  },
  {
    name: "last counts backups, not days",
    keep: { last: 2 },
    backups: ["2026-03-01T01", "2026-03-01T02", "2026-03-01T03"],
    kept: [
      "2026-03-01T03 last 1/2 2026-03-01T03:00:00.000Z",
      "2026-03-01T02 last 2/2 2026-03-01T02:00:00.000Z",
    ],
  },
  { name: "nothing is asked for, nothing is kept", keep: {}, backups: ["2026-03-01T01"], kept: [] },
  { name: "nothing is there", keep: { daily: 7 }, backups: [], kept: [] },
];

for (const { name, rules = "sequential", zone = "UTC", backups, kept, ...row } of table) {
  test(name, () => {
    const snapshots = backups.map((id) => ({ id, at: new Date(`${id}:00:00Z`) }));
    const found = keep(snapshots, { ...NONE, ...row.keep, rules }, new Calendar(zone));
    const words = [...found].map(([id, slots]) => {
      const why = slots.map(
        ({ rule, number, of, period, oldest }) =>
          `${rule} ${number}/${of} ${period}${oldest ? " (oldest)" : ""}`,
      );
      return `${id} ${why.join(", ")}`;
    });
    assert.deepEqual(words, kept);
  });
}

test("7 daily, 4 weekly, 12 monthly, a backup a day: 23 restore points, the oldest at least 341 days old", () => {
  const rules = { ...NONE, daily: 7, weekly: 4, monthly: 12, rules: "sequential" } as const;
  const all = nightly(1200);
  const ages: number[] = [];
  for (let today = 500; today < all.length; today++) {
    const kept = keep(all.slice(0, today), rules, UTC);
    assert.equal(kept.size, 23);
    ages.push(today - 1 - Math.min(...[...kept.keys()].map(Number)));
  }
  assert.deepEqual([Math.min(...ages), Math.max(...ages)], [341, 399]);
});

/** Any history of backups at most 60 days apart, with any rules. */
const anyHistory = fc
  .array(fc.integer({ min: 0, max: 60 * 86_400 }), { minLength: 1, maxLength: 40 })
  .map((gaps) => {
    let at = Date.UTC(2026, 0, 1);
    return gaps.map((gap, n): Dated => {
      at += gap * 1000;
      return { id: String(n), at: new Date(at) };
    });
  });
const anyRules = fc.record({
  rules: fc.constantFrom("sequential" as const, "independent" as const),
  last: fc.integer({ min: 0, max: 5 }),
  daily: fc.integer({ min: 0, max: 8 }),
  weekly: fc.integer({ min: 0, max: 5 }),
  monthly: fc.integer({ min: 0, max: 12 }),
  yearly: fc.integer({ min: 0, max: 3 }),
});
const anyZone = fc.constantFrom("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati");

const laws: readonly { law: string; holds: (all: Dated[], rules: KeepRules, calendar: Calendar) => void }[] =
  [
    {
      law: "pruning twice is pruning once",
      holds: (all, rules, calendar) => {
        const once = prune(all, rules, calendar);
        assert.deepEqual(prune(once, rules, calendar), once);
      },
    },
    {
      law: "pruning after every backup is pruning once at the end",
      holds: (all, rules, calendar) => {
        let living: Dated[] = [];
        for (const next of all) living = prune([...living, next], rules, calendar);
        assert.deepEqual(living, prune(all, rules, calendar));
      },
    },
    {
      law: "the newest is kept by any rule that keeps something",
      holds: (all, rules, calendar) => {
        const { rules: _, ...counts } = rules;
        const any = Object.values(counts).some((count) => count > 0);
        assert.equal(prune(all, rules, calendar).at(-1) === all.at(-1), any);
      },
    },
    {
      law: "no rule keeps more than it says, and what has a reason has a slot",
      holds: (all, rules, calendar) => {
        const kept = keep(all, rules, calendar);
        for (const rule of ["last", "daily", "weekly", "monthly", "yearly"] as const) {
          const numbers = [...kept.values()].flat().filter((slot) => slot.rule === rule);
          assert.deepEqual(
            numbers.map(({ number }) => number).sort((a, b) => a - b),
            numbers.map((_, n) => n + 1),
          );
          assert.ok(numbers.length <= rules[rule]);
        }
        for (const slots of kept.values()) assert.ok(slots.length > 0);
      },
    },
  ];
for (const { law, holds } of laws) {
  test(law, () => {
    fc.assert(
      fc.property(anyHistory, anyRules, anyZone, (all, rules, zone) => holds(all, rules, new Calendar(zone))),
      { numRuns: 300 },
    );
  });
}

function prune(all: readonly Dated[], rules: KeepRules, calendar: Calendar): Dated[] {
  const kept = keep(all, rules, calendar);
  return all.filter(({ id }) => kept.has(id));
}

function nightly(days: number): Dated[] {
  return Array.from({ length: days }, (_, day) => ({
    id: String(day),
    at: new Date(Date.UTC(2024, 0, 1 + day, 2, 30)),
  }));
}
