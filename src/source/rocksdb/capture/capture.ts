import { setTimeout as sleep } from "node:timers/promises";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError, isFailure } from "../../../lib/errors.ts";
import { byteCount } from "../../../lib/units.ts";
import type { RocksdbPolicy } from "../../../policy/schema.ts";
import type { CaptureContext, FrozenSource, SourceFacts, SourceSink } from "../../source.ts";
import { Rejection } from "../verify/accept.ts";
import { besideDatabase } from "./beside.ts";
import { FreezeChannel } from "./channel.ts";
import { type Proof, proveFrozen } from "./evidence.ts";
import type { FrozenReport } from "./report.ts";
import { shipStaged } from "./ship.ts";
import { whileSpaceLasts } from "./space-watch.ts";
import { cutStagedCopies, type StagedEntry, stagedEntries } from "./staged-entries.ts";

/** A running database hits a bad moment now and then; a stopped one has none, so a second failure is a real one. */
const ATTEMPTS: Readonly<Record<RocksdbPolicy["mode"], number>> = { hot: 10, stopped: 2 };

const LOOK_AT_SPACE_MS = 30_000;

interface Attempt {
  readonly reason: string;
  readonly text: string;
}

interface Frozen {
  readonly at: Date;
  readonly report: FrozenReport;
  readonly proof: Proof;
  readonly linkingMs: number;
  readonly rejected: readonly Attempt[];
}

/**
 * Freeze a RocksDB directory as one state: hard links beside the database, made by a script on its host that lives as
 * long as the FrozenSource is open, proven here before anything is shipped. Tries again when the database changed at the
 * wrong moment. Throws source/failed when no attempt could be proven, space/low when the host is nearly full.
 */
export async function freezeRocksdb(source: RocksdbPolicy, how: CaptureContext): Promise<FrozenSource> {
  const channel = await FreezeChannel.open(source, how);
  try {
    const frozen = await freezeOnce(source, channel, how);
    const entries = stagedEntries(frozen.report, frozen.proof);
    await cutStagedCopies(entries, channel.hello.stage, how);
    return new FrozenRocksdb(source, channel, frozen, entries, how);
  } catch (error) {
    await channel[Symbol.asyncDispose]();
    throw error;
  }
}

async function freezeOnce(
  source: RocksdbPolicy,
  channel: FreezeChannel,
  how: CaptureContext,
): Promise<Frozen> {
  const rejected: Attempt[] = [];
  for (;;) {
    const at = how.now();
    const started = performance.now();
    const outcome = await tryOnce(source, channel, how);
    if (outcome.kind === "frozen") {
      return { ...outcome, at, linkingMs: Math.round(outcome.linkedAt - started), rejected };
    }
    rejected.push(outcome);
    if (rejected.length >= ATTEMPTS[source.mode]) throw gaveUp(source, rejected);
    how.say(`${source.name}: attempt ${rejected.length} is not one state (${outcome.text}); trying again`);
    await sleep(50 + how.random() * 150 * rejected.length, undefined, how);
  }
}

type Outcome =
  | {
      readonly kind: "frozen";
      readonly report: FrozenReport;
      readonly proof: Proof;
      readonly linkedAt: number;
    }
  | ({ readonly kind: "rejected" } & Attempt);

async function tryOnce(source: RocksdbPolicy, channel: FreezeChannel, how: CaptureContext): Promise<Outcome> {
  const report = await channel.attempt(how);
  if ("again" in report) return { kind: "rejected", reason: report.again, text: report.why };
  const linkedAt = performance.now();
  try {
    const proof = await proveFrozen(source, channel.hello, report, how);
    return { kind: "frozen", report, proof, linkedAt };
  } catch (error) {
    if (error instanceof Rejection) return { kind: "rejected", reason: error.reason, text: error.message };
    throw error;
  }
}

function gaveUp(source: RocksdbPolicy, rejected: readonly Attempt[]): DropsError {
  const last = rejected.at(-1)?.text ?? "";
  const text = `freezing ${source.path}: none of ${rejected.length} attempts caught one state of the database, last: ${last}`;
  const hint =
    source.mode === "hot"
      ? "try again when the service is less busy, or set mode: stopped and the unit in the policy"
      : "check the database with its own tools: its files do not fit together while it is stopped";
  return new DropsError("source/failed", text, { hint });
}

class FrozenRocksdb implements FrozenSource {
  readonly capturedAt: Date;
  readonly facts: SourceFacts;
  readonly #source: RocksdbPolicy;
  readonly #channel: FreezeChannel;
  readonly #entries: readonly StagedEntry[];
  readonly #how: CaptureContext;
  readonly #space: { readonly least: number; readonly everyMs: number };

  constructor(
    source: RocksdbPolicy,
    channel: FreezeChannel,
    frozen: Frozen,
    entries: readonly StagedEntry[],
    how: CaptureContext,
  ) {
    this.#source = source;
    this.#channel = channel;
    this.#entries = entries;
    this.#how = how;
    this.#space = { least: byteCount(source.min_free), everyMs: LOOK_AT_SPACE_MS };
    this.capturedAt = frozen.at;
    this.facts = factsOf(source, channel.hello.database, frozen, entries);
  }

  async ship(into: SourceSink, how: Cancel): Promise<void> {
    const { host, random, rereadShare } = this.#how;
    await this.#noteBeside(into, how);
    const { stage } = this.#channel.hello;
    const space = { free: (cancel: Cancel) => this.#channel.freeBytes(cancel), ...this.#space };
    await whileSpaceLasts(space, how, (cancel) =>
      shipStaged(this.#entries, into, { ...cancel, host, stage, random, rereadShare }),
    );
  }

  /** The database itself does not depend on it. */
  async #noteBeside(into: SourceSink, how: Cancel): Promise<void> {
    const { host, sources } = this.#how;
    try {
      const beside = await besideDatabase(host, this.#source, sources, how);
      if (beside !== undefined) into.note(`in the directory of the database and in no source: ${beside}`);
    } catch (error) {
      if (!isFailure(error, "host/command-failed")) throw error;
      into.note(`what else lies in the directory of the database could not be looked at: ${error.message}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel[Symbol.asyncDispose]();
  }
}

function factsOf(
  source: RocksdbPolicy,
  database: string,
  frozen: Frozen,
  entries: readonly StagedEntry[],
): SourceFacts {
  const { accepted, options, identity } = frozen.proof;
  const { directory } = frozen.report;
  const sizeOf = (suffix: string) =>
    entries.filter((entry) => entry.name.endsWith(suffix)).reduce((sum, entry) => sum + entry.size, 0);
  return {
    database,
    directory: { ...directory, mode: directory.mode.toString(8).padStart(4, "0") },
    mode: source.mode,
    db_id: accepted.live.dbId ?? identity,
    rocksdb_version: options?.rocksdbVersion,
    options: options?.excerpt ?? {},
    sequence: String(accepted.sequence),
    min_log: accepted.live.minLog,
    manifest: frozen.report.manifest,
    column_families: accepted.live.families,
    tables: accepted.live.tables.length,
    table_bytes: sizeOf(".sst"),
    logs: accepted.wals.length,
    log_bytes: sizeOf(".log"),
    gaps_inside_logs: accepted.wals.reduce((sum, wal) => sum + wal.innerGaps, 0),
    rejected_attempts: frozen.rejected,
    linking_ms: frozen.linkingMs,
  };
}
