import { Calendar } from "../../src/retention/periods.ts";
import { type PlanHow, planPrune } from "../../src/retention/plan.ts";
import { type Survey, survey } from "../../src/retention/survey.ts";
import type { SnapshotRecord, SourceRecord } from "../../src/snapshot/record.ts";
import { openMemoryStore } from "./memory-store.ts";
import { KEEP } from "./nights.ts";
import { POLICY, TinyRepository } from "./tiny-repository.ts";
import { VersionedMemory } from "./versioned-memory.ts";

const HOW = { signal: new AbortController().signal };
const HOUR = 3_600_000;

/** A repository in memory whose snapshots are put together by hand: no host, no capture, no worker threads. */
export class TinyNights {
  readonly clock: { now: Date };
  readonly tiny: TinyRepository;
  /** Seven days, four weeks, twelve months. */
  readonly how: PlanHow = {
    rules: KEEP,
    calendar: new Calendar("UTC"),
    limits: { rpoSeconds: 86_400, maxShare: 30, maxShrink: 50 },
    foresee: false,
  };

  private constructor(tiny: TinyRepository, clock: { now: Date }) {
    this.tiny = tiny;
    this.clock = clock;
  }

  /** At noon of 2026-11-24, empty. With `versions` in a bucket that keeps them. */
  static async create({ versions = false } = {}): Promise<TinyNights> {
    const clock = { now: new Date("2026-11-24T12:00:00Z") };
    const now = () => clock.now;
    const store = versions ? new VersionedMemory(now) : openMemoryStore(now);
    return new TinyNights(await TinyRepository.create(store), clock);
  }

  /** A source with one pack of its own. */
  async source(name: string, content: string): Promise<SourceRecord> {
    return this.tiny.source({
      name,
      entries: [{ path: "file", chunks: await this.tiny.pack(Buffer.from(content)) }],
    });
  }

  /** A snapshot that ended so many hours ago, and landed then. */
  async snapshot(
    hoursAgo: number,
    sources: readonly SourceRecord[],
    change: Partial<SnapshotRecord> & { readonly signer?: TinyRepository["signer"] } = {},
  ): Promise<{ record: SnapshotRecord; key: string }> {
    const { now } = this.clock;
    const at = new Date(now.getTime() - hoursAgo * HOUR);
    this.clock.now = at;
    try {
      return await this.tiny.commit(sources, { ended: at.toISOString(), ...change });
    } finally {
      this.clock.now = now;
    }
  }

  parts(proven: readonly string[] = []) {
    return {
      store: this.tiny.store,
      policyName: POLICY,
      trust: this.tiny.trust,
      now: () => this.clock.now,
      proven: async () => new Set(proven),
    };
  }

  survey(proven: readonly string[] = []): Promise<Survey> {
    return survey(this.parts(proven), HOW);
  }

  plan(surveyed: Survey, change: Partial<PlanHow> = {}) {
    return planPrune(surveyed, { ...this.how, ...change });
  }
}
