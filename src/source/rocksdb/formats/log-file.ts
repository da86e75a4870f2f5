import { DropsError } from "../../../lib/errors.ts";
import { crc32c, maskCrc } from "./crc32c.ts";

/**
 * RocksDB's log framing, shared by write-ahead logs and MANIFESTs (db/log_format.h, log_writer.cc, log_reader.cc): blocks
 * of 32 KiB hold physical records (u32 masked CRC-32C, u16 length, u8 type, and for recyclable ones the log number), a
 * logical record is one full piece or first, middles, last.
 */
const BLOCK = 32 * 1024;
const LEGACY_HEADER = 7;
const RECYCLABLE_HEADER = 11;
const MAX_RECORD = 256 * 1024 * 1024;
/** Pieces end where a block or a compressed buffer of that size does: so many bytes are in each of them, but for a few. */
const LEAST_PIECE = 1024;
const FEW_PIECES = 16;

const ZERO = 0;
const FIRST = 2;
const LAST = 4;
const RECYCLABLE = { from: 5, to: 8 };
const SET_COMPRESSION = 9;
const USER_TIMESTAMPS = 10;
const RECYCLABLE_USER_TIMESTAMPS = 11;
const RECYCLABLE_PREDECESSOR = 131;
/** Types from here on may be skipped by readers that do not know them; 130 and 131 name the predecessor log. */
const IGNORABLE = 128;

export interface LogHandlers {
  /** A whole logical record; `end` is the offset in the file after it. The view is valid during the call only. */
  readonly record: (bytes: Buffer, end: number) => void;
  /** The log says that what follows is compressed: 7 is zstd. */
  readonly compression?: (type: number) => void;
}

export interface LogEnd {
  /** Bytes seen. */
  readonly size: number;
  /** Offset after the last complete logical record: a copy cut here ends cleanly. */
  readonly validEnd: number;
  /** `torn`: mid-record; `zeros`: preallocated space; `stale`: left over from the file's earlier life (recycled). */
  readonly how: "clean" | "torn" | "zeros" | "stale";
}

/**
 * Push reader: memory is one block plus the logical record being joined. Throws data/damaged for what no crash and no
 * snapshot of an append-only file can explain: wrong checksum, impossible length, pieces out of order, data after a hole.
 */
export class LogReader {
  readonly #what: string;
  readonly #number: number | undefined;
  readonly #on: LogHandlers;
  readonly #block = Buffer.allocUnsafe(BLOCK);
  #filled = 0;
  #at = 0;
  #start = 0; // offset in the file of the block
  #pieces: Buffer[] = [];
  #joined = 0;
  #validEnd = 0;
  #recyclable = false;
  #over: "zeros" | "stale" | undefined;

  /** `what` names the file in messages; `number` is its log number, which recyclable records repeat. */
  constructor(what: string, on: LogHandlers, number?: number) {
    this.#what = what;
    this.#on = on;
    this.#number = number;
  }

  push(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length; ) {
      const take = Math.min(BLOCK - this.#filled, chunk.length - from);
      this.#block.set(chunk.subarray(from, from + take), this.#filled);
      this.#filled += take;
      from += take;
      this.#parse();
      if (this.#filled === BLOCK) this.#nextBlock();
    }
  }

  /** What is known now; more may be pushed afterwards. */
  end(): LogEnd {
    const size = this.#start + this.#filled;
    const { how, validEnd } = this.#tail(size);
    return { size, validEnd, how };
  }

  #tail(size: number): Pick<LogEnd, "how" | "validEnd"> {
    if (this.#over !== undefined) return { how: this.#over, validEnd: this.#validEnd };
    const inFiller = BLOCK - this.#at < this.#headerSize();
    const torn = this.#pieces.length > 0 || (this.#at < this.#filled && !inFiller);
    return torn ? { how: "torn", validEnd: this.#validEnd } : { how: "clean", validEnd: size };
  }

  #headerSize(): number {
    return this.#recyclable ? RECYCLABLE_HEADER : LEGACY_HEADER;
  }

  #nextBlock(): void {
    this.#start += BLOCK;
    this.#filled = 0;
    this.#at = 0;
  }

