import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { isFailure } from "../../src/lib/errors.ts";
import { Calendar } from "../../src/retention/periods.ts";
import { planPrune } from "../../src/retention/plan.ts";
import { type PruneResult, prune } from "../../src/retention/prune.ts";
import { survey } from "../../src/retention/survey.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { newRepository, writeRepository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { openMemoryStore } from "./memory-store.ts";
import { modelBackup, modelRestore, POLICY } from "./model.ts";
import { ModelLedger } from "./model-ledger.ts";
import { ModelWorld } from "./model-world.ts";
import { seededRandom } from "./seeded-random.ts";

const HOW = { signal: new AbortController().signal };
const DAY = 86_400_000;
export const MODEL_SIGNER = signerFromText(newSigningKey("model").privateKey, "the model's key");
const trust = trustOf(undefined, { signers: [MODEL_SIGNER.publicKey] });
export const MODEL_REPOSITORY = newRepository("cd".repeat(16), new Date("2026-01-01T00:00:00Z"));
/** Nothing waits: what is unreferenced is condemned at once, and removed by the next prune. */
const HASTY = {
  ...MODEL_REPOSITORY,
  constants: { ...MODEL_REPOSITORY.constants, condemn_after: 1, delete_after: 1 },
};
const HOW_TO_PLAN = {
  rules: { rules: "sequential", last: 0, daily: 2, weekly: 0, monthly: 0, yearly: 0 },
  calendar: new Calendar("UTC"),
  limits: { rpoSeconds: 100 * 86_400, maxShare: 100, maxShrink: 100 },
  foresee: false,
} as const;

/** A promise that is broken on purpose, so that it is seen whether the model would notice. */
export type Broken = "nothing waits" | "marks are not heeded" | "a late commit is accepted";

export interface ScheduleCounts {
  backups: number;
  prunes: number;
  removed: number;
  restores: number;
  /** Store calls. */
  steps: number;
  /** Processes that were killed at one. */
  killed: number;
}

/** One whole prune, as the command does it. Undefined: it refused. */
export async function pruneModel(
  store: BlobStore,
  clock: { readonly now: Date },
  random: () => number,
): Promise<PruneResult | undefined> {
  const parts = {
    store,
    policyName: POLICY,
    trust,
    now: () => clock.now,
    proven: async () => new Set<string>(),
    signer: MODEL_SIGNER,
    newId: () => hash("sha256", `mark ${random()}`, "hex").slice(0, 16),
  };
  const surveyed = await survey(parts, HOW);
  const plan = planPrune(surveyed, HOW_TO_PLAN);
  return plan.refusals.length > 0 ? undefined : await prune(parts, surveyed, plan, HOW);
}

/**
 * Ten days of two machines that back up, two that prune and one that restores, whose store calls come in an order that
 * `seed` decides, with kills and stalls at any of them. Throws when a listed snapshot lacks an object at any time.
 */
export async function runSchedule(seed: number, broken: readonly Broken[] = []): Promise<ScheduleCounts> {
  const is = (promise: Broken) => broken.includes(promise);
  const repository = is("nothing waits") ? HASTY : MODEL_REPOSITORY;
  const random = seededRandom(seed);
  const clock = { now: new Date("2026-02-01T00:00:00Z") };
  const ledger = new ModelLedger(
    openMemoryStore(() => clock.now),
    POLICY,
    clock,
  );
  await writeRepository(ledger.store, repository, MODEL_SIGNER, HOW);
  const counts = { backups: 0, prunes: 0, removed: 0, restores: 0 };
  const world = new ModelWorld({
    random,
    clock,
    ledger,
    crashes: 0.2,
    stalls: seed % 2 === 0 ? 0.1 : 0.5,
    stale: seed % 3 === 0 ? 0.3 : 0,
  });
  const until = new Date(clock.now.getTime() + 10 * DAY);
  const backupParts = { repository, signer: MODEL_SIGNER, now: () => clock.now, random };
  for (const pause of [10, 30]) {
    world.start(until, pause, async (actor) => {
      const expireAt = is("a late commit is accepted") ? () => {} : actor.expireAt;
      const parts = { ...backupParts, store: actor.store, expireAt, heeds: !is("marks are not heeded") };
      await tolerant(modelBackup(parts).then(() => counts.backups++));
    });
    world.start(until, pause, async ({ store }) => {
      const done = pruneModel(store, clock, random).then((result) => {
        counts.prunes += result ? 1 : 0;
        counts.removed += result?.removed.length ?? 0;
      });
      await tolerant(done);
    });
  }
  world.start(until, 20, async ({ store, expireAt }) => {
    const restored = modelRestore({ ...backupParts, store, expireAt }).then(({ id, missing }) => {
      counts.restores += missing.length === 0 ? 1 : 0;
      assert.ok(
        missing.length === 0 || !ledger.isListed(id),
        `snapshot ${id} is listed and lacks ${missing}`,
      );
    });
    await tolerant(restored);
  });
  await world.run();
  return { ...counts, steps: world.steps, killed: world.killed };
}

/** A process may be killed, and may find that somebody was faster; nothing else. */
async function tolerant(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    const isForeseen = isFailure(error, "interrupted", "data/missing", "store/missing", "store/exists");
    if (!isForeseen) throw error;
  });
}
