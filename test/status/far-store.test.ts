/** What status asks of a repository, it asks at once: a store may be 50 ms away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { survey } from "../../src/retention/survey.ts";
import type { SourceRecord } from "../../src/snapshot/record.ts";
import { judgeRepository } from "../../src/status/status-of-repository.ts";
import { RoundTrips } from "../support/round-trips.ts";
import { TinyNights } from "../support/tiny-nights.ts";
import { POLICY } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const SNAPSHOTS = 400;
/** Of 50 ms each: two seconds. */
const MOST_TRIPS = 40;

const nights = await TinyNights.create();
const { store, trust } = nights.tiny;
// every one with a list and a manifest of its own
const pack = await nights.tiny.pack(Buffer.from("rows"));
for (let hours = SNAPSHOTS; hours > 0; hours--) {
  const entries = [
    { path: `at-${hours}`, chunks: hours % 2 === 0 ? pack : await nights.tiny.pack(Buffer.from(`${hours}`)) },
  ];
  const source: SourceRecord = await nights.tiny.source({ name: "db", entries });
  await nights.snapshot(hours, [source]);
}
const now = () => nights.clock.now;

test(`status of ${SNAPSHOTS} snapshots waits ${MOST_TRIPS} times at most for a store that is far away`, async () => {
  const far = new RoundTrips();
  const parts = { store: far.over(store), policyName: POLICY, trust, identities: [], now, say: () => {} };
  const reporter = { say: () => {}, progress: () => ({ update: () => {}, done: () => {} }) };
  const context = { env: {}, now, version: "test", reporter };
  const status = await judgeRepository(parts, undefined, context, HOW);
  assert.equal(status.restore.points, SNAPSHOTS);
  assert.ok(far.trips <= MOST_TRIPS, `${far.trips} round trips`);
});

test("and so does what a plan is made from", async () => {
  const far = new RoundTrips();
  const parts = {
    store: far.over(store),
    policyName: POLICY,
    trust,
    now,
    proven: async () => new Set<string>(),
  };
  const found = await survey(parts, HOW);
  assert.equal(found.snapshots.filter(({ candidate }) => candidate.whole).length, SNAPSHOTS);
  assert.ok(far.trips <= MOST_TRIPS, `${far.trips} round trips`);
});
