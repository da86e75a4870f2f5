import { DropsError, isFailure } from "../../../lib/errors.ts";
import { fileNumber, logNames, tableName } from "../formats/file-names.ts";
import { LogReader } from "../formats/log-file.ts";
import { type LiveSet, LiveState } from "./live-set.ts";
import { WalReader, type WalSummary } from "./wal.ts";

/** Why a frozen set of files is not one state of the database. Another attempt may find a better moment. */
export class Rejection extends Error {
  override readonly name = "Rejection";
  /** One word to count by: guard, chain, table-missing and so on. */
  readonly reason: string;

  constructor(reason: string, text: string) {
    super(text);
    this.reason = reason;
  }
}

export interface CaptureEvidence {
  readonly manifest: string;
  /** Numbers of the logs at the first listing, before the MANIFEST was read. */
  readonly firstLogs: readonly number[];
  /** Every file held, by name, with its size. */
  readonly sizes: ReadonlyMap<string, number>;
  /** The database renames obsolete logs into new ones and overwrites them: nothing may have become obsolete. */
  readonly recyclesLogs: boolean;
  /** False for two-phase commit, whose sequence numbers do not follow one another. */
  readonly chained: boolean;
}

/** A proven state: the database after every write up to `sequence`, and none after it. */
export interface Accepted {
  readonly live: LiveSet;
  /** Files of the state, by name, with the size to keep: logs and the MANIFEST may be cut. */
  readonly keep: ReadonlyMap<string, number>;
  readonly sequence: bigint;
  readonly wals: readonly WalSummary[];
}

/**
 * Judges a frozen set of files: feed the MANIFEST, what it had grown by at the end, and every log in ascending order.
 * Pure; memory is the list of live files. Every method may throw a Rejection.
 *
 * Why this proves a state: tables in the MANIFEST existed when it was read and never change. Logs that were there at the
 * first listing are linked; a later one can only be missing if it became obsolete before the second listing, which
 * the lowest log number at the end excludes. A log that holds a record proves that every older one was complete.
 */
export class FreezeJudge {
  readonly #given: CaptureEvidence;
  readonly #state: LiveState;
  readonly #manifest: LogReader;
  readonly #wals: WalSummary[] = [];
  #live: LiveSet | undefined;
  #manifestEnd = 0;

