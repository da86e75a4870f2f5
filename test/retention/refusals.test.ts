import assert from "node:assert/strict";
import { test } from "node:test";
import { type PlanHow, planPrune } from "../../src/retention/plan.ts";
import type { Survey } from "../../src/retention/survey.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import type { SourceRecord } from "../../src/snapshot/record.ts";
import { listKey } from "../../src/store/keys.ts";
import { TinyNights } from "../support/tiny-nights.ts";
import { POLICY } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };

/** Three nights of two sources; what the newest holds may be another. */
async function threeNights(last: (source: SourceRecord) => Partial<SourceRecord> = () => ({})) {
  const nights = await TinyNights.create();
  const sources = [await nights.source("db", "rows"), await nights.source("media", "pictures")];
  const all: { record: { id: string } }[] = [];
  for (const hours of [58, 34]) all.push(await nights.snapshot(hours, sources));
  const changed = sources.map((source) => ({ ...source, ...last(source) }));
  all.push(await nights.snapshot(10, changed));
  return { nights, ids: all.map(({ record }) => record.id) };
}

const { nights, ids } = await threeNights();
const surveyed = await nights.survey();
const { constants } = surveyed.repository;
const hours = (many: number) => new Date(nights.clock.now.getTime() + many * 3_600_000);
const nothing = { ...surveyed, snapshots: [], stored: { ...surveyed.stored, objects: new Map() } };

