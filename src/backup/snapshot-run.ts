import { randomBytes } from "node:crypto";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { type PackInfo, PackTable } from "../pack/pack-table.ts";
import type { PackPool } from "../pack/pool.ts";
import type { Policy, SourcePolicy } from "../policy/schema.ts";
import { recipientSetHash } from "../seal/recipients.ts";
import type { Signer } from "../seal/sshsig.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import { readCondemned } from "../snapshot/condemned.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { SnapshotRecord, SourceRecord } from "../snapshot/record.ts";
import { FORMAT, type Repository } from "../snapshot/repository.ts";
import type { FrozenSource } from "../source/source.ts";
import type { BlobReader, BlobWriter, Lock } from "../store/blob-store.ts";
import { locking } from "../store/locking.ts";
import type { Trust } from "../trust/trust.ts";
import { checkListed, commitRecord, listStored, storeSource } from "./commit.ts";
import type { RunShare } from "./run-share.ts";
import { Shipper } from "./shipper.ts";
import { SourceBase } from "./source-base.ts";
import { ManifestSink } from "./source-sink.ts";
import { tellOfFailure } from "./tell-of-failure.ts";

/** Everything a backup is made from. It is handed no remover: it cannot delete. */
export interface BackupParts {
  readonly policy: Policy;
  /** The policy file as it is, kept in every manifest. */
  readonly policyText: string;
  /** What a person does on the worst day with this policy, kept in every manifest, too; undefined: there is none. */
  readonly runbook?: string;
  readonly store: BlobReader & BlobWriter;
  readonly openHost: () => Promise<Host>;
  readonly pool: PackPool;
  readonly recoveryRecipients: readonly string[];
  readonly metadata: { readonly identities: readonly string[]; readonly recipients: readonly string[] };
  readonly signer: Signer;
  readonly trust: Trust;
  readonly tool: string;
  readonly now: () => Date;
  readonly random: () => number;
  readonly say: (line: string) => void;
  /** Bytes read from the host, per source; with the share of the run that is behind, see RunShare. */
  readonly onRead?: (source: string, bytes: number, share: number | undefined) => void;
  readonly checkpoint: { readonly afterBytes: number; readonly afterMs: number };
  /** Until when what is put is locked, beside the snapshots that are there; without it nothing is. */
  readonly locks?: (earlier: readonly ListedSnapshot[], at: Date) => RunLocks;
}

/** What the store held when the run began. */
export interface StoreState {
  readonly snapshots: readonly ListedSnapshot[];
  readonly listed: ReadonlyMap<string, number>;
  /** Names of what is condemned or was found damaged: nothing new may refer to it. */
  readonly unusable: ReadonlySet<string>;
  readonly locks?: RunLocks | undefined;
  readonly share: RunShare;
}

/** Until when what the run puts cannot be removed. */
export interface RunLocks {
  /** What the snapshot needs. Packs are put for it, whatever becomes of the run: the next one goes on from them. */
  readonly snapshot: Lock;
  /** Checkpoints, partial snapshots, and manifests of unfinished sources. */
  readonly passing: Lock;
}

/** What one source came to, beside its part of the record. */
export interface SourceResult {
  readonly record: SourceRecord;
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly seconds: number;
}

export interface RunResult {
  readonly key: string;
  readonly record: SnapshotRecord;
  readonly sources: readonly SourceResult[];
  readonly packs: number;
  readonly checkpoints: number;
}

/** One snapshot in the making: ships the sources one after another, commits checkpoints on the way and the record at the end. */
export class SnapshotRun {
  readonly #parts: BackupParts;
  readonly #repository: Repository;
  readonly #begun: SnapshotRecord;
  readonly #known: StoreState;
  readonly #packs = new PackTable();
  readonly #shipper: Shipper;
  readonly #recipients: string;
  readonly #results: SourceResult[] = [];
  readonly #needed = new Map<string, PackInfo>();
  #checkpoints = 0;
  #bytesAtCheckpoint = 0;
  #timeOfCheckpoint: number;

