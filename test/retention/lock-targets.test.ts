import assert from "node:assert/strict";
import { test } from "node:test";
import { DropsError } from "../../src/lib/errors.ts";
import { decide } from "../../src/retention/decide.ts";
import { extendLocks, planKeeper } from "../../src/retention/keeper.ts";
import { lockTargets } from "../../src/retention/lock-targets.ts";
import { lockInWords } from "../../src/retention/lock-times.ts";
import { contextOf } from "../../src/retention/plan.ts";
import type { Survey } from "../../src/retention/survey.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { putNote } from "../../src/snapshot/pin.ts";
import type { SourceRecord } from "../../src/snapshot/record.ts";
import { listKey, manifestKey, packKey, pinKey, signatureKey } from "../../src/store/keys.ts";
import { faultyVersions } from "../support/faulty-store.ts";
import { TinyNights } from "../support/tiny-nights.ts";
import { POLICY } from "../support/tiny-repository.ts";
import type { VersionedMemory } from "../support/versioned-memory.ts";

const DAY = 86_400_000;
const HOW = { signal: new AbortController().signal };
const lock = { mode: "governance", margin: 14 * DAY, max: 60 * DAY } as const;
const note = { drops: "pin", format: 1, why: "kept" } as const;

const nights = await TinyNights.create();
const sources = [await nights.source("db", "rows")];
const { record } = await nights.snapshot(34, sources);
const newest = await nights.snapshot(10, sources);
const surveyed = await nights.survey();
const { now } = surveyed;
const place = { repository: record.repository, policy: POLICY, at: now.toISOString() };

/** Days from now until which each object is to be locked. */
function days(change: Partial<Survey> = {}, { daily = 1, yearly = 0 } = {}): ReadonlyMap<string, number> {
  const all = { ...surveyed, ...change };
  const rules = { ...nights.how.rules, daily, weekly: 0, monthly: 0, yearly };
  const { targets } = lockTargets(all, decisionsOf(all, rules), [], lock);
  return new Map(targets.map(({ key, until }) => [key, Math.round((until.getTime() - now.getTime()) / DAY)]));
}

function decisionsOf(all: Survey, rules = nights.how.rules) {
  const candidates = all.snapshots.map(({ candidate }) => candidate);
  return decide(candidates, contextOf(all, { ...nights.how, rules }));
}

const pinned = (until?: string) => ({
  key: pinKey(POLICY, record.id),
  note: { ...note, ...place, snapshot: record.id, ...(until === undefined ? {} : { until }) },
  trusted: true,
});
const first = surveyed.snapshots[0]?.listed.key ?? "";

const pins: readonly { name: string; pins: Survey["pins"]; says: number | undefined }[] = [
  { name: "none: it goes", pins: [], says: undefined },
  { name: "for ever: as long as locks reach", pins: [pinned()], says: 60 },
  {
    name: "for 30 days: a margin longer",
    pins: [pinned(new Date(now.getTime() + 30 * DAY).toISOString())],
    says: 44,
  },
  { name: "run out: it goes", pins: [pinned(now.toISOString())], says: undefined },
  {
    name: "of a stranger: it is kept, and locked no longer than for now",
    pins: [{ ...pinned(), trusted: false }],
    says: 28,
  },
];
for (const { name, pins: there, says } of pins) {
  test(`a pin ${name}`, () => {
    const found = days({ pins: there });
    assert.deepEqual([found.get(first), found.get(signatureKey(first))], [says, says]);
    const isLocked = there.some((pin) => pin.trusted) && says !== undefined;
    assert.equal(found.get(pinKey(POLICY, record.id)), isLocked ? says : undefined);
    assert.equal(found.get(signatureKey(pinKey(POLICY, record.id))), isLocked ? says : undefined);
  });
}

test("a snapshot that fills a slot until its time is locked for now when that time is over", () => {
  const late = new Date(now.getTime() + 20 * DAY);
  const found = days({ now: late });
  assert.equal(found.get(newest.key), 48, "20 days, and two margins");
  assert.equal(days({ now: late }, { daily: 2 }).get(first), 48, "also where no guard holds it");
  const goes = new Date(now.getTime() + 14 * 3_600_000);
  assert.equal(days({ now: goes }, { daily: 2 }).get(first), 29, "it goes right now");
});

test("without a guard the rules alone say for how long; what outlasts every forecast is locked as long as locks reach", () => {
  assert.equal(days({}, { daily: 2 }).get(first), 15, "it goes in the next night, and a margin longer");
  assert.equal(days({}, { yearly: 9 }).get(first), 60);
});

