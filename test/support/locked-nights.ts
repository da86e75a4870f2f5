import type { KeepRules } from "../../src/retention/keep.ts";
import { extendLocks, type KeeperHow, type KeeperPlan, planKeeper } from "../../src/retention/keeper.ts";
import { locksOfNew } from "../../src/retention/lock-times.ts";
import type { BlobVersion, Lock, VersionedStore } from "../../src/store/blob-store.ts";
import { KEEP, type Nights, nights } from "./nights.ts";
import { VersionedMemory } from "./versioned-memory.ts";

const DAY = 86_400_000;
const HOW = { signal: new AbortController().signal };

export interface LockedNights extends AsyncDisposable {
  readonly site: Nights;
  readonly store: VersionedMemory;
  readonly how: KeeperHow;
  /** One backup at the clock's time, which locks what it puts. */
  backup(through?: VersionedStore): Promise<string>;
  plan(store?: VersionedStore): Promise<KeeperPlan>;
  /** Plan and carry it out. Answers the plan, and what failed. */
  keep(store?: VersionedStore): Promise<{ plan: KeeperPlan; failed: { key: string; why: string }[] }>;
  /** Of every version that is no marker, in the order of their keys. */
  locks(): Promise<{ version: BlobVersion; lock: Lock | undefined }[]>;
}

/** A repository in a bucket with Object Lock, with a clock that the test sets. Margin 14 days, at most 60. */
export async function lockedNights(rules: Partial<KeepRules> = {}): Promise<LockedNights> {
  let memory: VersionedMemory | undefined;
  const site = await nights({
    sources: `  - { name: db, kind: command, argv: [cat, "@DIR@/db"] }\n`,
    rules: { daily: 3, weekly: 2, monthly: 0, ...rules },
    limits: { maxShare: 100 },
    openStore: (clock) => {
      memory = new VersionedMemory(clock);
      return memory;
    },
  });
  if (!memory) throw new Error("no store was opened");
  const store = memory;
  const how: KeeperHow = {
    rules: { ...KEEP, ...site.how.rules },
    calendar: site.how.calendar,
    lock: { mode: "governance", margin: 14 * DAY, max: 60 * DAY },
  };
  const { parts } = site.rehearsal;
  const planned = (through: VersionedStore = store) =>
    planKeeper({ ...site.parts(), store: through }, how, HOW);
  return {
    site,
    store,
    how,
    async backup(through = store) {
      const { record } = await site.rehearsal.night({
        ...parts,
        store: through,
        now: () => site.clock.now,
        locks: (earlier, at) => {
          const dated = earlier
            .filter(({ record }) => record.state === "complete")
            .map(({ record }) => ({ id: record.id, at: new Date(record.ended) }));
          return locksOfNew(dated, at, how);
        },
      });
      return record.id;
    },
    plan: planned,
    async keep(through = store) {
      const plan = await planned(through);
      return { plan, failed: await extendLocks({ store: through }, plan.due, HOW) };
    },
    async locks() {
      const found: { version: BlobVersion; lock: Lock | undefined }[] = [];
      for await (const version of store.listVersions("", HOW)) {
        if (version.isMarker) continue;
        found.push({ version, lock: await store.lockOf(version.key, version.version, HOW) });
      }
      return found;
    },
    [Symbol.asyncDispose]: () => site[Symbol.asyncDispose](),
  };
}
