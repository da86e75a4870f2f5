import assert from "node:assert/strict";
import { test } from "node:test";
import { type ListedSnapshot, readCatalog } from "../../src/snapshot/catalog.ts";
import { type Candidate, candidateOf, eligibilityOf } from "../../src/snapshot/eligibility.ts";
import { heldBack, newestInTime } from "../../src/snapshot/held-back.ts";
import { putNote } from "../../src/snapshot/pin.ts";
import { readRepository } from "../../src/snapshot/repository.ts";
import { trusting } from "../../src/trust/trust.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const limits = { max_clock_skew: 900, commit_within: 3600 };
const now = new Date("2026-11-20T12:00:00Z");
const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);
const night = (change: Partial<Candidate> = {}): Candidate => ({
  ...{ id: "a", key: "a", sequence: 1, state: "complete", trusted: true, whole: true, holds: [] },
  ended: now,
  landed: now,
  ...change,
});

const rows: readonly {
  name: string;
  snapshot: Partial<Candidate>;
  withdrawn?: true;
  why?: string | undefined;
}[] = [
  { name: "whole, believed, in time", snapshot: {} },
  { name: "nobody trusted signed it", snapshot: { trusted: false }, why: "? no trusted key signed it" },
  { name: "a quarter of an hour ahead of the store", snapshot: { ended: after(900) } },
  {
    name: "a second more",
    snapshot: { ended: after(901) },
    why: "? it claims to be from the future",
  },
  { name: "landed an hour and a quarter later", snapshot: { ended: after(-4500) } },
  {
    name: "a second more",
    snapshot: { ended: after(-4501) },
    why: "? it landed 75 minutes away from when it claims to have ended",
  },
  {
    name: "landed days before it ended, all of it past",
    snapshot: { ended: after(-86_400), landed: after(-4 * 86_400) },
    why: "? it landed 4320 minutes away from when it claims to have ended",
  },
  { name: "withdrawn", snapshot: {}, withdrawn: true, why: "it was withdrawn" },
  {
    name: "withdrawn and from the future",
    snapshot: { ended: after(86_400) },
    withdrawn: true,
    why: "? it claims to be from the future",
  },
  {
    name: "objects are gone",
    snapshot: { whole: false },
    why: "? objects that it refers to are missing or damaged, incomplete",
  },
  { name: "a partial one", snapshot: { state: "partial" }, why: "it is a partial" },
  {
    name: "a checkpoint, not whole",
    snapshot: { state: "checkpoint", whole: false },
    why: "it is a checkpoint",
  },
];
for (const { name, snapshot, withdrawn = false, why } of rows) {
  test(`${name}: ${why ?? "eligible"}`, () => {
    const found = eligibilityOf(night(snapshot), { now, limits, withdrawn: () => withdrawn });
    const words = found.fills
      ? undefined
      : `${found.quarantined ? "? " : ""}${found.why}${found.incomplete ? ", incomplete" : ""}`;
    assert.equal(words, why);
  });
}

/** A repository with two nights in time, the later withdrawn by an operator, and one that landed long after it ended. */
async function history() {
  const tiny = await TinyRepository.create();
  const source = await tiny.source({ name: "data", entries: [] });
  const partial = { ...source, name: "half", outcome: "partial" as const };
  const nights = [];
  for (const ended of ["2026-11-18T01:30:00.000Z", "2026-11-19T01:30:00.000Z", "2026-11-20T01:30:00.000Z"])
    nights.push(await tiny.commit([source, partial], { ended, started: ended }));
  const [first, second, third] = nights.map(({ record, key }) => ({ id: record.id, key }));
  if (!first || !second || !third) throw new Error("three nights");
  await tiny.replace(third.key, await tiny.get(third.key));
  const repository = await readRepository(tiny.store, tiny.trust, HOW);
  const note = { drops: "withdrawn", format: 1, repository: tiny.id, policy: POLICY } as const;
  await putNote(
    tiny.store,
    { ...note, snapshot: second.id, at: "2026-11-19T02:00:00.000Z", why: "broken in" },
    { ...HOW, signer: tiny.signer },
  );
  const { snapshots } = await readCatalog(tiny.store, tiny, POLICY, tiny.trust, HOW);
  return { tiny, listed: { snapshots, repository, policyName: POLICY }, ids: { first, second, third } };
}

test("what is held back in a repository, and why", async () => {
  const { tiny, listed } = await history();
  const { why, of } = await heldBack(tiny, listed, HOW);
  const words = listed.snapshots.map(why);
  assert.deepEqual(words.slice(0, 2), [undefined, "it was withdrawn"]);
  assert.match(words[2] ?? "", /^it landed \d+ minutes away/);
  const [first] = listed.snapshots;
  if (!first) throw new Error("a snapshot");
  assert.deepEqual([of(first).fills, of(first, false).fills], [true, false]);
  assert.equal(newestInTime(listed)?.record.ended, "2026-11-19T01:30:00.000Z");
  const late = { ...listed, snapshots: listed.snapshots.slice(2) };
  assert.equal(newestInTime(late), late.snapshots[0]);
});

test("a withdrawal that nobody believed signed holds nothing back", async () => {
  const { tiny, listed } = await history();
  const trust = trusting(tiny.trust, "note", []);
  const { why, withdrawn } = await heldBack({ store: tiny.store, trust }, listed, HOW);
  assert.equal(withdrawn.notes.length, 1);
  assert.equal(listed.snapshots[1] && why(listed.snapshots[1]), undefined);
});

test("a stranger's is held back where somebody is known, and nothing for that where nobody is", async () => {
  const { tiny, listed } = await history();
  const [first, ...others] = listed.snapshots;
  if (!first) throw new Error("a snapshot");
  const stranger = { ...first, signer: undefined };
  const of = async (snapshots: (typeof first)[], allowUnsigned = false) => {
    const parts = { store: tiny.store, trust: { ...tiny.trust, allowUnsigned } };
    return (await heldBack(parts, { ...listed, snapshots }, HOW)).why(stranger);
  };
  assert.equal(await of([stranger, ...others]), "no trusted key signed it");
  assert.equal(await of([stranger]), undefined);
  assert.equal(await of([stranger, ...others], true), undefined);
  assert.deepEqual(candidateOf(stranger, { whole: true }).trusted, false);
  assert.deepEqual(candidateOf(first, { whole: true }).holds, ["data"]);
  const [source] = first.record.sources;
  assert.ok(source);
  const { manifest: _none, ...failed } = source;
  for (const held of [failed, { ...source, outcome: "partial" as const }]) {
    const sources = [{ ...held, name: "media" }, source];
    const partly: ListedSnapshot = { ...first, record: { ...first.record, sources } };
    assert.deepEqual(candidateOf(partly, { whole: true }).holds, ["data"]);
  }
});
