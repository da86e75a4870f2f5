import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RetentionContext } from "../../src/retention/context.ts";
import { type Decision, decide } from "../../src/retention/decide.ts";
import { keep } from "../../src/retention/keep.ts";
import { Calendar } from "../../src/retention/periods.ts";
import { type Candidate, eligibilityOf } from "../../src/snapshot/eligibility.ts";

const DAY = 86_400_000;
const NOW = new Date("2026-11-24T12:00:00Z");

/** A snapshot of so many days ago that landed a minute after it ended. */
function night(daysAgo: number, change: Partial<Candidate> & { landedAfter?: number } = {}): Candidate {
  const { landedAfter = 60, ...rest } = change;
  const ended = rest.ended ?? new Date(Date.UTC(2026, 10, 24, 2, 30) - daysAgo * DAY);
  return {
    id: `${daysAgo}`,
    key: `site/snapshots/${rest.id ?? daysAgo}`,
    sequence: 1000 - daysAgo,
    state: "complete",
    landed: new Date(ended.getTime() + landedAfter * 1000),
    trusted: true,
    whole: true,
    holds: ["db"],
    ...rest,
    ended,
  };
}

function context(change: Partial<RetentionContext> = {}): RetentionContext {
  return {
    rules: { rules: "sequential", last: 0, daily: 2, weekly: 0, monthly: 0, yearly: 0 },
    calendar: new Calendar("UTC"),
    now: NOW,
    limits: { max_clock_skew: 900, commit_within: 3600 },
    withdrawn: () => false,
    pinned: () => false,
    proven: () => false,
    ...change,
  };
}

/** `id`, what it fills, why else it is kept. */
function words({ snapshot, keep, slots, guards }: Decision): string {
  const why = [...slots.map(({ rule, number, of }) => `${rule} ${number}/${of}`), ...guards];
  return `${snapshot.id} ${keep ? `kept: ${why.join(", ")}` : "goes"}`;
}

