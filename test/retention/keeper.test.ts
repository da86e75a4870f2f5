import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { packsPrefix, parseRecordKey, signatureKey } from "../../src/store/keys.ts";
import { faultyVersions } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { type LockedNights, lockedNights } from "../support/locked-nights.ts";

const DAY = 86_400_000;
const HOW = { signal: new AbortController().signal };
const PACKS = packsPrefix("rehearsal");

/** Some nights, of which the first one's pack is needed by all. */
async function someNights(count: number, rules = {}): Promise<LockedNights> {
  const locked = await lockedNights(rules);
  after(() => locked[Symbol.asyncDispose]());
  const base = fixedBytes("what stays the same", 3_000_000);
  for (let night = 0; night < count; night++) {
    if (night > 0) locked.site.sleep();
    await locked.site.write("db", Buffer.concat([base, fixedBytes(`night ${night}`, 50_000)]));
    await locked.backup();
  }
  return locked;
}

const inDays = ({ site }: LockedNights, days: number): Date =>
  new Date(site.clock.now.getTime() + days * DAY);

test("a backup locks what it puts until its snapshot goes, and a margin longer; what init put is the keeper's", async () => {
  const locked = await someNights(1);
  const [decision] = (await locked.plan()).decisions;
  const goes = decision?.goes?.getTime() ?? 0;
  assert.ok(goes > inDays(locked, 10).getTime(), "the first of all is kept for weeks");
  for (const { version, lock } of await locked.locks()) {
    const until = version.key.startsWith("rehearsal/") ? goes + 14 * DAY : undefined;
    assert.equal(lock?.until.getTime(), until, version.key);
  }
});

test("after a run everything that kept snapshots need is locked; the next one has nothing to do", async () => {
  const locked = await someNights(5);
  const { failed } = await locked.keep();
  assert.deepEqual(failed, []);
  const { plan } = await locked.keep();
  assert.deepEqual([plan.due, plan.missing, plan.hidden, plan.removedEarly], [[], [], [], []]);
  for (const { version, lock } of await locked.locks())
    assert.ok(lock && lock.until >= inDays(locked, 14), version.key);
});

test("a pack that is shared is locked as long as the last snapshot that needs it, night after night, with prunes", async () => {
  const locked = await someNights(1, { monthly: 3 });
  const [shared] = (await locked.locks()).filter(({ version }) => version.key.startsWith(PACKS));
  assert.ok(shared);
  let extended = 0;
  for (let night = 1; night <= 56; night++) {
    locked.site.sleep();
    const added = fixedBytes(`night ${night}`, 1000);
    await locked.site.write("db", Buffer.concat([fixedBytes("what stays the same", 3_000_000), added]));
    await locked.backup();
    if (night % 7 > 0) continue;
    await locked.site.prune({ store: locked.store });
    const { plan, failed } = await locked.keep();
    assert.deepEqual([failed, plan.missing, plan.hidden, plan.survey.obstacles], [[], [], [], []]);
    const locks = new Map((await locked.locks()).map(({ version, lock }) => [version.key, lock?.until]));
    const needed = [...plan.due, ...plan.enough].map(({ target }) => target.key);
    assert.ok(needed.includes(shared.version.key));
    for (const key of needed) {
      const until = locks.get(key);
      assert.ok(until && until >= inDays(locked, 14) && until <= inDays(locked, 60), `${key} ${until}`);
    }
    extended += plan.due.filter(({ target }) => target.key === shared.version.key).length;
  }
  assert.ok(extended > 1 && extended < 8, `${extended} times in 8 weeks: when due, and only then`);
});

test("what a prune let go is locked no longer than a margin after it went", async () => {
  const locked = await someNights(8);
  await locked.keep();
  const { forgotten } = await locked.site.prune({ store: locked.store });
  assert.ok(forgotten.length > 0);
  const removed = forgotten.map(({ listed }) => listed.key);
  for (const { version, lock } of await locked.locks()) {
    if (!removed.includes(version.key)) continue;
    assert.throws(() => locked.store.removeVersion(version.key, version.version), /access denied/);
    assert.ok(lock && lock.until <= inDays(locked, 28), `${version.key} ${lock?.until.toISOString()}`);
  }
  assert.deepEqual((await locked.plan()).removedEarly, []);
});

