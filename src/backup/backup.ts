import { randomBytes } from "node:crypto";
import type { Host } from "../host/host.ts";
import { hostFacts } from "../host/host-facts.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure, messageOf } from "../lib/errors.ts";
import type { Policy, SourcePolicy } from "../policy/schema.ts";
import { type Catalog, readCatalog } from "../snapshot/catalog.ts";
import { readCondemned } from "../snapshot/condemned.ts";
import { damagedNames } from "../snapshot/damaged.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import { type Repository, readRepository, requireUnderstood } from "../snapshot/repository.ts";
import { spaceFacts } from "../snapshot/space-facts.ts";
import { hostSpace } from "../source/host-space.ts";
import { type Overlap, overlapsOn } from "../source/overlap.ts";
import type { FrozenSource } from "../source/source.ts";
import { listPacks } from "./commit.ts";
import { freezeSource, inCaptureOrder } from "./freeze.ts";
import { RunShare } from "./run-share.ts";
import { type BackupParts, type RunResult, SnapshotRun } from "./snapshot-run.ts";
import { tellOfFailure } from "./tell-of-failure.ts";

/**
 * Capture every source at one recovery point, store what is new and commit a snapshot. What failed is in the result; a
 * run in which nothing at all succeeded throws the first failure.
 *
 * @param only names of sources; empty means all
 * @throws DropsError repository/missing, format/unsupported, clock/skewed, store, host and source failures
 */
export async function backup(
  parts: BackupParts,
  what: { readonly only: readonly string[]; readonly rereadShare: number },
  how: Cancel,
): Promise<RunResult> {
  const { store, policy } = parts;
  const sources = inCaptureOrder(chosenSources(policy, what.only));
  await using opening = new OpeningHost(parts.openHost()); // while the store is read
  const repository = await readRepository(store, parts.trust, how);
  requireUnderstood(repository);
  await refuseSkewedClock(parts, repository, how);
  const [catalog, listed, condemned, damaged] = await Promise.all([
    readCatalog(store, repository, policy.name, parts.trust, how),
    listPacks(store, policy.name, how),
    readCondemned(store, policy.name, how),
    damagedNames(store, policy.name, how),
  ]);
  if (damaged.size > 0)
    parts.say(`found damaged by a verify: ${damaged.size} objects; what is needed of them is stored anew`);
  for (const { why } of catalog.unreadable) parts.say(`ignored: ${why.message}`);

  const host = await opening.host;
  await using frozen = new FrozenSources();
  const record = await beginRecord(parts, repository, catalog, host, how);
  for (const source of sources) await frozen.freeze(source, parts, host, what.rereadShare, how);
  frozen.throwIfNone();

  const locks = parts.locks?.(catalog.snapshots, parts.now());
  const unusable = new Set([...condemned, ...damaged]);
  const share = new RunShare(
    catalog.snapshots,
    sources.map(({ name }) => name),
  );
  const known = { snapshots: catalog.snapshots, listed, unusable, locks, share };
  const run = new SnapshotRun(parts, repository, record, known, how);
  try {
    for (const [index, source] of sources.entries()) {
      if (index > 0) await run.saveProgress(how);
      await run.ship(source, frozen.get(source.name), how);
      await frozen.release(source.name);
    }
    return await run.commit(sources.length === policy.sources.length, how);
  } finally {
    await run.settle();
  }
}

/** A host that is still being connected to; closed whatever came of it. */
class OpeningHost implements AsyncDisposable {
  readonly host: Promise<Host>;

  constructor(host: Promise<Host>) {
    this.host = host;
    host.catch(() => {}); // told when it is awaited, unless the store fails before
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const host = await this.host.catch(() => undefined);
    await host?.[Symbol.asyncDispose]();
  }
}

/** The frozen views, and why those that are missing could not be taken. */
class FrozenSources implements AsyncDisposable {
  readonly #views = new Map<string, FrozenSource | DropsError>();
  /** Asked of the host once, before the first source. */
  #overlaps: Promise<readonly Overlap[]> | undefined;

