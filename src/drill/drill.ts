import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { milliseconds } from "../lib/units.ts";
import { parsePolicy } from "../policy/load.ts";
import { type ChosenSnapshot, chooseSnapshot, type SnapshotChoice } from "../restore/choose.ts";
import { wantedSources } from "../restore/open-source.ts";
import { type RestoreResult, restoreSnapshot } from "../restore/restore.ts";
import type { RestoreParts } from "../restore/restore-run.ts";
import { ManifestHead } from "../snapshot/manifest-head.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import type { DirectoryReport } from "../source/rocksdb/verify/check-directory.ts";
import { checkAppservice } from "./check-appservice.ts";
import { checkCommandOutput, checkRegistrations } from "./check-files.ts";
import { checkGuidedPlan } from "./check-guided.ts";
import { checkPostgres, type LoadedDatabase } from "./check-postgres.ts";
import { checkRocksdb, openWithLibrary } from "./check-rocksdb.ts";
import { checkSqlite, databasesIn } from "./check-sqlite.ts";
import { CheckBook, type CheckFinding, couldNotRun, failed, findingOf } from "./checks.ts";
import type { DrillContext, DrilledSource, DrillPolicy } from "./drill-context.ts";
import { checkAge, checkTime } from "./objectives.ts";
import { runPolicyChecks } from "./policy-checks.ts";
import type { Objectives } from "./report.ts";
import { Sandbox, sandboxUser } from "./sandbox.ts";
import { Scratch } from "./scratch.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

/** Space beside the restored sources: a loaded database with its indexes, as a multiple of the dump. */
const LOADED_FACTOR = 2;
/** A scratch cluster, and room to breathe. Bytes. */
const SPARE = 512 * 1024 * 1024;
const LARGEST_FACTS = 2 ** 28;

/** Everything a drill is made from. It reads the store, writes on this machine, and touches no service. */
export interface DrillParts extends Omit<RestoreParts, "openHost"> {
  readonly host: Host;
  /** The policy at hand; undefined: the one in the snapshot counts. */
  readonly policy: { readonly policy: DrillPolicy["policy"]; readonly sha256: string } | undefined;
  /** PATH of the sandbox. */
  readonly path: string | undefined;
  /** Where PostgreSQL's programs are looked for, in turn. */
  readonly programDirectories: readonly string[];
  /** The node that runs what needs one. */
  readonly node: string;
  readonly libraryFrom?: string;
}

export interface DrillChoice {
  readonly choice: SnapshotChoice;
  /** Only these sources; empty means all that the snapshot names. */
  readonly only: readonly string[];
  /** Where the scratch directory is made; default: the system's place for temporary files. */
  readonly work: string | undefined;
  /** Leave the scratch directory. */
  readonly keep: boolean;
  /** Who the sandbox is when root runs the drill. */
  readonly user: string;
  readonly requireLibrary: boolean;
  /** Run commands of checks although the policy came out of the snapshot. */
  readonly runCommands: boolean;
  /** How long one check of the policy may take, in milliseconds. */
  readonly checkLimitMs?: number;
}

export interface DrillResult {
  readonly chosen: ChosenSnapshot;
  readonly policy: DrillPolicy | undefined;
  readonly began: Date;
  readonly ended: Date;
  readonly verdict: Verdict;
  /** Whether every source of the snapshot was drilled. */
  readonly whole: boolean;
  readonly objectives: Objectives;
  readonly restored: Pick<RestoreResult, "files" | "bytes" | "packs" | "storedBytes">;
  readonly sandbox: { readonly user: string; readonly network: string | undefined };
  /** The machine that the guided restore was drilled on; undefined: a scratch directory here. */
  readonly on: string | undefined;
  /** Where it worked; still there when it was told to keep it. */
  readonly work: string;
  readonly book: CheckBook;
}

/**
 * Restore a snapshot into a scratch place and prove that it works: every source by its kind's checks, then the policy's own
 * checks, then the objectives. What fails, and what could not be looked at, is in the result.
 *
 * @throws DropsError when there is nothing to judge: no repository, no such snapshot, no trusted signature; key/missing,
 * key/wrong; space/low; usage/invalid
 */
