import { join } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import type { PackPool } from "../pack/pool.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { SnapshotRecord, SourceRecord } from "../snapshot/record.ts";
import { checkRocksdbDirectory } from "../source/rocksdb/verify/check-directory.ts";
import { olderState, type Salvage, salvageSource } from "./best-effort.ts";
import { openCatalog, type ReadParts } from "./choose.ts";
import { damageInWords } from "./damage.ts";
import type { Destination } from "./destination.ts";
import { nextSteps } from "./next-steps.ts";
import { type OpenSource, openSource } from "./open-source.ts";
import { type RestorePlan, RestorePlanner } from "./plan.ts";
import type { RestoredSource, SourceDamage } from "./report.ts";
import { writePlan } from "./source-writer.ts";

/**
 * For a source whose objects are damaged in the repository. `refuse`: it fails. `describe`: it fails, and the result says
 * what can come back and what cannot. `best-effort`: what can be authenticated comes back, what is left of a file that is
 * not whole under another name, and NAME.damaged.txt says what is missing.
 */
export type OnDamage = "refuse" | "describe" | "best-effort";

/** Everything a restore is made from: it reads the store and writes on this machine alone. */
export interface RestoreParts extends ReadParts {
  readonly pool: PackPool;
  readonly openHost: () => Promise<Host>;
  /** Bytes of content written so far, of how many, for which source. */
  readonly onWritten?: (done: number, total: number, source: string) => void;
}

interface Brought {
  readonly outcome: "restored" | "damaged";
  readonly files: number;
  readonly bytes: number;
  readonly notes: string[];
  readonly damage?: SourceDamage;
}

/** One restore into a directory, source after source. */
export class RestoreRun {
  readonly #parts: RestoreParts;
  readonly #snapshot: SnapshotRecord;
  readonly #to: Destination;
  readonly #host: Host;
  readonly #onDamage: OnDamage;
  readonly #total: number;
  #written = 0;
  #believed: readonly ListedSnapshot[] | undefined;
  readonly results: RestoredSource[] = [];
  readonly failures: DropsError[] = [];
  readonly next: string[] = [];
  packs = 0;
  storedBytes = 0;

