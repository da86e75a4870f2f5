import assert from "node:assert/strict";
import { test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { writeRepository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { condemnedPrefix } from "../../src/store/keys.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { modelBackup, POLICY } from "../support/model.ts";
import { ModelLedger } from "../support/model-ledger.ts";
import {
  MODEL_REPOSITORY,
  MODEL_SIGNER,
  pruneModel,
  runSchedule,
  type ScheduleCounts,
} from "../support/model-schedule.ts";

const HOW = { signal: new AbortController().signal };
/** Thousands are run by test/campaigns/prune-schedules.ts. */
const SCHEDULES = 30;

test(`${SCHEDULES} schedules of two backups, two prunes and a restore: no listed snapshot ever lacks an object`, async (t) => {
  const sum: ScheduleCounts = { backups: 0, prunes: 0, removed: 0, restores: 0, steps: 0, killed: 0 };
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    const found = await runSchedule(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    for (const name of Object.keys(sum) as (keyof ScheduleCounts)[]) sum[name] += found[name];
  }
  t.diagnostic(JSON.stringify(sum));
  assert.ok(sum.backups > 10 * SCHEDULES && sum.removed > 10 * SCHEDULES && sum.killed > SCHEDULES / 2);
});

test("the same schedules find a snapshot that lacks an object when nothing waits, no mark is heeded and commits may be late", async () => {
  const broken = ["nothing waits", "marks are not heeded", "a late commit is accepted"] as const;
  const failures: string[] = [];
  for (let seed = 1; seed <= SCHEDULES && failures.length === 0; seed++) {
    await runSchedule(seed, broken).catch((error: unknown) => failures.push(String(error)));
  }
  assert.match(failures.join(), /landed without what it needs|was removed, which is needed/);
});

/** The same store, in which a call waits until it is let go. */
function paused(store: BlobStore, at: (call: string) => boolean) {
  let reach = () => {};
  let release = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const wait = async (call: string) => {
    if (!at(call)) return;
    reach();
    await released;
  };
  const through: BlobStore = {
    ...store,
    put: async (key, bytes, how) => {
      await store.put(key, bytes, how);
      await wait(`put ${key}`);
    },
    removeAll: async (keys, how) => {
      await wait(`removeAll ${keys[0]}`);
      await store.removeAll(keys, how);
    },
  };
  return { store: through, reached, release: () => release() };
}

async function takeMarksBack(store: BlobStore): Promise<void> {
  for await (const { key } of store.list(condemnedPrefix(POLICY), HOW)) await store.remove(key, HOW);
}

/** The ABA of two-phase deletion: the verdict of a prune that stalls is carried out on what has become needed again. */
for (const revoked of [false, true]) {
  test(`a prune stalls, a pack is used again, its keeper is forgotten: ${revoked ? "were marks revocable, it would be lost" : "the backup that would use it again is refused"}`, async () => {
    const clock = { now: new Date("2026-02-01T00:00:00Z") };
    const { store } = new ModelLedger(
      openMemoryStore(() => clock.now),
      POLICY,
      clock,
    );
    await writeRepository(store, MODEL_REPOSITORY, MODEL_SIGNER, HOW);
    const later = (hours: number) => {
      clock.now = new Date(clock.now.getTime() + hours * 3_600_000);
    };
    let drawn = 0;
    const draw = (from: number) => () => from + ++drawn / 1e6; // below 0.6: what is known is referred to again
    const parts = (through: BlobStore, from: number) => {
      return {
        store: through,
        repository: MODEL_REPOSITORY,
        signer: MODEL_SIGNER,
        now: () => clock.now,
        random: draw(from),
        expireAt: () => {},
      };
    };
    await modelBackup(parts(store, 0.9));
    const slow = paused(store, (call) => call.startsWith("put model/manifests/"));
    const reusing = modelBackup(parts(slow.store, 0.1)).then(
      () => "committed",
      (error: unknown) => (isFailure(error, "data/missing") ? "refused" : Promise.reject(error)),
    );
    await slow.reached;
    for (let night = 0; night < 3; night++) {
      later(24);
      await modelBackup(parts(store, 0.9));
    }
    await pruneModel(store, clock, draw(0.5));
    later(25);
    const stalled = paused(store, (call) => call.startsWith("removeAll model/"));
    const pruning = pruneModel(stalled.store, clock, draw(0.6));
    await stalled.reached;
    if (revoked) await takeMarksBack(store);
    slow.release();
    assert.equal(await reusing, revoked ? "committed" : "refused");
    stalled.release();
    if (revoked) await assert.rejects(pruning, /was removed, which is needed/);
    else assert.ok(((await pruning)?.removed.length ?? 0) > 0);
  });
}