  #parse(): void {
    while (this.#over === undefined && this.#physical()) {
      // each turn takes one physical record
    }
    if (this.#over === "zeros" && !this.#recyclable) this.#expectZeros();
  }

  /** Take the physical record at the cursor; false when it is not all here yet, or there can be no more in this block. */
  #physical(): boolean {
    const at = this.#at;
    const block = this.#block;
    if (BLOCK - at < this.#headerSize() || this.#filled - at < LEGACY_HEADER) return false;
    const length = block.readUInt16LE(at + 4);
    const type = block[at + 6] as number;
    if (type === ZERO && length === 0) {
      this.#over = "zeros";
      return false;
    }
    const recyclable = isRecyclable(type);
    const end = at + (recyclable ? RECYCLABLE_HEADER : LEGACY_HEADER) + length;
    if (end > BLOCK) return this.#bad("a length points past the end of its block");
    if (end > this.#filled) return false;
    if (block.readUInt32LE(at) !== maskCrc(crc32c(block, at + 6, end)))
      return this.#bad("a checksum is wrong");
    if (recyclable) {
      this.#recyclable = true;
      if (this.#number !== undefined && block.readUInt32LE(at + 7) !== this.#number % 2 ** 32) {
        return this.#bad("a record belongs to another log");
      }
    }
    this.#at = end;
    this.#take(type, block.subarray(end - length, end), this.#start + end);
    return this.#over === undefined;
  }

  #take(type: number, payload: Buffer, end: number): void {
    const plain = type >= RECYCLABLE.from && type <= RECYCLABLE.to ? type - 4 : type;
    if (plain >= 1 && plain <= LAST) this.#piece(plain, payload, end);
    else if (type === SET_COMPRESSION) this.#compression(payload, end);
    else if (type === USER_TIMESTAMPS || type === RECYCLABLE_USER_TIMESTAMPS || type >= IGNORABLE)
      this.#aside(end);
    else this.#bad(`record type ${type} is unknown`);
  }

  /** Between logical records this is a good place to cut. */
  #aside(end: number): void {
    if (this.#pieces.length === 0) this.#validEnd = end;
  }

  #compression(payload: Buffer, end: number): void {
    if (payload.length < 4) throw this.#damaged("its compression record is too short");
    this.#on.compression?.(payload.readUInt32LE(0));
    this.#aside(end);
  }

  #piece(type: number, payload: Buffer, end: number): void {
    const starts = type <= FIRST;
    const finishes = type === 1 || type === LAST;
    if (starts !== (this.#pieces.length === 0)) {
      this.#bad("the pieces of a record are out of order");
    } else if (starts && finishes) {
      this.#record(payload, end);
    } else {
      this.#joined += payload.length;
      if (this.#joined > MAX_RECORD) throw this.#damaged("a record is larger than 256 MiB");
      if (this.#pieces.length > FEW_PIECES + this.#joined / LEAST_PIECE)
        throw this.#damaged("a record is in absurdly many pieces");
      this.#pieces.push(Buffer.from(payload)); // the block is overwritten before the record is whole
      if (finishes) this.#record(Buffer.concat(this.#pieces, this.#joined), end);
    }
  }

  #record(bytes: Buffer, end: number): void {
    this.#pieces = [];
    this.#joined = 0;
    this.#validEnd = end;
    this.#on.record(bytes, end);
  }

  #expectZeros(): void {
    for (; this.#at < this.#filled; this.#at++) {
      if (this.#block[this.#at] !== 0) throw this.#damaged("there is data after a hole");
    }
  }

  /** In a recycled file what does not fit is the previous log's; elsewhere it is damage. */
  #bad(why: string): false {
    if (!this.#recyclable) throw this.#damaged(why);
    this.#over = "stale";
    return false;
  }

  #damaged(why: string): DropsError {
    return new DropsError(
      "data/damaged",
      `${this.#what} is damaged near byte ${this.#start + this.#at}: ${why}`,
    );
  }
}

function isRecyclable(type: number): boolean {
  return (
    (type >= RECYCLABLE.from && type <= RECYCLABLE.to) ||
    type === RECYCLABLE_USER_TIMESTAMPS ||
    type === RECYCLABLE_PREDECESSOR
  );
}
