import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DropsError } from "../../src/lib/errors.ts";
import type { KeepRules } from "../../src/retention/keep.ts";
import { Calendar } from "../../src/retention/periods.ts";
import { type PlanHow, type PrunePlan, planPrune } from "../../src/retention/plan.ts";
import { type PruneParts, type PruneResult, prune } from "../../src/retention/prune.ts";
import type { Limits } from "../../src/retention/refusals.ts";
import { type Survey, survey } from "../../src/retention/survey.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { openMemoryStore } from "./memory-store.ts";
import { type Rehearsal, rehearse } from "./rehearsal.ts";
import { readWhole } from "./whole-repository.ts";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
const HOW = { signal: new AbortController().signal };

export const KEEP: KeepRules = {
  rules: "sequential",
  last: 0,
  daily: 7,
  weekly: 4,
  monthly: 12,
  yearly: 0,
};

/** A repository that is backed up and pruned by a clock that the test sets; everything but the clock is real. */
export interface Nights extends AsyncDisposable {
  readonly rehearsal: Rehearsal;
  readonly store: BlobStore;
  readonly clock: { now: Date };
  readonly how: PlanHow;
  parts(change?: Partial<PruneParts>): PruneParts;
  survey(change?: Partial<PruneParts>): Promise<Survey>;
  plan(change?: Partial<PruneParts>): Promise<{ survey: Survey; plan: PrunePlan }>;
  /** Survey, plan and carry it out. Throws safety/refused when something speaks against it. */
  prune(change?: Partial<PruneParts>, how?: Partial<PlanHow>): Promise<PruneResult>;
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** One backup at the clock's time. Answers the snapshot's id. */
  backup(store?: BlobStore): Promise<string>;
  /** A day later. */
  sleep(hours?: number): void;
  /** Every listed snapshot, checkpoints included, read back to the last byte. Throws when one cannot be. */
  readAll(store?: BlobStore, read?: (id: string) => boolean): ReturnType<typeof readWhole>;
}

export async function nights(options: {
  readonly sources: string;
  readonly rules?: Partial<KeepRules>;
  readonly limits?: Partial<Limits>;
  readonly began?: string;
  /** Default: one that keeps no versions. */
  readonly openStore?: (clock: () => Date) => BlobStore;
}): Promise<Nights> {
  const clock = { now: new Date(options.began ?? "2026-01-01T01:30:00Z") };
  const store = (options.openStore ?? openMemoryStore)(() => clock.now);
  const rehearsal = await rehearse({ sources: options.sources, store });
  let ids = 0;
  const how: PlanHow = {
    rules: { ...KEEP, ...options.rules },
    calendar: new Calendar("Europe/Berlin"),
    limits: { rpoSeconds: 86_400, maxShare: 30, maxShrink: 50, ...options.limits },
  };
  const parts = (change: Partial<PruneParts> = {}): PruneParts => ({
    store,
    policyName: "rehearsal",
    trust: rehearsal.parts.trust,
    now: () => clock.now,
    proven: async () => new Set(),
    signer: rehearsal.signer,
    newId: () => String(++ids).padStart(16, "0"),
    ...change,
  });
  const planned = async (change?: Partial<PruneParts>, more: Partial<PlanHow> = {}) => {
    const surveyed = await survey(parts(change), HOW);
    return { survey: surveyed, plan: planPrune(surveyed, { ...how, foresee: false, ...more }) };
  };
  return {
    rehearsal,
    store,
    clock,
    how,
    parts,
    survey: (change) => survey(parts(change), HOW),
    plan: planned,
    async prune(change, more) {
      const { survey: surveyed, plan } = await planned(change, more);
      if (plan.refusals.length > 0) {
        throw new DropsError("safety/refused", plan.refusals.map(({ why }) => why).join("; "));
      }
      return prune(parts(change), surveyed, plan, HOW);
    },
    write: (name, bytes) => writeFile(join(rehearsal.directory, name), bytes),
    async backup(through = store) {
      const { record } = await rehearsal.night({ store: through, now: () => clock.now });
      return record.id;
    },
    sleep(hours = 24) {
      clock.now = new Date(clock.now.getTime() + hours * HOUR);
    },
    readAll(from = store, read) {
      const { recovery, signer } = rehearsal;
      const keys = { identity: recovery.identity, signer: signer.publicKey, policy: "rehearsal" };
      return readWhole(from, { ...keys, ...(read ? { read } : {}) });
    },
    [Symbol.asyncDispose]: () => rehearsal[Symbol.asyncDispose](),
  };
}

/** The same objects, landed when those did; its clock is `clock` from then on. */
export async function copyOf(store: BlobStore, clock: { readonly now: Date }): Promise<BlobStore> {
  let landed: Date | undefined;
  const copy = openMemoryStore(() => landed ?? clock.now);
  for await (const { key, size, modified } of store.list("", HOW)) {
    landed = modified;
    await copy.put(key, await store.get(key, { ...HOW, maxSize: size }), HOW);
  }
  landed = undefined;
  return copy;
}

/** Every key of a store with its size. */
export async function keysOf(store: BlobStore, prefix = ""): Promise<Map<string, number>> {
  const keys = new Map<string, number>();
  for await (const { key, size } of store.list(prefix, HOW)) keys.set(key, size);
  return keys;
}
