import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { Calendar } from "../../src/retention/periods.ts";
import { planPrune } from "../../src/retention/plan.ts";
import { prune } from "../../src/retention/prune.ts";
import { survey } from "../../src/retention/survey.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import { newRepository, writeRepository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { missingOf, modelBackup, modelRestore, POLICY } from "../support/model.ts";
import { ModelWorld } from "../support/model-world.ts";
import { seededRandom } from "../support/seeded-random.ts";

const HOW = { signal: new AbortController().signal };
const SCHEDULES = Number(process.env["DROPS_SCHEDULES"] ?? 40);
const DAY = 86_400_000;
const signer = signerFromText(newSigningKey("model").privateKey, "the model's key");
const trust = { signers: [signer.publicKey], allowUnsigned: false };
const REPOSITORY = newRepository("cd".repeat(16), new Date("2026-01-01T00:00:00Z"));
/** Nothing waits: what is unreferenced is condemned at once, and removed by the next prune. */
const UNSAFE = { ...REPOSITORY, constants: { ...REPOSITORY.constants, condemn_after: 1, delete_after: 1 } };
const HOW_TO_PLAN = {
  rules: { rules: "sequential", last: 0, daily: 2, weekly: 0, monthly: 0, yearly: 0 },
  calendar: new Calendar("UTC"),
  limits: { rpoSeconds: 100 * 86_400, maxShare: 100, maxShrink: 100 },
  foresee: false,
} as const;

function partsOf(store: BlobStore, clock: { readonly now: Date }, random: () => number) {
  return {
    store,
    policyName: POLICY,
    trust,
    operators: trust,
    now: () => clock.now,
    proven: async () => new Set<string>(),
    signer,
    newId: () => hash("sha256", `mark ${random()}`, "hex").slice(0, 16),
  };
}

async function pruneOnce(store: BlobStore, clock: { readonly now: Date }, random: () => number) {
  const parts = partsOf(store, clock, random);
  const surveyed = await survey(parts, HOW);
  const plan = planPrune(surveyed, HOW_TO_PLAN);
  return plan.refusals.length > 0 ? undefined : await prune(parts, surveyed, plan, HOW);
}

/** What listed snapshots lack. */
async function lossesIn(store: BlobStore): Promise<string[]> {
  const { snapshots, unreadable } = await readCatalog(store, REPOSITORY, POLICY, trust, HOW);
  assert.deepEqual(unreadable, []);
  const lost = await Promise.all(snapshots.map(({ record }) => missingOf(store, record)));
  return lost.flat();
}

/** Ten days of two machines that back up, two that prune, and one that restores. */
async function schedule(seed: number, { safe = true, stalls = seed % 2 === 0 ? 0.004 : 0.04 } = {}) {
  const repository = safe ? REPOSITORY : UNSAFE;
  const random = seededRandom(seed);
  const clock = { now: new Date("2026-02-01T00:00:00Z") };
  const store = openMemoryStore(() => clock.now);
  await writeRepository(store, repository, signer, HOW);
  const counts = { backups: 0, prunes: 0, removed: 0, restores: 0 };
  const world = new ModelWorld({
    random,
    clock,
    store,
    crashes: 0.004,
    stalls,
    onRemoved: async () => assert.deepEqual(await lossesIn(store), []),
  });
  const until = new Date(clock.now.getTime() + 10 * DAY);
  const tolerant = (work: Promise<unknown>) =>
    work.catch((error: unknown) => {
      assert.ok(
        isFailure(error, "interrupted", "data/missing", "store/missing", "store/exists"),
        String(error),
      );
    });
  for (const pause of [14, 40]) {
    world.start(until, pause, async ({ store: through, expireAt }) => {
      const parts = {
        store: through,
        repository,
        signer,
        now: () => clock.now,
        random,
        expireAt,
        heeds: safe,
      };
      await tolerant(modelBackup(parts).then(() => counts.backups++));
    });
    world.start(until, pause, async ({ store: through }) => {
      const done = pruneOnce(through, clock, random).then((result) => {
        counts.prunes += result ? 1 : 0;
        counts.removed += result?.removed.length ?? 0;
      });
      await tolerant(done);
    });
  }
  world.start(until, 20, async ({ store: through, expireAt }) => {
    const parts = { store: through, repository, signer, now: () => clock.now, random, expireAt };
    await tolerant(modelRestore(parts).then(() => counts.restores++));
  });
  await world.run();
  assert.deepEqual(await lossesIn(store), []);
  return { ...counts, steps: world.steps, killed: world.killed };
}

test(`${SCHEDULES} schedules of two backups, two prunes and a restore: no listed snapshot ever lacks an object`, async (t) => {
  const sum = { backups: 0, prunes: 0, removed: 0, restores: 0, steps: 0, killed: 0 };
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    const found = await schedule(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += found[name];
  }
  t.diagnostic(JSON.stringify(sum));
  assert.ok(sum.backups > 10 * SCHEDULES && sum.removed > 10 * SCHEDULES && sum.killed > SCHEDULES / 2);
});

test("the same schedules find a snapshot that lacks an object when nothing waits and no mark is heeded", async () => {
  const lost: number[] = [];
  for (let seed = 1; seed <= 60 && lost.length === 0; seed++) {
    await schedule(seed, { safe: false }).catch(() => lost.push(seed));
  }
  assert.equal(lost.length, 1);
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

for (const revoked of [false, true]) {
  test(`a prune stalls before it removes a pack that a slow backup still knows${revoked ? "; were marks revocable, it would be lost" : ""}`, async () => {
    const clock = { now: new Date("2026-02-01T00:00:00Z") };
    const store = openMemoryStore(() => clock.now);
    await writeRepository(store, REPOSITORY, signer, HOW);
    const later = (hours: number) => {
      clock.now = new Date(clock.now.getTime() + hours * 3_600_000);
    };
    let drawn = 0;
    const draw = (from: number) => () => from + ++drawn / 1e6; // below 0.8: what is known is referred to again
    const parts = (through: BlobStore, from: number) => {
      return {
        store: through,
        repository: REPOSITORY,
        signer,
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
    await pruneOnce(store, clock, draw(0.5));
    later(25);
    const stalled = paused(store, (call) => call.startsWith("removeAll model/"));
    const pruning = pruneOnce(stalled.store, clock, draw(0.6));
    await stalled.reached;
    if (revoked) {
      for await (const { key } of store.list("model/condemned/", HOW)) await store.remove(key, HOW);
    }
    slow.release();
    assert.equal(await reusing, revoked ? "committed" : "refused");
    stalled.release();
    assert.ok(((await pruning)?.removed.length ?? 0) > 0);
    assert.equal((await lossesIn(store)).length > 0, revoked);
  });
}