test("a pack that is listed with another size is locked with the size that its list says", () => {
  const { list } = sources[0] ?? {};
  const read = surveyed.references.list(list?.sha256 ?? "");
  assert.ok(read.state === "read" && read.packs[0]);
  const { sha256: name, size } = read.packs[0];
  const odd = { ...read, packs: [{ sha256: name, size: size + 1 }] };
  const references = Object.assign(Object.create(surveyed.references), { list: () => odd });
  const { targets } = lockTargets({ ...surveyed, references }, decisionsOf(surveyed), [], lock);
  assert.deepEqual(
    targets.filter(({ key }) => key === packKey(POLICY, name)).map((target) => target.size),
    [size + 1],
  );
});

test("what several need is locked for the one that stays longest; all are told in the order of their keys", () => {
  const found = days({ pins: [pinned()] });
  const { manifest } = sources[0] ?? {};
  assert.equal(found.get(newest.key), 28);
  assert.equal(found.get(manifestKey(POLICY, manifest?.sha256 ?? "")), 60);
  assert.deepEqual([...found.keys()], [...found.keys()].sort());
});

test("what nobody trusted signed is kept and not locked", async () => {
  const there = await TinyNights.create();
  const stranger = signerFromText(newSigningKey("stranger").privateKey, "a stranger's");
  const forged = await there.snapshot(10, [], { signer: stranger });
  const believed = await there.snapshot(9, []);
  const all = await there.survey();
  const { targets, unbelieved } = lockTargets(all, decisionsOf(all), [], lock);
  const keys = targets.map(({ key }) => key);
  assert.deepEqual([keys.includes(forged.key), keys.includes(believed.key)], [false, true]);
  assert.deepEqual(
    unbelieved.map(({ snapshot }) => snapshot.key),
    [forged.key],
  );
});

test("what a source without list or manifest does not need is not locked; a list that cannot be read names no packs", async () => {
  const [source] = sources as [SourceRecord];
  const { manifest, list, ...nothing } = source;
  const { key } = await nights.snapshot(1, [source, { ...nothing, name: "none" }]);
  const all = await nights.survey();
  const found = days(all);
  assert.ok(manifest && list && found.has(key));
  const pack = all.references.list(list.sha256);
  assert.ok(pack.state === "read" && pack.packs[0]);
  const needed = [
    manifestKey(POLICY, manifest.sha256),
    listKey(POLICY, list.sha256),
    packKey(POLICY, pack.packs[0].sha256),
  ];
  for (const one of needed) assert.ok(found.has(one), one);
  const references = Object.assign(Object.create(all.references), { list: () => ({ state: "missing" }) });
  assert.deepEqual(
    needed.map((one) => days({ ...all, references }).has(one)),
    [true, true, false],
  );
});

test("a lock in words", () => {
  const until = new Date("2027-01-01T00:00:00Z");
  assert.equal(
    lockInWords({ mode: "compliance", until }),
    "in compliance mode until 2027-01-01T00:00:00.000Z",
  );
  assert.equal(lockInWords(undefined), "not at all");
});

/** A night in a bucket with versions. */
async function versioned() {
  const there = await TinyNights.create({ versions: true });
  const night = await there.snapshot(10, [await there.source("db", "rows")]);
  const store = there.tiny.store as unknown as VersionedMemory;
  const how = { rules: there.how.rules, calendar: there.how.calendar, lock };
  const plan = (through = store) => planKeeper({ ...there.parts(), store: through }, how, HOW);
  return { there, night, store, plan };
}