test("what is put over is not locked, what it hides is, and is told", async () => {
  const locked = await someNights(3);
  const kinds = [/\/packs\//, /\/lists\//, /\/manifests\//, /\/snapshots\/.*json$/, /\/snapshots\/.*sig$/];
  const before = (await locked.locks()).map(({ version }) => version);
  const chosen = kinds.map((kind) => before.findLast(({ key }) => kind.test(key)));
  locked.site.sleep(24 * 10);
  for (const version of chosen) {
    assert.ok(version);
    locked.store.putOver(
      version.key,
      version.key.endsWith("json") ? Buffer.from("{}") : fixedBytes("x", version.size + 1),
    );
  }
  const { plan, failed } = await locked.keep();
  assert.deepEqual([failed, plan.missing, plan.survey.obstacles], [[], [], []]);
  assert.deepEqual(
    plan.hidden.map(({ key, version, by }) => [key, version, by.isMarker]).sort(),
    chosen.map((version) => [version?.key, version?.version, false]).sort(),
  );
  for (const version of chosen) {
    const found = (await locked.locks()).filter((one) => one.version.key === version?.key);
    const [later, first] = found;
    assert.equal(later?.lock, undefined);
    assert.ok(first?.lock && first.lock.until >= inDays(locked, 14), first?.version.key);
  }
});

test("what is removed though a kept snapshot needs it is locked on, and told", async () => {
  const locked = await someNights(3);
  const keys = (await locked.locks()).map(({ version }) => version.key);
  const record = keys.findLast((key) => /\/snapshots\/.*json$/.test(key)) ?? "";
  const pack = keys.find((key) => key.startsWith(PACKS)) ?? "";
  locked.site.sleep(24 * 10);
  await locked.store.removeAll([pack, signatureKey(record)], HOW);
  const { plan, failed } = await locked.keep();
  assert.deepEqual([failed, plan.missing, plan.unbelieved], [[], [], []]);
  assert.deepEqual(
    plan.hidden.map(({ key, by }) => [key, by.isMarker]),
    [
      [pack, true],
      [signatureKey(record), true],
    ],
  );
  const reached = (await locked.locks()).find(({ version }) => version.key === pack)?.lock?.until;
  assert.ok(reached && reached >= inDays(locked, 14));
});

test("records that somebody removed before their time are told", async () => {
  const locked = await someNights(3, { monthly: 3 });
  await locked.keep();
  const records = (await locked.locks())
    .map(({ version }) => version.key)
    .filter((key) => /\/snapshots\/.*json$/.test(key));
  await locked.store.removeAll(
    records.flatMap((key) => [key, signatureKey(key)]),
    HOW,
  );
  const { removedEarly, decisions } = await locked.plan();
  assert.deepEqual(decisions, []);
  assert.deepEqual(removedEarly, records.slice(0, 1), "the one that is kept for weeks; days are let go soon");
});

test("what nobody trusted signed is not locked, and does not keep the others from it", async () => {
  const locked = await someNights(2);
  const record = (await locked.locks()).find(({ version }) => /\/snapshots\/.*json$/.test(version.key));
  assert.ok(record);
  const id = parseRecordKey("rehearsal", record.version.key)?.id ?? "";
  const bytes = await locked.store.get(record.version.key, { ...HOW, maxSize: 100_000 });
  const text = Buffer.from(bytes).toString().replaceAll(id, "00000000deadbeef");
  const forged = record.version.key.replace(id, "00000000deadbeef");
  locked.store.putOver(forged, Buffer.from(text));
  locked.store.putOver("rehearsal/snapshots/20260101T000000Z-aaaaaaaaaaaaaaaa.json", Buffer.from("no JSON"));
  locked.site.sleep(24 * 30);
  const { plan, failed } = await locked.keep();
  assert.deepEqual(
    plan.unbelieved.map(({ snapshot }) => snapshot.key),
    [forged],
  );
  assert.equal(plan.survey.obstacles.length, 1, "what cannot be read is told");
  assert.deepEqual(failed, []);
  for (const { version, lock } of await locked.locks()) {
    if (version.key === forged || version.key.includes("aaaaaaaa")) assert.equal(lock, undefined);
    else assert.ok(lock && lock.until >= inDays(locked, 14), version.key);
  }
});

test("a pack that is gone for good is missing", async () => {
  const locked = await someNights(2);
  locked.site.sleep(24 * 90);
  const [pack] = (await locked.locks()).filter(({ version }) => version.key.startsWith(PACKS));
  assert.ok(pack);
  locked.store.removeVersion(pack.version.key, pack.version.version);
  const { plan } = await locked.keep();
  assert.deepEqual(
    plan.missing.map(({ key }) => key),
    [pack.version.key],
  );
});

test("a lock that the store refuses or does not keep is told, and the others are extended", async () => {
  const locked = await someNights(2);
  locked.site.sleep(24 * 50);
  const [refused, ignored] = (await locked.plan()).due.map(({ target }) => target.key);
  const store = faultyVersions(locked.store, []);
  const { extendLock } = store;
  store.extendLock = async (key, version, lock, how) => {
    if (key === refused) return extendLock(key, version, { ...lock, until: new Date(0) }, how);
    if (key !== ignored) await extendLock(key, version, lock, how);
  };
  await locked.store.extendLock(
    refused ?? "",
    (await locked.plan()).due[0]?.version.version ?? "",
    {
      mode: "governance",
      until: inDays(locked, 1),
    },
    HOW,
  );
  const { plan, failed } = await locked.keep(store);
  assert.deepEqual(
    failed.map(({ key, why }) => [key, /access denied|said yes/.exec(why)?.[0]]),
    [
      [refused, "access denied"],
      [ignored, "said yes"],
    ],
  );
  assert.deepEqual(
    (await locked.plan()).due.map(({ target }) => target.key),
    [refused, ignored],
  );
  assert.ok(plan.due.length > 10);
});

const base = await someNights(4);
base.site.sleep(24 * 40);
const counting = faultyVersions(base.store, []);
const wanted = (await base.plan(counting)).due;
const planCalls = counting.calls.length;
await base.keep(counting);
const total = counting.calls.length - planCalls;

test("a run has much to do", () => {
  assert.ok(wanted.length > 15, `${wanted.length} locks`);
  assert.equal(total, planCalls + 2 * wanted.length);
});

for (const when of ["before", "after"] as const) {
  test(`killed ${when} each of its ${total} calls in turn, nothing is shortened and the next run finishes`, async () => {
    for (let nth = 1; nth <= total; nth++) {
      base.site.sleep(24 * 40); // everything is due again
      const before = await base.locks();
      const faulty = faultyVersions(base.store, [{ nth, stays: true, when }]);
      await assert.rejects(
        base.keep(faulty),
        (error) => isFailure(error, "store/unavailable"),
        `call ${nth}`,
      );
      const between = await base.locks();
      for (const [at, { lock }] of between.entries())
        assert.ok((lock?.until ?? 0) >= (before[at]?.lock?.until ?? 0), "never shorter");
      const { failed } = await base.keep();
      assert.deepEqual(failed, []);
      assert.deepEqual((await base.plan()).due, []);
    }
  });
}