export async function runDrill(parts: DrillParts, options: DrillChoice, how: Cancel): Promise<DrillResult> {
  const began = parts.now();
  const user = await sandboxUser(parts.host, options.user, how);
  const chosen = await chooseSnapshot(parts, options.choice, how);
  const sources = wantedSources(chosen.snapshot.record, options.only);
  await using scratch = await Scratch.make(parts.host, user, { ...options, say: parts.say });
  await scratch.requireSpace(neededSpace(sources));
  const home = await scratch.makeFor("home");
  const sandbox = await Sandbox.open(parts.host, { ...how, user, path: parts.path, home });
  const book = new CheckBook(parts);
  const context = { ...parts, ...options, sandbox, scratch, book };
  const run = new DrillRun(parts, context, options, chosen);
  await run.signature(how);
  for (const source of sources) await run.restore(source, how);
  try {
    await run.judge(how);
  } finally {
    await run.close();
  }
  const left = chosen.snapshot.record.sources.filter((source) => !sources.includes(source));
  for (const { name } of left) book.skip(`source ${name}`, "--only left it out");
  book.note(...chosen.notes, ...(sandbox.network === undefined ? [] : [sandbox.network]));
  return {
    chosen,
    policy: run.policy,
    began,
    ended: parts.now(),
    verdict: verdictOf(book.checks),
    whole: left.length === 0,
    objectives: run.objectives,
    restored: run.restored,
    sandbox: { user: user.name, network: sandbox.network },
    on: undefined,
    work: scratch.path,
    book,
  };
}

class DrillRun {
  readonly #parts: DrillParts;
  readonly #context: DrillContext;
  readonly #options: DrillChoice;
  readonly #chosen: ChosenSnapshot;
  readonly #sources: DrilledSource[] = [];
  readonly #databases = new Map<string, LoadedDatabase>();
  readonly #reports = new Map<string, DirectoryReport>();
  #restoreSeconds = 0;
  #loadSeconds = 0;
  policy: DrillPolicy | undefined;
  objectives: Objectives = {};
  restored = { files: 0, bytes: 0, packs: 0, storedBytes: 0 };

  constructor(parts: DrillParts, context: DrillContext, options: DrillChoice, chosen: ChosenSnapshot) {
    this.#parts = parts;
    this.#context = context;
    this.#options = options;
    this.#chosen = chosen;
    if (parts.policy) this.policy = { ...parts.policy, fromSnapshot: false };
  }

