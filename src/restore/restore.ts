import { join } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import type { PackPool } from "../pack/pool.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { SnapshotRecord, SourceRecord } from "../snapshot/record.ts";
import { checkRocksdbDirectory } from "../source/rocksdb/check-directory.ts";
import { type ChosenSnapshot, chooseSnapshot, type ReadParts, type SnapshotChoice } from "./choose.ts";
import { Destination } from "./destination.ts";
import { extract } from "./extract.ts";
import { lostWith } from "./lost-with.ts";
import { nextSteps } from "./next-steps.ts";
import { openSource, wantedSources } from "./open-source.ts";
import { PackReader } from "./pack-reader.ts";
import { type RestorePlan, RestorePlanner } from "./plan.ts";
import { ScratchFile } from "./scratch-file.ts";

/** Everything a restore is made from: it reads the store and writes on this machine alone. */
export interface RestoreParts extends ReadParts {
  readonly pool: PackPool;
  readonly openHost: () => Promise<Host>;
  /** Bytes of content written so far, of how many, for which source. */
  readonly onWritten?: (done: number, total: number, source: string) => void;
}

export interface RestoredSource {
  readonly name: string;
  readonly kind: SourceRecord["kind"];
  readonly outcome: "restored" | "failed";
  readonly directory: string;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly notes: string[];
  readonly error?: { code: string; message: string; hint?: string };
}

export interface RestoreResult {
  readonly chosen: ChosenSnapshot;
  readonly to: string;
  readonly sources: RestoredSource[];
  readonly files: number;
  readonly bytes: number;
  readonly packs: number;
  /** Bytes of packs that were fetched. */
  readonly storedBytes: number;
  readonly seconds: number;
  readonly next: string[];
  readonly notes: string[];
}

/**
 * Bring a snapshot back into a new or empty directory: every source to a directory of its name, and what the capture
 * knew of it to NAME.facts.json. A source appears there only when every byte of it was authenticated and is on disk. One
 * that fails does not stop the others; it is in the result, and thrown when none succeeded.
 *
 * @param what `only`: names of sources; empty means all that the snapshot holds
 * @throws DropsError as `chooseSnapshot`; safety/refused, space/low, key/missing, key/wrong; the first failure of all
 */
export async function restoreSnapshot(
  parts: RestoreParts,
  what: { readonly choice: SnapshotChoice; readonly only: readonly string[]; readonly to: string },
  how: Cancel,
): Promise<RestoreResult> {
  const began = parts.now().getTime();
  const chosen = await chooseSnapshot(parts, what.choice, how);
  const { record } = chosen.snapshot;
  parts.say(
    `restoring snapshot ${record.id} of ${chosen.policyName}, ${record.state}, ended ${record.ended}`,
  );
  const sources = wantedSources(record, what.only);
  const present = what.only.length > 0 ? sources : sources.filter(({ manifest }) => manifest);
  const notes = [...chosen.notes, ...absent(sources, present)];

  await using host = await parts.openHost();
  await using destination = await Destination.prepare(what.to, host, parts.say);
  const run = new RestoreRun(parts, record, destination, host, present);
  for (const source of present) await run.restore(source, how);
  const { results, failures } = run;
  const [first] = failures;
  if (first && failures.length === results.length) throw first;
  const sum = (of: (result: RestoredSource) => number) =>
    results.reduce((total, each) => total + of(each), 0);
  return {
    chosen,
    to: destination.path,
    sources: results,
    files: sum(({ files }) => files),
    bytes: sum(({ bytes }) => bytes),
    packs: run.packs,
    storedBytes: run.storedBytes,
    seconds: (parts.now().getTime() - began) / 1000,
    next: run.next,
    notes,
  };
}

class RestoreRun {
  readonly #parts: RestoreParts;
  readonly #snapshot: SnapshotRecord;
  readonly #to: Destination;
  readonly #host: Host;
  readonly #total: number;
  #written = 0;
  readonly results: RestoredSource[] = [];
  readonly failures: DropsError[] = [];
  readonly next: string[] = [];
  packs = 0;
  storedBytes = 0;