  async freeze(
    source: SourcePolicy,
    parts: BackupParts,
    host: Host,
    rereadShare: number,
    how: Cancel,
  ): Promise<void> {
    const { policy, now, random, say } = parts;
    try {
      this.#overlaps ??= overlapsOn(host, policy.sources, how);
      const view = await freezeSource(source, {
        ...how,
        host,
        policyName: policy.name,
        sources: policy.sources,
        overlaps: await this.#overlaps,
        rereadShare,
        now,
        random,
        say,
      });
      this.#views.set(source.name, view);
    } catch (error) {
      how.signal.throwIfAborted();
      if (!isFailure(error) || isFailure(error, "host/unreachable")) throw error;
      tellOfFailure(source.name, error, say);
      this.#views.set(source.name, error);
    }
  }

  throwIfNone(): void {
    const views = [...this.#views.values()];
    const [first] = views;
    if (first instanceof DropsError && views.every((view) => view instanceof DropsError)) throw first;
  }

  get(name: string): FrozenSource | DropsError {
    const view = this.#views.get(name);
    if (!view) throw new Error(`source ${name} was not frozen`);
    return view;
  }

  /** Let go of one view as soon as its bytes are shipped: staging pins disk space, a database session pins rows. */
  async release(name: string): Promise<void> {
    const view = this.#views.get(name);
    this.#views.delete(name);
    if (view && !(view instanceof DropsError)) await view[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#views.keys()].map((name) => this.release(name)));
  }
}

function chosenSources(policy: Policy, only: readonly string[]): readonly SourcePolicy[] {
  const unknown = only.find((name) => !policy.sources.some((source) => source.name === name));
  if (unknown !== undefined) {
    throw new DropsError("usage/invalid", `policy ${policy.name} has no source ${unknown}`, {
      hint: `its sources: ${policy.sources.map(({ name }) => name).join(", ")}`,
    });
  }
  return only.length === 0 ? policy.sources : policy.sources.filter(({ name }) => only.includes(name));
}

async function refuseSkewedClock(parts: BackupParts, repository: Repository, how: Cancel): Promise<void> {
  const before = parts.now().getTime();
  const store = await parts.store.now(how);
  const skew = Math.round((store.getTime() - (before + parts.now().getTime()) / 2) / 1000);
  if (Math.abs(skew) <= repository.constants.max_clock_skew) return;
  throw new DropsError(
    "clock/skewed",
    `this machine's clock is ${Math.abs(skew)} s ${skew > 0 ? "behind" : "ahead of"} the store's`,
    {
      hint: "set the clock (timedatectl set-ntp true): retention depends on dates",
    },
  );
}

async function beginRecord(
  parts: BackupParts,
  repository: Repository,
  catalog: Catalog,
  host: Host,
  how: Cancel,
): Promise<SnapshotRecord> {
  const last = Math.max(0, ...catalog.snapshots.map(({ record }) => record.sequence));
  const started = parts.now().toISOString();
  const units = parts.policy.restore.units.map(({ unit }) => unit);
  const facts = await factsOf(host, units, parts.policy, how).catch((error: unknown) => {
    if (isFailure(error, "host/command-failed")) return { unknown: messageOf(error).slice(0, 1000) };
    throw error;
  });
  return {
    drops: "snapshot",
    format: 1,
    repository: repository.id,
    policy: parts.policy.name,
    id: randomBytes(8).toString("hex"),
    sequence: last + 1,
    state: "checkpoint",
    started,
    ended: started,
    tool: parts.tool,
    host: facts,
    skew_ms: 0,
    stored_bytes: 0,
    seen: catalog.snapshots.map(({ record, sha256 }) => ({ id: record.id, sha256 })),
    sources: [],
  };
}

async function factsOf(
  host: Host,
  units: readonly string[],
  { sources }: Policy,
  how: Cancel,
): Promise<Record<string, string>> {
  return { ...(await hostFacts(host, units, how)), ...spaceFacts(await hostSpace(host, sources, how)) };
}
