/** Between the plan of a prune and its last call others write: pins, backups, verifies. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { prune } from "../../src/retention/prune.ts";
import { putDamaged } from "../../src/snapshot/damaged.ts";
import { putNote } from "../../src/snapshot/pin.ts";
import { listKey, signatureKey } from "../../src/store/keys.ts";
import { faultyStore } from "../support/faulty-store.ts";
import { unreachable } from "../support/gone-since.ts";
import { keysOf } from "../support/nights.ts";
import { TinyNights } from "../support/tiny-nights.ts";
import { POLICY } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const HOUR = 3_600_000;

/** Two nights, the first of which goes, and its objects with it once both waits are over. */
async function world() {
  const nights = await TinyNights.create();
  const old = await nights.source("db", "old rows");
  const first = await nights.snapshot(34, [old]);
  await nights.snapshot(10, [await nights.source("db", "new rows")]);
  const { signer, store } = nights.tiny;
  let ids = 0;
  const rules = { ...nights.how.rules, daily: 1, weekly: 0, monthly: 0 };
  const limits = { ...nights.how.limits, rpoSeconds: 1_000_000 };
  const planned = async () => {
    const surveyed = await nights.survey();
    return { surveyed, plan: nights.plan(surveyed, { rules, limits }) };
  };
  const carryOut = async ({ surveyed, plan }: Awaited<ReturnType<typeof planned>>, through = store) =>
    prune(
      { ...nights.parts(), store: through, signer, newId: () => String(++ids).padStart(16, "0") },
      surveyed,
      plan,
      HOW,
    );
  const later = (hours: number) => {
    nights.clock.now = new Date(nights.clock.now.getTime() + hours * HOUR);
  };
  const place = {
    format: 1,
    repository: nights.tiny.id,
    policy: POLICY,
    at: "2026-11-24T12:00:00Z",
  } as const;
  return { nights, store, signer, old, first, planned, carryOut, later, place };
}

/** The same, when the objects of the first night are about to be removed. */
async function aboutToRemove() {
  const there = await world();
  await there.carryOut(await there.planned());
  there.later(100);
  await there.carryOut(await there.planned());
  there.later(25);
  const due = await there.planned();
  assert.deepEqual(due.plan.sweep.remove.map(({ kind }) => kind).sort(), ["list", "manifest", "pack"]);
  return { ...there, due };
}

test("a plan that is refused is not carried out", async () => {
  const { nights, carryOut } = await world();
  const surveyed = { ...(await nights.survey()), obstacles: ["x is damaged"] };
  await assert.rejects(carryOut({ surveyed, plan: nights.plan(surveyed) }), /^Error: a plan that is refused/);
});

test("a store that goes away is told as it is before anything was done, and with what was done after that", async () => {
  const { planned, carryOut, store, first } = await world();
  const due = await planned();
  const away = (key: RegExp) => carryOut(due, unreachable(store, key));
  const [record, signature] = [first.key, signatureKey(first.key)].map((key) => new RegExp(`^${key}$`));
  assert.ok(record && signature);
  await assert.rejects(away(record), { code: "store/unavailable", message: /the connection was cut$/ });
  await assert.rejects(away(signature), {
    code: "store/unavailable",
    message: /the connection was cut \(forgotten before: 1 snapshots; removed: 0 objects\)$/,
  });
});

test("objects that were removed are told of too; a bug is not taken for a failure of the store", async () => {
  const { carryOut, due, store, place, signer, planned } = await aboutToRemove();
  await putDamaged(
    store,
    { drops: "damaged", ...place, kind: "list", name: "e".repeat(64), problem: "x" },
    { ...HOW, signer },
  );
  const again = await planned();
  assert.deepEqual(again.plan.sweep.remove, due.plan.sweep.remove);
  const key = /\/damaged\//;
  const bug = faultyStore(store, [
    { nth: 1, call: "removeAll", when: "before", error: () => new TypeError("a bug") },
  ]);
  await assert.rejects(carryOut(again, bug), TypeError);
  await assert.rejects(carryOut(again, unreachable(store, key)), {
    code: "store/unavailable",
    message: /\(forgotten before: 0 snapshots; removed: 3 objects\)$/,
  });
});

test("what was pinned since the plan is spared, with all that it needs", async () => {
  const { planned, carryOut, first, place, signer, store, nights } = await world();
  const due = await planned();
  await putNote(
    store,
    { drops: "pin", ...place, snapshot: first.record.id, why: "needed" },
    { ...HOW, signer },
  );
  const { forgotten, spared, condemned } = await carryOut(due);
  assert.deepEqual([forgotten, condemned], [[], []]);
  assert.deepEqual(
    spared.map(({ listed }) => listed.key),
    [first.key],
  );
  assert.equal((await nights.survey()).snapshots.length, 2);
});

test("nothing landed: all that is due is removed", async () => {
  const { carryOut, due } = await aboutToRemove();
  const { removed, inUse, stopped } = await carryOut(due);
  assert.deepEqual([removed.length, inUse, stopped], [3, [], undefined]);
});

test("what a backup has come to need meanwhile stays", async () => {
  const { carryOut, due, nights, old } = await aboutToRemove();
  await nights.snapshot(0, [old]);
  const { removed, inUse, stopped } = await carryOut(due);
  assert.deepEqual([removed, inUse.length, stopped], [[], 3, undefined]);
});

test("a record that landed meanwhile and cannot be read stops every removal", async () => {
  const { carryOut, due, store } = await aboutToRemove();
  const key = `${POLICY}/snapshots/20261129T000000Z-${"1".repeat(16)}.json`;
  await store.put(key, Buffer.from("garbage"), HOW);
  const { removed, inUse, stopped } = await carryOut(due);
  assert.deepEqual([removed, inUse], [[], []]);
  assert.match(stopped ?? "", new RegExp(`${key} .*; it landed meanwhile$`));
});

test("a record that landed meanwhile, whose list is lost, stops every removal", async () => {
  const { carryOut, due, nights, store } = await aboutToRemove();
  const source = await nights.source("media", "pictures");
  await nights.snapshot(0, [source]);
  await store.remove(listKey(POLICY, source.list?.sha256 ?? ""), HOW);
  const { removed, stopped } = await carryOut(due);
  assert.deepEqual(removed, []);
  assert.match(stopped ?? "", /^list [0-9a-f]{64} of a snapshot that landed meanwhile cannot be read$/);
});

test("a signature beside which no mark is goes once both waits are over", async () => {
  const { planned, carryOut, store, later } = await world();
  const key = `${POLICY}/condemned/20261124T120000Z-${"f".repeat(16)}.json.sig`;
  await store.put(key, Buffer.from("left"), HOW);
  const isThere = async () => (await keysOf(store, key)).size === 1;
  later(72);
  await carryOut(await planned());
  assert.ok(await isThere());
  later(1);
  await carryOut(await planned());
  assert.ok(!(await isThere()));
});

test("that something is damaged is forgotten once it is gone, and not before", async () => {
  const { planned, carryOut, place, signer, store, old } = await world();
  const kept = old.list?.sha256 ?? "";
  const say = (name: string) =>
    putDamaged(store, { drops: "damaged", ...place, kind: "list", name, problem: "x" }, { ...HOW, signer });
  const [here] = [await say(kept), await say("e".repeat(64))];
  await carryOut(await planned());
  assert.deepEqual([...(await keysOf(store, `${POLICY}/damaged/`)).keys()], [here, `${here}.sig`]);
});
