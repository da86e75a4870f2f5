/** What is kept and what goes: from a policy to the planner, the prune and the operators' notes. */
import { randomBytes } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import { milliseconds } from "../lib/units.ts";
import { parseDateWords } from "../policy/dates.ts";
import type { Policy } from "../policy/schema.ts";
import type { BlobStore, VersionedStore } from "../store/blob-store.ts";
import { loadBelieved, ownKeys } from "../trust/own-keys.ts";
import { trustOf } from "../trust/trust.ts";
import { decideAt } from "./future.ts";
import { heldBytes } from "./held.ts";
import type { KeepRules } from "./keep.ts";
import { unpin, type WrittenNote, writeNote } from "./operator-notes.ts";
import { Calendar } from "./periods.ts";
import { contextOf, type PlanHow, planPrune } from "./plan.ts";
import { lockRulesOf } from "./policy-locks.ts";
import { prune } from "./prune.ts";
import { noteView, type PlanView, planView, pruneView } from "./prune-report.ts";
import type {
  KeeperReport,
  NoteOptions,
  NoteReport,
  PlanOptions,
  PlanReport,
  PruneOptions,
  PruneReport,
} from "./report.ts";
import { type SurveyParts, survey } from "./survey.ts";

/** What is kept and what goes. Needs no identity. */
export interface Retention extends AsyncDisposable {
  /** Changes nothing. Never throws for what speaks against a prune: that is in the report. */
  plan(how: PlanOptions & Cancel): Promise<PlanReport>;
  /** Never throws for what speaks against it: that is in the report, and nothing was done. */
  prune(how: PruneOptions & Cancel): Promise<PruneReport>;
  /**
   * Extend the locks of what is kept. Never throws for what it finds: that is in the report, and whatever could be locked
   * is. Throws policy/invalid without object_lock, clock/skewed, and store/refused for a bucket without Object Lock.
   */
  keeper(how: { readonly dryRun: boolean } & Cancel): Promise<KeeperReport>;
  /** Throws safety/refused when it is pinned already, snapshot/missing when there is no such snapshot. */
  pin(how: NoteOptions & { readonly until: string | undefined } & Cancel): Promise<NoteReport>;
  /** Throws snapshot/missing when it is not pinned. */
  unpin(how: Pick<NoteOptions, "snapshot"> & Cancel): Promise<NoteReport>;
  withdraw(how: NoteOptions & Cancel): Promise<NoteReport>;
}

/** How stores are opened. */
export interface RetentionStores {
  /** Closed with the answer. */
  readonly store: BlobStore;
  /** The same with its versions. Throws usage/invalid for a directory. */
  openVersioned(): Promise<VersionedStore>;
}

export function retentionOf(policy: Policy, stores: RetentionStores, context: AppContext): Retention {
  return new PolicyRetention(policy, stores, context);
}

class PolicyRetention implements Retention {
  readonly #policy: Policy;
  readonly #context: AppContext;
  readonly #store: BlobStore;
  readonly #stores: RetentionStores;

  constructor(policy: Policy, stores: RetentionStores, context: AppContext) {
    this.#policy = policy;
    this.#context = context;
    this.#store = stores.store;
    this.#stores = stores;
  }