  constructor(
    parts: BackupParts,
    repository: Repository,
    begun: SnapshotRecord,
    known: StoreState,
    how: Cancel,
  ) {
    this.#parts = parts;
    this.#repository = repository;
    this.#begun = begun;
    this.#known = { ...known, listed: usable(known) };
    this.#recipients = recipientSetHash(parts.recoveryRecipients);
    this.#timeOfCheckpoint = parts.now().getTime();
    this.#shipper = new Shipper({
      store: locking(parts.store, known.locks?.snapshot),
      policyName: parts.policy.name,
      pool: parts.pool,
      packs: this.#packs,
      recipients: parts.recoveryRecipients,
      signal: how.signal,
    });
  }

  /** Ship one source. Its own failure becomes part of the record; the store's and the host's loss end the run. */
  async ship(source: SourcePolicy, view: FrozenSource | DropsError, how: Cancel): Promise<void> {
    const begun = this.#parts.now().getTime();
    const before = { newBytes: this.#shipper.newBytes, storedBytes: this.#shipper.storedBytes };
    const record =
      view instanceof DropsError ? failed(source, view, []) : await this.#shipFrozen(source, view, how);
    this.#known.share.finish(source.name);
    this.#results.push({
      record,
      newBytes: this.#shipper.newBytes - before.newBytes,
      storedBytes: this.#shipper.storedBytes - before.storedBytes,
      seconds: (this.#parts.now().getTime() - begun) / 1000,
    });
  }

  /** Between sources: a large one that is done is saved, so that a run killed in the next one does not send it again. */
  async saveProgress(how: Cancel): Promise<void> {
    const unsaved = this.#shipper.newBytes - this.#bytesAtCheckpoint;
    if (unsaved >= this.#parts.checkpoint.afterBytes / 2) await this.#checkpoint(how);
  }

  /** Check that everything is listed, then put the record. `all`: no source of the policy was left out. */
  async commit(all: boolean, how: Cancel): Promise<RunResult> {
    const records = this.#results.map(({ record }) => record);
    const bad = this.#results.find(({ record }) => record.outcome === "failed")?.record;
    if (bad?.error && records.every(({ outcome }) => outcome === "failed")) {
      throw new DropsError(
        "source/failed",
        `every source failed; the first, ${bad.name}: ${bad.error.message}`,
      );
    }
    const record = this.#record(all && !bad ? "complete" : "partial", this.#begun.id, records);
    const key = await this.#commit(record, how);
    return {
      key,
      record,
      sources: this.#results,
      packs: this.#shipper.packCount,
      checkpoints: this.#checkpoints,
    };
  }

  async settle(): Promise<void> {
    await this.#shipper.settle();
  }

  async #shipFrozen(source: SourcePolicy, view: FrozenSource, how: Cancel): Promise<SourceRecord> {
    const base = await SourceBase.load(this.#baseParts(), this.#known.snapshots, source.name, how);
    const onChunk = (size: number) => {
      const share = this.#known.share.at(source.name, sink.readBytes + sink.keptBytes);
      this.#parts.onRead?.(source.name, size, share);
      return this.#checkpointWhenDue(source, view, sink, how);
    };
    const sink = new ManifestSink({ shipper: this.#shipper, base, onChunk }, how);
    this.#parts.say(`source ${source.name}: shipping`);
    const problem = await this.#shipInto(sink, view, how);
    if (problem) tellOfFailure(source.name, problem, this.#parts.say);
    if (problem && !(isFailure(problem, "source/incomplete") && sink.writer.entries > 0)) {
      // What was read is saved all the same, so that it is not sent again every night.
      if (sink.writer.entries > 0) await this.#checkpoint(how, () => this.#soFar(source, view, sink, how));
      return failed(source, problem, sink.notes());
    }
    const outcome = (await this.#isUnchanged(sink, base, how)) ? "unchanged" : "stored";
    const error = problem && { error: recorded(problem) };
    const shown = {
      ...captured(source, view, sink),
      outcome,
      recipients: this.#recipients,
      ...error,
    } as const;
    if (outcome === "unchanged" && base.success) return { ...shown, ...this.#referTo(base.success) };
    return { ...shown, ...(await this.#store(source, view, sink, how)) };
  }

  /** Answers what is wrong with the source alone; throws what ends the run. */
  async #shipInto(sink: ManifestSink, view: FrozenSource, how: Cancel): Promise<DropsError | undefined> {
    try {
      await view.ship(sink, how);
      return undefined;
    } catch (error) {
      how.signal.throwIfAborted();
      this.#shipper.throwIfFailed();
      if (!isFailure(error) || isFailure(error, "host/unreachable", "store/unavailable", "store/refused"))
        throw error;
      return error;
    }
  }

  #referTo({ record: { manifest, list }, manifest: { numbers } }: NonNullable<SourceBase["success"]>) {
    for (const number of numbers) this.#need(this.#packs.get(number));
    for (const object of [manifest, list]) this.#need(object);
    return { manifest, list };
  }

  async #isUnchanged(sink: ManifestSink, base: SourceBase, how: Cancel): Promise<boolean> {
    if (!sink.isUnchanged() || !base.isStored() || !this.#mayReferTo(base.success?.record)) return false;
    return (await base.head(how))?.policy_text === this.#parts.policyText;
  }

  /** A manifest or a list that is condemned or damaged must not be referred to once more, though it is there. */
  #mayReferTo(record: SourceRecord | undefined): boolean {
    const { unusable } = this.#known;
    return [record?.manifest, record?.list].every((object) => object && !unusable.has(object.sha256));
  }

  async #store(
    source: SourcePolicy,
    view: FrozenSource,
    sink: ManifestSink,
    how: Cancel,
    unfinished = false,
  ) {
    await this.#shipper.flush();
    const { policy, recoveryRecipients, metadata, store } = this.#parts;
    const { locks } = this.#known;
    const what = {
      writer: sink.writer,
      head: this.#head(source, view),
      packs: this.#packs,
      recipients: [...recoveryRecipients, ...metadata.recipients],
      unfinished: unfinished ? { file: sink.unfinished() } : undefined,
      unusable: new Set([...this.#known.unusable, ...sink.unusable]),
      // A list is the same bytes again where the source's end added no pack, and is then not put again.
      locks: { list: locks?.snapshot, manifest: unfinished ? locks?.passing : locks?.snapshot },
    };
    const { manifest, list, packs } = await storeSource(store, policy.name, what, how);
    for (const object of [manifest, list, ...packs]) this.#need(object);
    return { manifest, list };
  }

  /** So that a run that is killed every night still gets further every night. */
  async #checkpointWhenDue(
    source: SourcePolicy,
    view: FrozenSource,
    sink: ManifestSink,
    how: Cancel,
  ): Promise<void> {
    const { afterBytes, afterMs } = this.#parts.checkpoint;
    const now = this.#parts.now().getTime();
    const due =
      this.#shipper.newBytes - this.#bytesAtCheckpoint >= afterBytes ||
      now - this.#timeOfCheckpoint >= afterMs;
    if (due) await this.#checkpoint(how, () => this.#soFar(source, view, sink, how));
  }

  /** What is stored of a source that is still being shipped. */
  async #soFar(
    source: SourcePolicy,
    view: FrozenSource,
    sink: ManifestSink,
    how: Cancel,
  ): Promise<SourceRecord> {
    const stored = await this.#store(source, view, sink, how, true);
    return { ...captured(source, view, sink), outcome: "partial", recipients: this.#recipients, ...stored };
  }

  /** Commit what there is: the finished sources, and `unfinished` if one is under way. Nothing new: nothing done. */
  async #checkpoint(how: Cancel, unfinished?: () => Promise<SourceRecord>): Promise<void> {
    if (this.#shipper.newBytes === this.#bytesAtCheckpoint) return;
    this.#bytesAtCheckpoint = this.#shipper.newBytes;
    this.#timeOfCheckpoint = this.#parts.now().getTime();
    const done = this.#results.map(({ record }) => record).filter(({ outcome }) => outcome !== "failed");
    const sources = unfinished ? [...done, await unfinished()] : done;
    await this.#commit(this.#record("checkpoint", randomBytes(8).toString("hex"), sources), how);
    this.#checkpoints++;
    this.#parts.say(
      `checkpoint: ${this.#shipper.packCount} packs are stored; a broken run goes on from here`,
    );
  }

  /**
   * Marks first, then the listing: what a prune removed between the two is missing in the listing, and a mark that lands
   * later removes nothing before the record has long been there. That holds for as long as `commit_within`: a machine that
   * was asleep in between commits nothing.
   */
  async #commit(record: SnapshotRecord, how: Cancel): Promise<string> {
    const { store, policy, signer, now } = this.#parts;
    const within = this.#repository.constants.commit_within * 1000;
    let looked: number;
    const isTooLate = () => now().getTime() - looked > within;
    do {
      looked = now().getTime();
      const condemned = await readCondemned(store, policy.name, how);
      checkListed(this.#needed.values(), await listStored(store, policy.name, how), condemned);
    } while (isTooLate());
    const mayCommit = (): void => {
      if (isTooLate()) throw sleptTooLong(record);
    };
    const { locks } = this.#known;
    const lock = record.state === "complete" ? locks?.snapshot : locks?.passing;
    return commitRecord(locking(store, lock), record, signer, { ...how, mayCommit });
  }

  #record(state: SnapshotRecord["state"], id: string, sources: SourceRecord[]): SnapshotRecord {
    const times = sources.flatMap(({ captured_at }) => (captured_at ? [Date.parse(captured_at)] : []));
    return {
      ...this.#begun,
      state,
      id,
      ended: this.#parts.now().toISOString(),
      skew_ms: times.length > 0 ? Math.max(...times) - Math.min(...times) : 0,
      stored_bytes: this.#shipper.storedBytes,
      sources,
    };
  }

  #head(source: SourcePolicy, view: FrozenSource): ManifestHead {
    return {
      drops: "manifest",
      format: FORMAT,
      repository: this.#repository.id,
      policy: this.#parts.policy.name,
      source: source.name,
      kind: source.kind,
      captured_at: view.capturedAt.toISOString(),
      policy_text: this.#parts.policyText,
      trusted_signers: [...this.#parts.trust.signers.snapshot],
      ...(this.#parts.runbook === undefined ? {} : { runbook: this.#parts.runbook }),
      facts: view.facts,
    };
  }

  #baseParts() {
    return {
      store: this.#parts.store,
      policyName: this.#parts.policy.name,
      identities: this.#parts.metadata.identities,
      packs: this.#packs,
      listed: this.#known.listed,
      recipients: this.#recipients,
      minPackUse: this.#repository.constants.min_pack_use,
    };
  }

  #need(object: PackInfo | undefined): void {
    if (object) this.#needed.set(object.sha256, object);
  }
}

function usable({ listed, unusable }: StoreState): ReadonlyMap<string, number> {
  return new Map([...listed].filter(([name]) => !unusable.has(name)));
}

function sleptTooLong({ id }: SnapshotRecord): DropsError {
  return new DropsError(
    "safety/refused",
    `this machine was suspended just before snapshot ${id} was committed: its data may be gone from the store`,
    { hint: "run drops backup again: it sends only missing data" },
  );
}

function captured(source: SourcePolicy, view: FrozenSource, sink: ManifestSink) {
  return {
    name: source.name,
    kind: source.kind,
    captured_at: view.capturedAt.toISOString(),
    files: sink.writer.entries,
    bytes: sink.writer.bytes,
    read_bytes: sink.readBytes,
    notes: sink.notes(),
  };
}

function failed({ name, kind }: SourcePolicy, error: DropsError, notes: string[]): SourceRecord {
  return { name, kind, outcome: "failed", notes, error: recorded(error) };
}

function recorded({ code, message }: DropsError): NonNullable<SourceRecord["error"]> {
  return { code, message: message.slice(0, 4000) };
}
