import { DropsError } from "../../../lib/errors.ts";
import { OPERATION } from "../formats/write-batch.ts";

/** How much of a column family is read at most. */
export interface FamilyLimits {
  /** Size of its tables together. */
  readonly tableBytes: number;
  /** Size of the write-ahead logs that are read for it. */
  readonly logBytes: number;
  readonly entries: number;
  /** Keys and values together. */
  readonly bytes: number;
}

export interface Pair {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** One version of a key. `type` is one of OPERATION, or unknown. */
export interface Version {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly sequence: bigint;
  readonly type: number;
}

interface Held {
  readonly sequence: bigint;
  readonly type: number;
  readonly value: Buffer;
}

interface Range {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly sequence: bigint;
}

/** Each range is held against each key: more of them would be work without bound. */
const MAX_RANGES = 2000;
/** So many times what may be held may be read for it: older versions of keys, which are passed over. */
const MAX_VERSIONS = 64;

/** Versions of keys in any order; what is left in the end is what the database would answer now. */
export class FamilyState {
  readonly #what: string;
  readonly #limits: FamilyLimits;
  /** By key, as latin1. */
  readonly #newest = new Map<string, Held>();
  readonly #ranges = new Map<string, Range>();
  #bytes = 0;
  #seenBytes = 0;

  constructor(what: string, limits: FamilyLimits) {
    this.#what = what;
    this.#limits = limits;
  }

  /** Throws safety/refused when there is more than the limits allow. */
  take(version: Version): void {
    this.#seenBytes += version.key.length + version.value.length;
    if (version.type === OPERATION.RANGE_DELETE) this.#takeRange(version);
    else this.#takeKey(version);
    if (
      this.#newest.size > this.#limits.entries ||
      this.#bytes > this.#limits.bytes ||
      this.#seenBytes > MAX_VERSIONS * this.#limits.bytes ||
      this.#ranges.size > MAX_RANGES
    ) {
      throw new DropsError("safety/refused", `${this.#what} holds more than is read of a small one`);
    }
  }

  /** Keys that are there, in order. Throws format/unsupported when one's value is kept in a way this reader lacks. */
  pairs(): readonly Pair[] {
    const pairs: Pair[] = [];
    for (const [name, { sequence, type, value }] of this.#newest) {
      const key = Buffer.from(name, "latin1");
      if (type === OPERATION.DELETE || type === OPERATION.SINGLE_DELETE) continue;
      if (this.#isInRange(key, sequence)) continue;
      if (type !== OPERATION.PUT) throw this.#unsupported(type);
      pairs.push({ key, value });
    }
    return pairs.sort((a, b) => Buffer.compare(a.key, b.key));
  }

  #takeKey({ key, value, sequence, type }: Version): void {
    const name = key.toString("latin1");
    const held = this.#newest.get(name);
    if (held !== undefined && held.sequence >= sequence) return;
    this.#bytes += value.length - (held === undefined ? -key.length : held.value.length);
    this.#newest.set(name, { sequence, type, value: Buffer.from(value) });
  }

  /** One range may lie in several tables, cut where they meet. */
  #takeRange({ key, value, sequence }: Version): void {
    const name = `${sequence} ${key.toString("latin1")}\0${value.toString("latin1")}`;
    if (this.#ranges.has(name)) return;
    this.#bytes += key.length + value.length;
    this.#ranges.set(name, { from: Buffer.from(key), to: Buffer.from(value), sequence });
  }

  #isInRange(key: Buffer, sequence: bigint): boolean {
    for (const range of this.#ranges.values()) {
      if (range.sequence <= sequence) continue;
      if (Buffer.compare(range.from, key) <= 0 && Buffer.compare(key, range.to) < 0) return true;
    }
    return false;
  }

  #unsupported(type: number): DropsError {
    const kinds: Readonly<Record<number, string>> = {
      [OPERATION.MERGE]: "merge operands",
      [OPERATION.BLOB]: "values in blob files",
      [OPERATION.WIDE_COLUMNS]: "wide columns",
    };
    const kind = kinds[type] ?? `values of kind ${type}`;
    return new DropsError(
      "format/unsupported",
      `${this.#what} holds ${kind}, which this version of drops cannot read`,
    );
  }
}