const NEWEST = "the newest complete one, the newest that fills a slot, the newest of db";
const table: readonly {
  name: string;
  snapshots: readonly Candidate[];
  change?: Partial<RetentionContext>;
  says: readonly string[];
}[] = [
  {
    name: "the rules decide, and the newest is kept for more reasons than one",
    snapshots: [night(3), night(2), night(1), night(0)],
    says: ["3 goes", "2 goes", "1 kept: daily 2/2", `0 kept: daily 1/2, ${NEWEST}`],
  },
  {
    name: "a partial one fills no slot, and goes when a complete one is there with all its sources",
    snapshots: [night(2), night(1, { state: "partial" }), night(0)],
    says: ["2 kept: daily 2/2", "1 goes", `0 kept: daily 1/2, ${NEWEST}`],
  },
  {
    name: "a partial one is kept while it holds the newest of a source",
    snapshots: [night(2), night(1, { state: "partial", holds: ["media"] }), night(0)],
    says: ["2 kept: daily 2/2", "1 kept: the newest of media", `0 kept: daily 1/2, ${NEWEST}`],
  },
  {
    name: "a checkpoint is kept until a complete one has superseded it",
    snapshots: [
      night(3, { state: "checkpoint", holds: [] }),
      night(2),
      night(1, { state: "checkpoint", holds: [] }),
    ],
    says: ["3 goes", `2 kept: daily 1/2, ${NEWEST}`, "1 kept: a backup may be going on from it"],
  },
  {
    name: "a checkpoint that ended with the complete one is superseded by it",
    snapshots: [night(0, { id: "c", state: "checkpoint", holds: [] }), night(0)],
    says: ["c goes", `0 kept: daily 1/2, ${NEWEST}`],
  },
  {
    name: "one from the future takes no slot, and is not removed either",
    snapshots: [night(2), night(1), night(-30)],
    says: [
      "2 kept: daily 2/2",
      `1 kept: daily 1/2, ${NEWEST}`,
      "-30 kept: in quarantine: it claims to be from the future",
    ],
  },
  {
    name: "one that nobody trusted signed takes no slot",
    snapshots: [night(2), night(1), night(0, { trusted: false })],
    says: [
      "2 kept: daily 2/2",
      `1 kept: daily 1/2, ${NEWEST}`,
      "0 kept: in quarantine: no trusted key signed it",
    ],
  },
  {
    name: "one that was put long after it claims to have ended takes no slot",
    snapshots: [night(9, { landedAfter: 9 * 86_400 }), night(1), night(0)],
    says: [
      "9 kept: in quarantine: it landed 12960 minutes away from when it claims to have ended",
      "1 kept: daily 2/2",
      `0 kept: daily 1/2, ${NEWEST}`,
    ],
  },
  {
    name: "one whose objects are gone fills no slot: an older one is kept in its place",
    snapshots: [night(2), night(1, { whole: false }), night(0)],
    says: [
      "2 kept: daily 2/2",
      "1 kept: in quarantine: objects that it refers to are missing or damaged",
      `0 kept: daily 1/2, ${NEWEST}`,
    ],
  },
  {
    name: "one that lands after its day is over does not push out the keeper of that day",
    snapshots: [
      night(1, { id: "keeper" }),
      night(1, { id: "late", ended: new Date("2026-11-23T23:50:00Z"), landedAfter: 1800 }),
      night(0),
    ],
    says: [
      "keeper kept: a later arrival must not displace it",
      "late kept: daily 2/2",
      `0 kept: daily 1/2, ${NEWEST}`,
    ],
  },
  {
    name: "what a drill has proven last is kept, and what is pinned",
    snapshots: [night(9), night(8), night(7), night(1), night(0)],
    change: { proven: (id) => id === "8" || id === "9", pinned: (id) => id === "7" },
    says: [
      "9 goes",
      "8 kept: the newest that a drill has proven",
      "7 kept: pinned",
      "1 kept: daily 2/2",
      `0 kept: daily 1/2, ${NEWEST}`,
    ],
  },
  {
    name: "a withdrawn one fills no slot",
    snapshots: [night(2), night(1), night(0, { id: "bad" })],
    change: { withdrawn: (id) => id === "bad" },
    says: [
      "2 kept: daily 2/2",
      "1 kept: daily 1/2, the newest that fills a slot",
      "bad kept: the newest complete one, the newest of db",
    ],
  },
  {
    name: "a record that carries the id of a good one takes nothing from it",
    snapshots: [
      night(1, { id: "good", key: "forged", trusted: false }),
      night(1, { id: "good", key: "real" }),
      night(0),
    ],
    says: [
      "good kept: in quarantine: no trusted key signed it",
      "good kept: daily 2/2",
      `0 kept: daily 1/2, ${NEWEST}`,
    ],
  },
  { name: "no snapshot, no decision", snapshots: [], says: [] },
];

for (const { name, snapshots, change, says } of table) {
  test(name, () => assert.deepEqual(decide(snapshots, context(change)).map(words), says));
}

const anySnapshots = fc
  .array(
    fc.record({
      state: fc.constantFrom(
        "complete" as const,
        "complete" as const,
        "partial" as const,
        "checkpoint" as const,
      ),
      trusted: fc.integer({ min: 0, max: 9 }).map((dice) => dice > 0),
      whole: fc.integer({ min: 0, max: 9 }).map((dice) => dice > 0),
      landedAfter: fc.constantFrom(1, 60, 3000, 40_000),
      hours: fc.integer({ min: 0, max: 100 }),
      holds: fc.subarray(["db", "media", "keys"]),
    }),
    { maxLength: 30 },
  )
  .map((all) => {
    let ago = 0;
    return all
      .map(({ hours, ...rest }, n) => {
        ago += hours / 24;
        return night(ago, { ...rest, id: String(n) });
      })
      .reverse();
  });
const anyContext = fc
  .record({
    pins: fc.subarray(["0", "1", "2", "3", "4"]),
    daily: fc.nat(4),
    weekly: fc.nat(3),
    monthly: fc.nat(3),
  })
  .map(({ pins, ...counts }) =>
    context({ pinned: (id) => pins.includes(id), rules: { ...context().rules, ...counts }, foresee: false }),
  );