test("what goes between the listing and the look at its lock is missing when something says its size; pins need none", async () => {
  const { there, store, plan, night } = await versioned();
  const { tiny } = there;
  await putNote(
    store,
    { ...note, ...place, repository: tiny.id, snapshot: night.record.id },
    { ...HOW, signer: tiny.signer },
  );
  const faults = (key: RegExp, error?: (call: string, name: string) => Error) =>
    faultyVersions(store, [
      { nth: 1, stays: true, call: "lockOf", key, when: "before", ...(error ? { error } : {}) },
    ]) as unknown as VersionedMemory;
  const gone = (_call: string, name: string) => new DropsError("store/missing", `${name} is gone`);
  const { missing } = await plan(faults(/\/(packs|pins)\//, gone));
  assert.deepEqual(
    missing.map(({ key }) => /packs|pins/.exec(key)?.[0]),
    ["packs"],
  );
  await assert.rejects(plan(faults(/\/packs\//)), { code: "store/unavailable" });
  assert.deepEqual((await plan()).missing, []);
});

test("a lock that the store does not keep, or refuses, is told; one that it never answers about stops the run", async () => {
  const { store, plan } = await versioned();
  const { due } = await plan();
  const [ignored, refused] = due;
  assert.ok(ignored && refused);
  const through = faultyVersions(store, []);
  through.extendLock = async (key, version, wanted, how) => {
    if (key === refused.target.key) throw new DropsError("store/refused", "access denied");
    if (key !== ignored.target.key) await store.extendLock(key, version, wanted, how);
  };
  const failed = await extendLocks({ store: through }, due, HOW);
  assert.deepEqual(
    failed.map(({ key, why }) => [key, why]),
    [
      [ignored.target.key, "the store said yes, and it is locked not at all"],
      [refused.target.key, "access denied"],
    ],
  );
  const short = { mode: "compliance", until: new Date(now.getTime() + DAY) } as const;
  await store.extendLock(ignored.target.key, ignored.version.version, short, HOW);
  const [again] = await extendLocks({ store: through }, [ignored], HOW);
  assert.match(again?.why ?? "", /^the store said yes, and it is locked in compliance mode until /);
  assert.equal(
    (await plan()).due.find(({ target }) => target.key === ignored.target.key)?.wanted.mode,
    "compliance",
  );
  const away = faultyVersions(store, [{ nth: 1, call: "extendLock", when: "before" }]);
  await assert.rejects(extendLocks({ store: away }, due, HOW), { code: "store/unavailable" });
});

test("what a marker or another version hides is told, also before the first lock; what is gone for good is missing", async () => {
  const { store, plan, night } = await versioned();
  const keyOf = async (kind: RegExp) =>
    (await plan()).due.find(({ target }) => kind.test(target.key))?.target.key ?? "";
  const [pack, manifest, list] = [await keyOf(/packs/), await keyOf(/manifests/), await keyOf(/lists/)];
  await store.remove(pack, HOW);
  store.putOver(manifest, Buffer.from("something else"));
  assert.deepEqual(
    (await plan()).hidden.map(({ key, by }) => [key, by.isMarker]),
    [
      [manifest, false],
      [pack, true],
    ],
  );
  store.removeVersion(pack, (await firstOf(store, pack)).version);
  assert.deepEqual(
    (await plan()).missing.map(({ key }) => key),
    [pack],
  );
  assert.ok(list.endsWith(night.record.sources[0]?.list?.sha256 ?? "?"));
});

test("a list that was put again after a prune took it away hides nothing; another one of that name does", async () => {
  const { store, plan, night } = await versioned();
  const { due } = await plan();
  assert.deepEqual(await extendLocks({ store }, due, HOW), []);
  const { list } = night.record.sources[0] ?? {};
  assert.ok(list);
  const key = listKey(POLICY, list.sha256);
  const bytes = await store.get(key, { ...HOW, maxSize: 10_000 });
  await store.remove(key, HOW);
  await store.put(key, bytes, HOW);
  assert.deepEqual((await plan()).hidden, []);
  store.putOver(key, Buffer.from("something else"));
  assert.deepEqual(
    (await plan()).hidden.map((one) => one.key),
    [key],
  );
});

test("a record that went before its time is told when its lock says so, whatever else is below snapshots/", async () => {
  const { store, plan, night } = await versioned();
  await extendLocks({ store }, (await plan()).due, HOW);
  await store.put(`${POLICY}/snapshots/README`, Buffer.from("?"), HOW);
  for (const key of [`${POLICY}/snapshots/README`, signatureKey(night.key), night.key])
    await store.remove(key, HOW);
  assert.deepEqual((await plan()).removedEarly, [night.key]);
  const { version } = await firstOf(store, night.key);
  await store.extendLock(night.key, version, { mode: "governance", until: new Date("2030-01-01") }, HOW);
  assert.deepEqual((await plan()).removedEarly, [night.key]);
  const other = night.key.replace(/-\w{16}/, `-${"0".repeat(16)}`);
  for (const key of [other, signatureKey(other)]) await store.put(key, Buffer.from("{}"), HOW);
  await store.remove(other, HOW);
  assert.deepEqual((await plan()).removedEarly, [night.key], "the other was never locked");
  for (const key of [other, signatureKey(other)])
    store.removeVersion(key, (await firstOf(store, key)).version);
  await store.put(signatureKey(other.replace("0000", "1111")), Buffer.from("{}"), HOW);
  assert.deepEqual((await plan()).removedEarly, [night.key], "a marker alone, and a signature alone");
});

async function firstOf(store: VersionedMemory, key: string) {
  for await (const version of store.listVersions(key, HOW)) if (!version.isMarker) return version;
  throw new Error(`${key} has no version`);
}