  constructor(
    parts: RestoreParts,
    snapshot: SnapshotRecord,
    into: { readonly to: Destination; readonly host: Host; readonly onDamage: OnDamage },
    sources: readonly SourceRecord[],
  ) {
    this.#parts = parts;
    this.#snapshot = snapshot;
    this.#to = into.to;
    this.#host = into.host;
    this.#onDamage = into.onDamage;
    this.#total = sources.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  }

  /** What fails is in `results` and `failures`. Throws what would fail the others as well. */
  async restore(source: SourceRecord, how: Cancel): Promise<void> {
    const { now, say } = this.#parts;
    const began = now().getTime();
    const shown = { name: source.name, kind: source.kind, directory: join(this.#to.path, source.name) };
    const seconds = () => (now().getTime() - began) / 1000;
    const writtenBefore = this.#written;
    try {
      const done = await this.#whole(source, how);
      this.results.push({ ...shown, ...done, seconds: seconds() });
    } catch (error) {
      how.signal.throwIfAborted();
      if (!isFailure(error) || isFailure(error, "key/missing", "key/wrong", "space/low")) throw error;
      await this.#to.discard(source.name);
      this.#written = writtenBefore;
      say(`source ${source.name} could not be restored whole: ${error.message}`);
      this.results.push({ ...shown, ...(await this.#afterFailure(source, error, how)), seconds: seconds() });
    }
  }

  async #whole(source: SourceRecord, how: Cancel): Promise<Brought> {
    const opened = await openSource(this.#parts, this.#snapshot, source, how);
    const planner = new RestorePlanner(source.name);
    for await (const entry of opened.entries) planner.add(entry);
    const plan = await planner.finish(opened.manifest.numbers);
    const { directory, notes } = await this.#write(source, opened, plan, how);
    const checked = await checkContent(opened.head, directory, how);
    await this.#publish(source, opened.head, [], how);
    this.next.push(...nextSteps(opened.head, join(this.#to.path, source.name)));
    const { entries: files, bytes } = plan;
    return { outcome: "restored", files, bytes, notes: [...notes, ...checked] };
  }

  /** What can come back is looked at whenever something is damaged, and brought back when that is wanted. */
  async #afterFailure(
    source: SourceRecord,
    error: DropsError,
    how: Cancel,
  ): Promise<Omit<RestoredSource, "name" | "kind" | "directory" | "seconds">> {
    const isDamage = isFailure(error, "data/missing", "data/damaged");
    if (!isDamage || this.#onDamage === "refuse") return this.#failed(error);
    const salvage = await this.#salvage(source, how);
    if ("nothing" in salvage) return this.#failed(salvage.nothing, salvage.damage);
    const isAnythingLeft = salvage.plan.entries > 0;
    if (this.#onDamage === "best-effort" && isAnythingLeft) return this.#rest(source, salvage, error, how);
    const below = this.#parts.store.label.startsWith("s3://")
      ? "; --hidden reads what a bucket with versions hides"
      : "";
    const hint = `--best-effort restores what is whole, and lists what is missing${below}`;
    return this.#failed(new DropsError(error.code, error.message, { hint, cause: error }), salvage.damage);
  }

  #failed(error: DropsError, damage?: SourceDamage) {
    this.failures.push(error);
    const { code, message, hint } = error;
    const shown = { code, message, ...(hint === undefined ? {} : { hint }) };
    const nothing = { files: 0, bytes: 0, notes: [], error: shown };
    return { outcome: "failed" as const, ...nothing, ...(damage === undefined ? {} : { damage }) };
  }

  async #salvage(
    source: SourceRecord,
    how: Cancel,
  ): Promise<Salvage | { readonly nothing: DropsError; readonly damage: SourceDamage }> {
    const policyName = this.#snapshot.policy;
    const withoutDescription = this.#onDamage === "best-effort";
    this.#believed ??= (await openCatalog({ ...this.#parts, policyName, withoutDescription }, how)).snapshots;
    const parts = { ...this.#parts, policyName, snapshots: this.#believed };
    try {
      return await salvageSource(parts, this.#snapshot, source, how);
    } catch (error) {
      if (!isFailure(error, "data/missing", "data/damaged")) throw error;
      const older = olderState(this.#believed, this.#snapshot, source);
      const hint = older && `drops restore --snapshot ${older.snapshot} --only ${source.name}`;
      const nothing = new DropsError(error.code, error.message, { hint: hint ?? error.hint, cause: error });
      return { nothing, damage: nothingLeft(error.message, older) };
    }
  }

  /** All that is whole, and what is left of the rest under names of its own. */
  async #rest(
    source: SourceRecord,
    { opened, plan, damage }: Salvage,
    why: DropsError,
    how: Cancel,
  ): Promise<Brought> {
    const { directory, notes } = await this.#write(source, opened, plan, how);
    const { entries: files, bytes } = plan;
    const brought = { files, bytes, damage };
    const problem = damage.files.length > 0 ? why : await contentProblem(opened.head, directory, how);
    if (problem === undefined) {
      await this.#publish(source, opened.head, [], how);
      this.next.push(...nextSteps(opened.head, join(this.#to.path, source.name)));
      const about = "whole, with what other snapshots hold of it: in this one the repository is damaged";
      return { ...brought, outcome: "restored", notes: [...notes, about] };
    }
    const list = `${source.name}.damaged.txt`;
    const words = damageInWords(
      source.name,
      { id: this.#snapshot.id, zone: this.#parts.zone },
      damage,
      problem.message,
    );
    await this.#to.makeFile(list, words);
    await this.#publish(source, opened.head, [list], how);
    this.next.push(`${source.name}: read ${join(this.#to.path, list)} before anything uses what came back`);
    const about =
      damage.files.length > 0
        ? `not whole: ${list} lists what is missing`
        : `every byte came back, but it is not what it should be: ${problem.message}`;
    return { ...brought, outcome: "damaged", notes: [...notes, about] };
  }

  async #write(
    source: SourceRecord,
    { packs }: OpenSource,
    plan: RestorePlan,
    how: Cancel,
  ): Promise<{ directory: string; notes: readonly string[] }> {
    await this.#to.requireSpace(plan.dataBytes);
    const directory = await this.#to.makeDirectory(source.name);
    const onBytes = (bytes: number) => {
      this.#written += bytes;
      this.#to.wrote(bytes, how);
      this.#parts.onWritten?.(this.#written, this.#total, source.name);
    };
    const parts = { ...this.#parts, policyName: this.#snapshot.policy, scratch: this.#to.partial };
    const what = { source: source.name, plan, packs };
    const written = await writePlan(parts, what, { host: this.#host, directory }, { ...how, onBytes });
    this.packs += written.packs;
    this.storedBytes += written.storedBytes;
    return { directory, notes: written.notes };
  }

  async #publish(
    source: SourceRecord,
    head: ManifestHead,
    more: readonly string[],
    how: Cancel,
  ): Promise<void> {
    const facts = `${source.name}.facts.json`;
    await this.#to.makeFile(facts, `${JSON.stringify(head, null, 2)}\n`);
    await this.#to.publish([...more, facts, source.name], how);
  }
}

/** The source's own proof, where there is one. Throws data/damaged, data/missing. */
async function checkContent(head: ManifestHead, directory: string, how: Cancel): Promise<string[]> {
  if (head.kind !== "rocksdb") return [];
  const report = await checkRocksdbDirectory(directory, { ...how, tables: false });
  return [
    `database checked: sequence ${report.sequence}, ${report.tables} tables and ${report.logs} logs, all there with their sizes`,
  ];
}

async function contentProblem(
  head: ManifestHead,
  directory: string,
  how: Cancel,
): Promise<DropsError | undefined> {
  try {
    await checkContent(head, directory, how);
    return undefined;
  } catch (error) {
    if (isFailure(error, "data/damaged", "data/missing")) return error;
    throw error;
  }
}

function nothingLeft(index: string, older: SourceDamage["older"]): SourceDamage {
  const nothing = { packs: [], chunksElsewhere: 0, chunksLost: 0, wholeFiles: 0, wholeBytes: 0, files: [] };
  return { index, ...nothing, ...(older === undefined ? {} : { older }) };
}