  constructor(
    parts: RestoreParts,
    snapshot: SnapshotRecord,
    to: Destination,
    host: Host,
    sources: readonly SourceRecord[],
  ) {
    this.#parts = parts;
    this.#snapshot = snapshot;
    this.#to = to;
    this.#host = host;
    this.#total = sources.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  }

  async restore(source: SourceRecord, how: Cancel): Promise<void> {
    const { now, say } = this.#parts;
    const began = now().getTime();
    const directory = join(this.#to.path, source.name);
    const shown = { name: source.name, kind: source.kind, directory };
    const seconds = () => (now().getTime() - began) / 1000;
    try {
      const done = await this.#restore(source, how);
      this.results.push({ ...shown, outcome: "restored", ...done, seconds: seconds() });
    } catch (error) {
      how.signal.throwIfAborted();
      if (!isFailure(error) || isFailure(error, "key/missing", "key/wrong", "space/low")) throw error;
      await this.#to.discard(source.name);
      say(`source ${source.name} could not be restored: ${error.message}`);
      this.failures.push(error);
      const { code, message, hint } = error;
      const shownError = { code, message, ...(hint === undefined ? {} : { hint }) };
      this.results.push({
        ...shown,
        outcome: "failed",
        files: 0,
        bytes: 0,
        seconds: seconds(),
        notes: [],
        error: shownError,
      });
    }
  }

  async #restore(
    source: SourceRecord,
    how: Cancel,
  ): Promise<Pick<RestoredSource, "files" | "bytes" | "notes">> {
    const { store, identities } = this.#parts;
    const opened = await openSource(store, this.#snapshot, source, identities, how);
    const planner = new RestorePlanner(source.name);
    for await (const entry of opened.entries) planner.add(entry);
    const plan = planner.finish(opened.manifest.numbers);
    await this.#to.requireSpace(plan.dataBytes);
    const directory = await this.#to.makeDirectory(source.name);
    const notes = await this.#extract(source, plan, opened.packs, directory, how);
    const checked = await checkContent(opened.head, directory, how);
    const facts = `${source.name}.facts.json`;
    await this.#to.makeFile(facts, `${JSON.stringify(opened.head, null, 2)}\n`);
    await this.#to.publish([facts, source.name], how);
    this.next.push(...nextSteps(opened.head, join(this.#to.path, source.name)));
    return { files: plan.entries, bytes: plan.bytes, notes: [...notes, ...checked] };
  }

  async #extract(
    source: SourceRecord,
    plan: RestorePlan,
    packs: PackReaderPacks,
    directory: string,
    how: Cancel,
  ): Promise<string[]> {
    await using reader = new PackReader({
      ...this.#parts,
      policyName: this.#snapshot.policy,
      packs,
      ledger: plan.ledger,
      order: plan.packs,
      openScratch: () => ScratchFile.create(join(this.#to.partial, `${source.name}.scratch`)),
      lostWith: (pack) => lostWith(plan, pack, source.name),
      signal: how.signal,
    });
    const onBytes = (bytes: number) => {
      this.#written += bytes;
      this.#to.wrote(bytes, how);
      this.#parts.onWritten?.(this.#written, this.#total, source.name);
    };
    const notes = await extract(plan, reader, { host: this.#host, directory }, { ...how, onBytes });
    this.packs += reader.packsRead;
    this.storedBytes += reader.storedBytes;
    return notes;
  }
}

type PackReaderPacks = ConstructorParameters<typeof PackReader>[0]["packs"];

/** The source's own proof, where there is one. Throws data/damaged, data/missing. */
async function checkContent(head: ManifestHead, directory: string, how: Cancel): Promise<string[]> {
  if (head.kind !== "rocksdb") return [];
  const report = await checkRocksdbDirectory(directory, { ...how, tables: false });
  return [
    `database checked: sequence ${report.sequence}, ${report.tables} tables and ${report.logs} logs, all there with their sizes`,
  ];
}

function absent(sources: readonly SourceRecord[], present: readonly SourceRecord[]): string[] {
  return sources
    .filter((source) => !present.includes(source))
    .map(
      ({ name, error }) =>
        `this snapshot holds nothing of ${name}: ${error?.message ?? "its capture failed"}`,
    );
}
