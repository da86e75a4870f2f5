import { zstdDecompressSync } from "node:zlib";
import { DropsError } from "../../../lib/errors.ts";
import { type LogEnd, LogReader } from "../formats/log-file.ts";

const ZSTD = 7;
const NO_COMPRESSION = 0;
const BATCH_HEADER = 12;
const MAX_BATCH = 256 * 1024 * 1024;

/** Sequence numbers in one write-ahead log. */
export interface WalSummary {
  readonly number: number;
  readonly log: LogEnd;
  readonly records: number;
  /** First sequence number in the log, and the one that has to follow its last record. */
  readonly first: bigint | undefined;
  readonly next: bigint | undefined;
  /** Numbers skipped between two records of this file: ingested tables, writes without log, prepared transactions. */
  readonly innerGaps: number;
}

/**
 * Reads one write-ahead log. A record is a write batch: u64 first sequence number, u32 count, operations; compressed
 * logs hold each record as one whole zstd frame (db/log_writer.cc resets the stream at every record).
 */
export class WalReader {
  readonly #number: number;
  readonly #what: string;
  readonly #log: LogReader;
  readonly #onBatch: ((batch: Buffer) => void) | undefined;
  #compression = NO_COMPRESSION;
  #records = 0;
  #first: bigint | undefined;
  #next: bigint | undefined;
  #innerGaps = 0;

  /** `onBatch` is handed every write batch, as a view that is valid during the call only. */
  constructor(number: number, what: string, onBatch?: (batch: Buffer) => void) {
    this.#number = number;
    this.#what = what;
    this.#onBatch = onBatch;
    this.#log = new LogReader(
      what,
      { record: (bytes) => this.#batch(bytes), compression: (type) => this.#compressed(type) },
      number,
    );
  }

  /** Throws data/damaged, see LogReader. */
  push(chunk: Uint8Array): void {
    this.#log.push(chunk);
  }

  end(): WalSummary {
    return {
      number: this.#number,
      log: this.#log.end(),
      records: this.#records,
      first: this.#first,
      next: this.#next,
      innerGaps: this.#innerGaps,
    };
  }

  #compressed(type: number): void {
    if (type !== ZSTD && type !== NO_COMPRESSION) throw this.#damaged(`compression type ${type} is unknown`);
    this.#compression = type;
  }

  #batch(record: Buffer): void {
    const batch = this.#compression === ZSTD ? this.#inflate(record) : record;
    if (batch.length < BATCH_HEADER) throw this.#damaged("a write batch is too short");
    const sequence = batch.readBigUInt64LE(0);
    this.#records++;
    this.#first ??= sequence;
    if (this.#next !== undefined && sequence < this.#next) throw this.#damaged("sequence numbers go back");
    if (this.#next !== undefined && sequence > this.#next) this.#innerGaps++;
    this.#next = sequence + BigInt(batch.readUInt32LE(8));
    this.#onBatch?.(batch);
  }

  #inflate(record: Buffer): Buffer {
    try {
      return zstdDecompressSync(record, { maxOutputLength: MAX_BATCH });
    } catch (cause) {
      throw this.#damaged("a record cannot be decompressed", cause);
    }
  }

  #damaged(why: string, cause?: unknown): DropsError {
    return new DropsError("data/damaged", `${this.#what} is damaged: ${why}`, { cause });
  }
}
