import type { KeeperReport, NoteReport, PlanReport, PruneReport } from "../../src/retention/report.ts";

const place = { policy: "ops", store: "s3://backups/drops", zone: "Europe/Berlin" };
const none = { objects: 0, bytes: 0 };
const slot = (rule: "daily" | "weekly", number: number, of: number, period: string, oldest = false) => {
  return { rule, number, of, period, oldest };
};

export const planned: PlanReport = {
  ...place,
  at: "2026-11-24T12:00:00.000Z",
  rules: { rules: "sequential", last: 0, daily: 2, weekly: 2, monthly: 0, yearly: 0 },
  snapshots: [
    {
      id: "00000000000000a1",
      key: "ops/snapshots/20260930T013000Z-00000000000000a1.json",
      ended: "2026-09-30T01:30:00.000Z",
      state: "complete",
      keep: true,
      reasons: ["weekly 2 of 2 (the oldest there is)", "pinned"],
      slots: [slot("weekly", 2, 2, "2026-W40", true)],
      bytesAlone: 5_368_709_120,
      imagined: false,
    },
    {
      id: "00000000000000a2",
      key: "ops/snapshots/20261101T013000Z-00000000000000a2.json",
      ended: "2026-11-01T01:30:00.000Z",
      state: "complete",
      keep: true,
      reasons: ["in quarantine: no trusted key signed it"],
      slots: [],
      quarantined: "no trusted key signed it",
      bytesAlone: 0,
      imagined: false,
    },
    {
      id: "00000000000000a3",
      key: "ops/snapshots/20261121T013000Z-00000000000000a3.json",
      ended: "2026-11-21T01:30:00.000Z",
      state: "complete",
      keep: true,
      reasons: ["weekly 1 of 2"],
      slots: [slot("weekly", 1, 2, "2026-W47")],
      bytesAlone: 1_048_576,
      goes: "2026-12-06T01:30:00.000Z",
      imagined: false,
    },
    {
      id: "00000000000000a4",
      key: "ops/snapshots/20261122T013000Z-00000000000000a4.json",
      ended: "2026-11-22T01:30:00.000Z",
      state: "partial",
      keep: false,
      reasons: ["it is a partial"],
      slots: [],
      bytesAlone: 12_345,
      imagined: false,
    },
    {
      id: "00000000000000a5",
      key: "ops/snapshots/20261124T013000Z-00000000000000a5.json",
      ended: "2026-11-24T01:30:00.000Z",
      state: "complete",
      keep: true,
      reasons: ["daily 1 of 2", "the newest complete one"],
      slots: [slot("daily", 1, 2, "2026-11-24")],
      bytesAlone: 3_145_728,
      goes: "2026-11-26T01:30:00.000Z",
      imagined: false,
    },
  ],
  promise: "any of the last 2 days, 2 weeks; oldest restore point 2026-09-30",
  oldest: "2026-09-30T01:30:00.000Z",
  stored: { objects: 1234, bytes: 42_949_672_960 },
  next: {
    forget: 1,
    remove: { objects: 3, bytes: 67_108_864 },
    condemn: { objects: 2, bytes: 12_345 },
    waiting: { objects: 1, bytes: 33_554_432 },
    young: { objects: 1, bytes: 1_048_576 },
  },
  refusals: [
    {
      why: "source db shrank from 1000 to 10 bytes since snapshot 00000000000000a3",
      hint: "look at it: drops ls 00000000000000a5; a drill that proves it, or drops prune --accept 1, goes on",
      acceptable: true,
    },
  ],
  notes: ["nobody trusted signed ops/pins/00000000000000a1.json; it counts all the same"],
};

const { next: _next, ...ahead } = planned;
export const foreseen: PlanReport = {
  ...ahead,
  at: "2026-11-25T22:59:59.999Z",
  snapshots: [
    ...planned.snapshots.slice(0, 3),
    {
      id: "night of 2026-11-25",
      key: "night of 2026-11-25",
      ended: "2026-11-25T01:30:00.000Z",
      state: "complete",
      keep: true,
      reasons: ["daily 1 of 2"],
      slots: [slot("daily", 1, 2, "2026-11-25")],
      bytesAlone: 0,
      goes: "2026-11-27T01:30:00.000Z",
      imagined: true,
    },
  ],
  refusals: [],
  notes: [],
};

export const pruned: PruneReport = {
  ...place,
  forgotten: [{ id: "00000000000000a4", ended: "2026-11-22T01:30:00.000Z", state: "partial" }],
  kept: 4,
  removed: { objects: 3, bytes: 67_108_864 },
  held: { objects: 7, bytes: 134_217_728 },
  condemned: { objects: 2, bytes: 12_345 },
  waiting: { objects: 1, bytes: 33_554_432 },
  young: none,
  inUse: { objects: 1, bytes: 1_048_576 },
  quarantined: [
    {
      id: "00000000000000a2",
      key: "ops/snapshots/20261101T013000Z-00000000000000a2.json",
      why: "no trusted key signed it",
    },
  ],
  refused: [],
  promise: planned.promise,
  oldest: "2026-09-30T01:30:00.000Z",
  seconds: 12.5,
  notes: ["we\u001b[31mird"],
};

export const locked: KeeperReport = {
  ...place,
  at: "2026-11-24T12:00:00.000Z",
  dryRun: false,
  mode: "governance",
  snapshots: 4,
  enough: { objects: 1200, bytes: 39_728_447_488 },
  extended: { objects: 31, bytes: 1_006_632_960 },
  lockedUntil: "2026-12-10T01:30:00.000Z",
  furthest: "2027-12-29T12:00:00.000Z",
  otherMode: 0,
  missing: [],
  hidden: [],
  failed: [],
  unbelieved: ["ops/snapshots/20261101T013000Z-00000000000000a2.json"],
  removedEarly: [],
  problems: [],
  seconds: 4.2,
  notes: [],
};

export const pinned: NoteReport = {
  ...place,
  action: "pinned",
  snapshot: { id: "00000000000000a3", ended: "2026-11-21T01:30:00.000Z", state: "complete" },
  key: "ops/pins/00000000000000a3.json",
  until: "2027-03-31T22:00:00.000Z",
  why: "before the migration",
};

const { until: _until, ...forEver } = pinned;
export const unpinned: NoteReport = { ...pinned, action: "unpinned" };
export const withdrawn: NoteReport = {
  ...forEver,
  action: "withdrawn",
  key: "ops/withdrawn/00000000000000a3.json",
  why: "the bridge wrote to the wrong database",
};