const table: readonly {
  readonly name: string;
  readonly change: Partial<Survey>;
  readonly how?: Partial<PlanHow>;
  readonly says: readonly RegExp[];
}[] = [
  { name: "nothing is wrong", change: {}, says: [] },
  {
    name: "the repository asks for what this drops does not know",
    change: { repository: { ...surveyed.repository, requires: ["levitation"] } },
    says: [/^the repository requires levitation/],
  },
  { name: "what cannot be read", change: { obstacles: ["x is damaged"] }, says: [/^x is damaged$/] },
  {
    name: "this machine's clock is as far ahead as it may be",
    change: { skewSeconds: constants.max_clock_skew },
    says: [],
  },
  {
    name: "this machine's clock is ahead",
    change: { skewSeconds: constants.max_clock_skew + 1 },
    says: [/^this machine's clock is 901 s ahead of the store's; 900 s are allowed$/],
  },
  {
    name: "this machine's clock is behind",
    change: { skewSeconds: -constants.max_clock_skew - 1 },
    says: [/^this machine's clock is 901 s behind the store's/],
  },
  { name: "the newest is just not too old", change: { now: hours(38) }, says: [] },
  {
    name: "the newest is too old",
    change: { now: hours(38.1) },
    says: [/^the newest complete snapshot is 48.1 h old, more than 2 times the policy's rpo$/],
  },
  { name: "an empty repository", change: nothing, says: [] },
  {
    name: "objects and no snapshot",
    change: { ...nothing, stored: surveyed.stored },
    says: [/^there is no complete, trusted snapshot$/],
  },
  {
    name: "only unfinished ones",
    change: {
      ...nothing,
      snapshots: surveyed.snapshots.map((one) => ({
        ...one,
        candidate: { ...one.candidate, state: "partial" },
      })),
    },
    says: [/^there is no complete, trusted snapshot$/],
  },
];
for (const { name, change, how = {}, says } of table) {
  test(`a prune is ${says.length > 0 ? "refused" : "not refused"}: ${name}`, () => {
    const { refusals } = nights.plan({ ...surveyed, ...change }, how);
    assert.equal(refusals.length, says.length, JSON.stringify(refusals));
    for (const [at, form] of says.entries()) assert.match(refusals[at]?.why ?? "", form);
  });
}

test("a plan says when each goes, unless nobody asks", () => {
  const { foresee: _no, ...how } = nights.how;
  const goes = (foresee?: boolean) =>
    planPrune(surveyed, { ...how, ...(foresee === undefined ? {} : { foresee }) }).decisions.some(
      (decision) => decision.goes !== undefined,
    );
  assert.deepEqual([goes(), goes(true), goes(false)], [true, true, false]);
});

test("what is not known is no matter of numbers: accepting the number does not help", () => {
  const { refusals, forget } = nights.plan({ ...surveyed, obstacles: ["x is damaged"] }, { accept: 0 });
  assert.deepEqual([refusals.length, refusals[0]?.acceptable, forget.length], [1, false, 0]);
});

test("without its list nobody knows what a believed snapshot needs; a stranger's has nothing to say", async () => {
  const there = await TinyNights.create();
  const { store } = there.tiny;
  const [lost, damaged] = [await there.source("db", "rows"), await there.source("media", "pictures")];
  const stranger = signerFromText(newSigningKey("stranger").privateKey, "a stranger's");
  const whole = await there.source("files", "whole");
  await there.snapshot(34, [lost], { signer: stranger });
  await there.snapshot(10, [whole]);
  const key = (source: SourceRecord) => listKey(POLICY, source.list?.sha256 ?? "");
  await store.remove(key(lost), HOW);
  const said = async () => there.plan(await there.survey()).refusals.map(({ why }) => why);
  assert.deepEqual(await said(), []);
  const believed = await there.snapshot(9, [whole, lost]);
  assert.deepEqual(await said(), [
    `list ${lost.list?.sha256} is missing, which snapshot ${believed.record.id} refers to`,
  ]);
  const place = { repository: there.tiny.id, policy: POLICY, at: there.clock.now.toISOString() };
  const note = { drops: "withdrawn", format: 1, ...place, snapshot: believed.record.id, why: "x" } as const;
  const withdrawn = [{ key: "x", note, trusted: true }];
  const again = there.plan({ ...(await there.survey()), withdrawn });
  assert.equal(again.refusals.length, 1, "a withdrawn one is believed still");
  await there.snapshot(8, [damaged], { signer: stranger });
  await there.tiny.replace(key(damaged), Buffer.from("garbage"));
  assert.equal((await said()).length, 2, "what cannot be read may name anything");
});

test("a bug in what is asked of the repository is not taken for a feature", () => {
  const repository = {
    ...surveyed.repository,
    get requires(): never {
      throw new TypeError("a bug");
    },
  };
  assert.throws(() => nights.plan({ ...surveyed, repository }), TypeError);
});

test("more than two and more than the share may not go at once, unless the exact number is accepted", async () => {
  const many = await TinyNights.create();
  const source = await many.source("db", "rows");
  for (let night = 9; night >= 0; night--) await many.snapshot(10 + 24 * night, [source]);
  const all = await many.survey();
  const going = (daily: number, change: Partial<PlanHow> = {}) => {
    const rules = { ...many.how.rules, daily, weekly: 0, monthly: 0 };
    return many.plan(all, { rules, ...change }).refusals.map(({ why }) => why);
  };
  assert.deepEqual(going(7), [], "three of ten are thirty percent");
  assert.match(
    going(6).join(),
    /^4 of 10 complete snapshots would be forgotten at once; the policy allows 30 %$/,
  );
  assert.deepEqual(going(6, { accept: 4 }), []);
  assert.equal(going(6, { accept: 3 }).length, 1);
  assert.deepEqual(going(8, { limits: { ...many.how.limits, maxShare: 0 } }), [], "two may always go");
});

const shrinking: readonly {
  readonly name: string;
  readonly last: (source: SourceRecord) => Partial<SourceRecord>;
  readonly proven?: number;
  readonly says: RegExp | undefined;
}[] = [
  { name: "as large as before", last: () => ({}), says: undefined },
  { name: "half of its bytes", last: () => ({ bytes: 2 }), says: undefined },
  {
    name: "less than half of its bytes",
    last: ({ name }) => (name === "db" ? { bytes: 1 } : {}),
    says: /^source db shrank from 4 to 1 bytes since snapshot /,
  },
  {
    name: "no file any more",
    last: ({ name }) => (name === "media" ? { files: 0 } : {}),
    says: /^source media shrank from 1 to 0 files since snapshot /,
  },
  {
    name: "nobody says how much",
    last: ({ name }) => (name === "db" ? { bytes: undefined, files: undefined } : {}),
    says: /^source db shrank from 4 to 0 bytes since snapshot /,
  },
  { name: "not in the policy any more", last: ({ name }) => ({ name: `new-${name}` }), says: undefined },
  {
    name: "less, and a drill has proven the one before the last",
    last: ({ name }) => (name === "db" ? { bytes: 1 } : {}),
    proven: 0,
    says: /^source db shrank from 4 to 1 bytes since proven snapshot /,
  },
  { name: "less, and a drill has proven it", last: () => ({ bytes: 1 }), proven: 2, says: undefined },
];
for (const { name, last, proven, says } of shrinking) {
  test(`the newest holds ${name}: ${says ? "refused" : "not refused"}`, async () => {
    const { nights: shrunk, ids: all } = await threeNights(last);
    const { refusals } = shrunk.plan(await shrunk.survey(all.filter((_, at) => at === proven)));
    if (!says)
      return assert.deepEqual(
        refusals.filter(({ why }) => why.startsWith("source db")),
        [],
      );
    assert.equal(refusals.length, 1);
    assert.match(refusals[0]?.why ?? "", says);
  });
}

test("a source that never said how much it holds cannot shrink", async () => {
  const unknown = await TinyNights.create();
  const { bytes: _bytes, files: _files, ...source } = await unknown.source("db", "rows");
  for (const hours_ of [34, 10]) await unknown.snapshot(hours_, [source]);
  assert.deepEqual(unknown.plan(await unknown.survey()).refusals, []);
});

test("a withdrawn snapshot is no measure of how old the newest is, and one alone is none of what shrank", async () => {
  const { record } = await nights.snapshot(1, [await nights.source("db", "x")], { id: "f".repeat(16) });
  const all = await nights.survey();
  const note = {
    drops: "withdrawn",
    format: 1,
    repository: record.repository,
    policy: record.policy,
  } as const;
  const said = { ...note, snapshot: record.id, at: record.ended, why: "broken in" };
  const withdrawn = [{ key: "x", note: said, trusted: true }];
  assert.equal(nights.plan({ ...all, withdrawn }).decisions.at(-1)?.standing.fills, false);
  assert.equal(ids.length, 3);
  const [only] = all.snapshots;
  assert.ok(only);
  assert.deepEqual(nights.plan({ ...all, snapshots: [only], now: hours(-30) }).refusals, []);
});