  async signature(how: Cancel): Promise<void> {
    const { signature, snapshot } = this.#chosen;
    const work = async (): Promise<CheckFinding | string> => {
      if (signature !== "trusted")
        return failed(`nobody who is trusted signed it (${signature})`, "--trusted-signer KEY");
      return `snapshot ${snapshot.record.id}, ${snapshot.record.state}`;
    };
    await this.#context.book.run(
      { id: "signature", name: "the snapshot is signed by a trusted key" },
      work,
      how,
    );
  }

  /** One source, and the checks that need it as it was restored. */
  async restore(source: SourceRecord, how: Cancel): Promise<void> {
    const { book, scratch } = this.#context;
    const parent = join(scratch.path, `${source.name}.restored`);
    const title = {
      id: `${source.name}/restore`,
      source: source.name,
      name: "restored, every byte authenticated",
    };
    const check = await book.run(title, () => this.#restoreInto(source, parent, how), how);
    this.#restoreSeconds += check.seconds;
    if (check.outcome !== "passed")
      return book.skip(`${source.name}: its own checks`, "it could not be restored");
    const drilled = await drilledSource(source, parent);
    this.#sources.push(drilled);
    this.policy ??= this.#policyIn(drilled.head);
    await this.#checkKind(drilled, how);
  }

  /** Everything that comes after all sources were restored. */
  async judge(how: Cancel): Promise<void> {
    const { book } = this.#context;
    if (!this.policy) {
      const work = async () =>
        couldNotRun("no policy that this drops understands is at hand", "--checks-from POLICY.yaml");
      await book.run({ id: "policy", name: "see the checks in the policy" }, work, how);
    }
    await checkGuidedPlan(
      { ...this.#parts, book, policy: this.policy },
      this.#chosen.snapshot.record,
      this.#options.only,
      how,
    );
    await checkAppservice(this.#context, this.policy, this.#sources, how);
    for (const source of this.#sources) await this.#afterwards(source, how);
    await this.#coverage(how);
    const record = this.#chosen.snapshot.record;
    const times = { restoreSeconds: this.#restoreSeconds, loadSeconds: this.#loadSeconds };
    const rpoMs = this.policy && milliseconds(this.policy.policy.rpo);
    const rtoMs = this.policy && milliseconds(this.policy.policy.rto);
    const age = await checkAge(
      book,
      { record, later: this.#chosen.later, at: this.#parts.now(), rpoMs },
      how,
    );
    const time = await checkTime(book, { ...times, rtoMs }, how);
    this.objectives = { ...age, ...time };
  }

  async close(): Promise<void> {
    for (const database of this.#databases.values()) await database[Symbol.asyncDispose]();
  }

  async #restoreInto(source: SourceRecord, to: string, how: Cancel): Promise<CheckFinding | string> {
    if (!source.manifest) {
      return failed(`this snapshot holds nothing of it: ${source.error?.message ?? "its capture failed"}`);
    }
    const openHost = async () => borrowed(this.#parts.host);
    try {
      const what = { choice: { id: this.#chosen.snapshot.record.id }, only: [source.name], to };
      const done = await restoreSnapshot({ ...this.#parts, openHost, say: () => {} }, what, how);
      this.restored.files += done.files;
      this.restored.bytes += done.bytes;
      this.restored.packs += done.packs;
      this.restored.storedBytes += done.storedBytes;
      for (const { notes } of done.sources)
        this.#context.book.note(...notes.map((note) => `${source.name}: ${note}`));
      return `${done.files} files, ${done.bytes} bytes from ${done.packs} packs`;
    } catch (error) {
      if (isFailure(error, "key/missing", "key/wrong", "space/low") || !isFailure(error)) throw error;
      return findingOf(error);
    }
  }

  async #checkKind(source: DrilledSource, how: Cancel): Promise<void> {
    const { name, kind } = source;
    if (kind === "files") await checkRegistrations(this.#context, source, how);
    if (kind === "command") await checkCommandOutput(this.#context, source, how);
    if (kind === "rocksdb") {
      const report = await checkRocksdb(this.#context, source, how);
      if (report) this.#reports.set(name, report);
    }
    if (kind === "postgres") {
      const database = await checkPostgres(this.#context, source, how);
      if (!database) return;
      this.#databases.set(name, database);
      this.#loadSeconds += database.loadSeconds;
    }
  }

  /** What changes the restored tree, or runs what the policy says. */
  async #afterwards(source: DrilledSource, how: Cancel): Promise<void> {
    const { name, kind, parent, directory } = source;
    const { book } = this.#context;
    const own = this.policy?.policy.restore.checks.filter((check) => check.source === name) ?? [];
    const isLost = kind === "postgres" && !this.#databases.has(name);
    const checks = isLost ? [] : own;
    if (isLost)
      for (const check of own) book.skip(`${name}: ${check.name}`, "its database could not be rebuilt");
    const hasDatabases = databasesIn(source).length > 0;
    const isGiven = kind === "rocksdb" || hasDatabases || checks.some(({ command }) => command !== undefined);
    if (isGiven) await this.#context.scratch.handOver(parent, directory, how);
    if (hasDatabases) await checkSqlite(this.#context, source, how); // before a check of the policy changes them
    const { checkLimitMs } = this.#options;
    await runPolicyChecks(
      this.#context,
      checks,
      { source, database: this.#databases.get(name) },
      {
        ...how,
        allowCommands: this.#options.runCommands || this.policy?.fromSnapshot === false,
        ...(checkLimitMs === undefined ? {} : { limitMs: checkLimitMs }),
      },
    );
    if (kind === "rocksdb") await openWithLibrary(this.#context, source, this.#reports.get(name), how);
  }

  /** The policy's checks of sources that are not here, and its sources that no snapshot holds, are said. */
  async #coverage(how: Cancel): Promise<void> {
    if (!this.policy) return;
    const { book } = this.#context;
    const here = new Set(this.#sources.map(({ name }) => name));
    const { sources, restore } = this.policy.policy;
    for (const { name, source } of restore.checks) {
      if (!here.has(source)) book.skip(`${source}: ${name}`, `${source} was not restored`);
    }
    if (this.policy.fromSnapshot || this.#options.only.length > 0) return;
    const held = new Set(this.#chosen.snapshot.record.sources.map(({ name }) => name));
    const missing = sources.map(({ name }) => name).filter((name) => !held.has(name));
    const work = async () =>
      missing.length === 0 ? `${sources.length}` : failed(`not in it: ${missing.join(", ")}`, "drops backup");
    await book.run({ id: "coverage", name: "the snapshot has every source of the policy" }, work, how);
  }

  /** An old policy may not be one for this program. */
  #policyIn(head: ManifestHead): DrillPolicy | undefined {
    try {
      const { policy, sha256 } = parsePolicy(head.policy_text, "the policy in the snapshot");
      return { policy, sha256, fromSnapshot: true };
    } catch (error) {
      if (isFailure(error, "policy/invalid")) return undefined;
      throw error;
    }
  }
}

async function drilledSource({ name, kind }: SourceRecord, parent: string): Promise<DrilledSource> {
  const bytes = await readFile(join(parent, `${name}.facts.json`));
  if (bytes.length > LARGEST_FACTS) throw new Error(`the facts of ${name} are too large`);
  const head = ManifestHead.parse(JSON.parse(bytes.toString()));
  return { name, kind, parent, directory: join(parent, name), head };
}

/** The same host for someone who closes what was opened for him. */
function borrowed(host: Host): Host {
  return {
    label: host.label,
    user: host.user,
    run: (argv, how) => host.run(argv, how),
    start: (argv, how) => host.start(argv, how),
    async [Symbol.asyncDispose]() {},
  };
}

function neededSpace(sources: readonly SourceRecord[]): number {
  const factor = ({ kind }: SourceRecord) => (kind === "postgres" ? 1 + LOADED_FACTOR : 1);
  return sources.reduce((sum, source) => sum + (source.bytes ?? 0) * factor(source), SPARE);
}