  async plan(options: PlanOptions & Cancel): Promise<PlanReport> {
    const surveyed = await survey(await this.#parts(), options);
    const how = this.#how(options.tried, options.accept);
    const plan = planPrune(surveyed, how);
    const held = await heldBytes(this.#store, this.#policy.name, options);
    const view: PlanView = { ...this.#place(), survey: surveyed, plan, rules: how.rules, held };
    if (options.at === undefined) return planView(view);
    const at = this.#ahead(options.at, surveyed.now);
    const candidates = surveyed.snapshots.map(({ candidate }) => candidate);
    const contextAt = (when: Date) => contextOf(surveyed, how, when);
    return planView(view, { at, decisions: decideAt(at, surveyed.now, candidates, contextAt) });
  }

  async prune(options: PruneOptions & Cancel): Promise<PruneReport> {
    const began = this.#context.now().getTime();
    const parts = await this.#parts();
    const signer = await loadBelieved(this.#signingKey(), parts.trust);
    const surveyed = await survey(parts, options);
    const how = this.#how({}, options.accept);
    const plan = planPrune(surveyed, { ...how, foresee: false });
    const view = { ...this.#place(), survey: surveyed, plan, rules: how.rules };
    const seconds = () => (this.#context.now().getTime() - began) / 1000;
    refuseAnother(
      plan.forget.map(({ listed }) => listed.record.id),
      options.agreed,
    );
    if (plan.refusals.length > 0) return pruneView(view, undefined, seconds());
    const progress = this.#context.reporter.progress("prune", "objects");
    const newId = () => randomBytes(8).toString("hex");
    const onRemoved = (done: number, total: number) => progress.update(done, total);
    try {
      const acting = { ...parts, store: this.#store, signer, newId, onRemoved };
      const result = await prune(acting, surveyed, plan, options);
      const held = await heldBytes(this.#store, this.#policy.name, options);
      return pruneView({ ...view, held }, result, seconds());
    } finally {
      progress.done();
    }
  }

  async keeper({ dryRun, signal }: Parameters<Retention["keeper"]>[0]): Promise<KeeperReport> {
    const { object_lock, zone, name } = this.#policy;
    if (!object_lock) {
      throw new DropsError("policy/invalid", `policy ${name} has no object_lock`, {
        hint: "add object_lock: { mode: governance, margin: 14d } to the policy, if the bucket has Object Lock",
      });
    }
    const { runKeeper } = await import("./keeper-run.ts");
    await using versioned = await this.#stores.openVersioned();
    const { rules, calendar } = this.#how({}, undefined);
    const run = { parts: { ...(await this.#parts()), store: versioned }, zone, dryRun };
    const how = { rules, calendar, lock: lockRulesOf(object_lock) };
    return runKeeper({ ...run, how }, this.#context, { signal });
  }

  async pin(how: Parameters<Retention["pin"]>[0]): Promise<NoteReport> {
    return this.#wrote("pinned", await writeNote(await this.#noteParts(), { kind: "pin", ...how }, how));
  }

  async unpin(how: Parameters<Retention["unpin"]>[0]): Promise<NoteReport> {
    const parts = { ...(await this.#parts()), store: this.#store, zone: this.#policy.zone };
    return this.#wrote("unpinned", await unpin(parts, how.snapshot, how));
  }

  async withdraw(how: Parameters<Retention["withdraw"]>[0]): Promise<NoteReport> {
    const what = { kind: "withdrawn", until: undefined, ...how } as const;
    return this.#wrote("withdrawn", await writeNote(await this.#noteParts(), what, how));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }

  #wrote(action: NoteReport["action"], note: WrittenNote): NoteReport {
    return noteView(this.#place(), action, note);
  }

  #place() {
    return { policy: this.#policy.name, store: this.#store.label, zone: this.#policy.zone };
  }

  #how(tried: PlanOptions["tried"], accept: number | undefined): PlanHow {
    const { keep, zone, rpo, prune: limits } = this.#policy;
    const given = Object.entries(tried ?? {}).filter(([, value]) => value !== undefined);
    const rules: KeepRules = { ...keep, ...Object.fromEntries(given) };
    if (rules.last + rules.daily + rules.weekly + rules.monthly + rules.yearly === 0) {
      throw new DropsError("usage/invalid", "these rules keep no snapshot", { hint: "--daily 7" });
    }
    return {
      rules,
      calendar: new Calendar(zone),
      limits: {
        rpoSeconds: milliseconds(rpo) / 1000,
        maxShare: limits.max_share,
        maxShrink: limits.max_shrink,
      },
      accept,
    };
  }

  /** The end of a day, or a time. */
  #ahead(words: string, now: Date): Date {
    const wanted = parseDateWords(words, { zone: this.#policy.zone, now });
    if (wanted.kind === "day") return new Date(wanted.to.getTime() - 1);
    if (wanted.kind === "time") return wanted.at;
    throw new DropsError("usage/invalid", "--at needs a date", { hint: "--at 2027-06-30" });
  }

  #signingKey(): string {
    return this.#policy.prune.signing_key_file ?? this.#policy.keys.signing_key_file;
  }

  async #noteParts() {
    const parts = await this.#parts();
    const signer = await loadBelieved(this.#signingKey(), parts.trust);
    return { ...parts, store: this.#store, zone: this.#policy.zone, signer };
  }

  async #parts(): Promise<SurveyParts> {
    const trust = trustOf(this.#policy, { own: await ownKeys(this.#policy) });
    const { now } = this.#context;
    return {
      store: this.#store,
      policyName: this.#policy.name,
      trust,
      now,
      proven: async (place, how) => {
        const { readPublished } = await import("../drill/earlier-evidence.ts");
        const found = await readPublished(this.#store, place, trust, how);
        const proofs = found.flatMap((one) => (one.refused === undefined ? [one.evidence] : []));
        const whole = proofs.filter(({ verdict, whole }) => verdict === "proven" && whole);
        return new Set(whole.map(({ snapshot }) => snapshot.id));
      },
    };
  }
}

/** Throws safety/refused when a person agreed to something else. */
function refuseAnother(forget: readonly string[], agreed: readonly string[] | undefined): void {
  if (agreed === undefined || (agreed.length === forget.length && agreed.every((id) => forget.includes(id))))
    return;
  throw new DropsError("safety/refused", "the plan changed after it was shown: nothing was done", {
    hint: "drops prune  shows the new plan",
  });
}