  constructor(given: CaptureEvidence) {
    this.#given = given;
    this.#state = new LiveState(given.manifest);
    this.#manifest = new LogReader(given.manifest, {
      record: (bytes, end) => this.#state.apply(bytes, end),
    });
  }

  /** Bytes of the MANIFEST as it was between the two listings. */
  manifest(chunk: Uint8Array): void {
    rejecting(() => this.#manifest.push(chunk));
  }

  /** Where a copy of the MANIFEST is cut, and which logs are wanted, in this order. */
  manifestEnd(): { readonly wanted: readonly string[] } {
    this.#manifestEnd = this.#state.appliedEnd;
    if (this.#manifestEnd === 0)
      throw new Rejection("manifest", `${this.#given.manifest} holds no whole record`);
    const live = this.#state.view();
    this.#live = live;
    checkTables(live, this.#given.sizes);
    const wanted = logNames(this.#given.sizes.keys()).filter((name) => fileNumber(name) >= live.minLog);
    return { wanted };
  }

  /** Bytes that were appended to the MANIFEST until the logs had been copied. */
  tail(chunk: Uint8Array): void {
    rejecting(() => this.#manifest.push(chunk));
  }

  tailEnd(): void {
    const { firstLogs, recyclesLogs, sizes } = this.#given;
    const before = this.#known().minLog;
    const after = this.#state.minLog;
    if (recyclesLogs && after !== before) {
      throw new Rejection(
        "guard",
        `logs below ${after} became obsolete meanwhile, and this database recycles them`,
      );
    }
    if (firstLogs.length === 0 && logNames(sizes.keys()).length === 0) return; // never opened since its logs were removed
    const highest = firstLogs.reduce((most, number) => Math.max(most, number), 0);
    if (after > highest + 1) {
      throw new Rejection(
        "guard",
        `a log above ${highest} may have come and gone meanwhile (lowest needed: ${after})`,
      );
    }
  }

  /** A reader for the next wanted log; hand its summary to `walEnd`. */
  wal(name: string): { push(chunk: Uint8Array): void; end(): void } {
    const reader = new WalReader(fileNumber(name), name);
    return {
      push: (chunk) => rejecting(() => reader.push(chunk)),
      end: () => void this.#wals.push(rejecting(() => reader.end())),
    };
  }

  verdict(): Accepted {
    const live = this.#known();
    if (this.#given.chained) checkChain(this.#wals);
    checkTracked(live, this.#wals);
    const keep = new Map<string, number>();
    for (const { name, size } of liveFiles(live)) if (this.#given.sizes.has(name)) keep.set(name, size);
    keep.set(this.#given.manifest, this.#manifestEnd);
    for (const wal of this.#wals) keep.set(logName(wal.number, this.#given.sizes), wal.log.validEnd);
    const next = this.#wals.reduce(
      (last, wal) => (wal.next !== undefined && wal.next > last ? wal.next : last),
      0n,
    );
    const sequence = next - 1n > live.lastSequence ? next - 1n : live.lastSequence;
    return { live, keep, sequence, wals: this.#wals };
  }

  #known(): LiveSet {
    if (this.#live === undefined) throw new TypeError("manifestEnd was not called");
    return this.#live;
  }
}

/** Tables and blob files with the size they must have. */
function* liveFiles(live: LiveSet): Generator<{ name: string; size: number; required: boolean }> {
  for (const { number, size } of live.tables) yield { name: tableName(number, "sst"), size, required: true };
  for (const { number, size, required } of live.blobs)
    yield { name: tableName(number, "blob"), size, required };
}

function logName(number: number, sizes: ReadonlyMap<string, number>): string {
  const name = tableName(number, "log");
  if (!sizes.has(name)) throw new Rejection("wal-missing", `${name} is not among the logs held`);
  return name;
}

function checkTables(live: LiveSet, sizes: ReadonlyMap<string, number>): void {
  const elsewhere = live.tables.find((table) => table.path !== 0);
  if (elsewhere !== undefined) {
    throw new DropsError("source/failed", `table ${elsewhere.number} lies in another directory (db_paths)`, {
      hint: "use mode stopped with a files source for databases in several directories",
    });
  }
  for (const { name, size, required } of liveFiles(live)) {
    const held = sizes.get(name);
    if (held === undefined && required)
      throw new Rejection("table-missing", `${name} was gone before it was linked`);
    if (held !== undefined && held !== size) {
      throw new Rejection("table-size", `${name} has ${held} bytes instead of ${size}`);
    }
  }
}

/** Each log that holds records begins with the number that the one before asked for. */
function checkChain(wals: readonly WalSummary[]): void {
  let before: WalSummary | undefined;
  for (const wal of wals) {
    if (wal.first === undefined) continue;
    if (before?.next !== undefined && before.next !== wal.first) {
      throw new Rejection(
        "chain",
        `log ${wal.number} begins with write ${wal.first}, but log ${before.number} ended before ${before.next}`,
      );
    }
    before = wal;
  }
}

function checkTracked(live: LiveSet, wals: readonly WalSummary[]): void {
  const held = new Map(wals.map((wal) => [wal.number, wal.log.validEnd]));
  for (const { number, size } of live.trackedLogs) {
    if (number < live.minLog) continue;
    const got = held.get(number);
    if (got === undefined)
      throw new Rejection("wal-missing", `log ${number} is tracked by the MANIFEST but missing`);
    if (size !== undefined && got < size) {
      throw new Rejection("wal-short", `log ${number} has ${got} whole bytes, the MANIFEST knows of ${size}`);
    }
  }
}

/** Damage in a copy of files that are being written may be the moment's; ten attempts tell. */
function rejecting<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isFailure(error, "data/damaged")) throw new Rejection("damaged", error.message);
    throw error;
  }
}