test("guards never let go what the rules alone keep", () => {
  fc.assert(
    fc.property(anySnapshots, anyContext, (snapshots, how) => {
      const filling = snapshots
        .filter((snapshot) => eligibilityOf(snapshot, how).fills)
        .map(({ key, ended }) => ({ id: key, at: ended }));
      const byRules = [...keep(filling, how.rules, how.calendar).keys()];
      const kept = new Set(
        decide(snapshots, how).flatMap(({ keep, snapshot }) => (keep ? [snapshot.key] : [])),
      );
      assert.deepEqual(
        byRules.filter((key) => !kept.has(key)),
        [],
      );
    }),
    { numRuns: 500 },
  );
});

test("the newest complete one is never dropped, nor the newest that fills a slot, nor one in quarantine", () => {
  fc.assert(
    fc.property(anySnapshots, anyContext, (snapshots, how) => {
      const decisions = decide(snapshots, how);
      assert.equal(decisions.length, snapshots.length);
      const believed = decisions.filter(({ standing }) => standing.fills || !standing.quarantined);
      assert.notEqual(believed.findLast(({ snapshot }) => snapshot.state === "complete")?.keep, false);
      assert.notEqual(decisions.findLast(({ standing }) => standing.fills)?.keep, false);
      const quarantined = decisions.filter(({ standing }) => !standing.fills && standing.quarantined);
      assert.ok(quarantined.every(({ keep }) => keep));
    }),
    { numRuns: 500 },
  );
});

test("pruning after every backup never drops, with guards as well, what one prune at the end keeps by the rules", () => {
  fc.assert(
    fc.property(anySnapshots, anyContext, (snapshots, how) => {
      const byRules = decide(snapshots, how).flatMap(({ slots, snapshot }) =>
        slots.length > 0 ? [snapshot] : [],
      );
      let living: readonly Candidate[] = [];
      for (const next of snapshots) {
        const decided = decide([...living, next], how);
        living = decided.flatMap(({ keep, snapshot }) => (keep ? [snapshot] : []));
      }
      assert.deepEqual(
        byRules.filter((snapshot) => !living.includes(snapshot)).map(({ key }) => key),
        [],
      );
    }),
    { numRuns: 200 },
  );
});

test("the newest of every source is always kept", () => {
  fc.assert(
    fc.property(
      anySnapshots,
      anyContext,
      fc.constantFrom("db", "media", "keys"),
      (snapshots, how, source) => {
        const holding = decide(snapshots, how)
          .filter(({ standing }) => standing.fills || !standing.quarantined)
          .filter(({ snapshot }) => snapshot.holds.includes(source));
        assert.notEqual(holding.at(-1)?.keep, false);
      },
    ),
    { numRuns: 500 },
  );
});

test("pruning twice is pruning once, with guards as well", () => {
  fc.assert(
    fc.property(anySnapshots, anyContext, (snapshots, how) => {
      const kept = decide(snapshots, how).filter(({ keep }) => keep);
      const again = decide(
        kept.map(({ snapshot }) => snapshot),
        how,
      );
      assert.deepEqual(again.filter(({ keep }) => !keep).map(words), []);
    }),
    { numRuns: 500 },
  );
});

test("of each that is kept it is said when it will go, of no other, and of none when nobody asks", () => {
  const snapshots = [night(3), night(2), night(1), night(0)];
  const goes = (change: Partial<RetentionContext>) =>
    decide(snapshots, context(change)).map((decision) => decision.goes?.toISOString());
  const two = ["2026-11-25T02:30:00.000Z", "2026-11-26T02:30:00.000Z"];
  assert.deepEqual(goes({}), [undefined, undefined, ...two]);
  assert.deepEqual(goes({ foresee: true }), [undefined, undefined, ...two]);
  assert.deepEqual(goes({ foresee: false }), [undefined, undefined, undefined, undefined]);
});

test("of two that ended at the same time the one that is listed later is the newer", () => {
  const one = { rules: { ...context().rules, daily: 1 } };
  const twins = ["b", "a"].map((id) => night(0, { id }));
  assert.deepEqual(decide(twins, context(one)).map(words), ["b goes", `a kept: daily 1/1, ${NEWEST}`]);
  const two = { rules: { ...context().rules, last: 2, daily: 0 } };
  assert.deepEqual(decide(twins, context(two)).map(words), [
    "b kept: last 2/2",
    `a kept: last 1/2, ${NEWEST}`,
  ]);
});
