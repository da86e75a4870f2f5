import { DropsError } from "../../../lib/errors.ts";
import { Cursor } from "./cursor.ts";

/** What happens to a key, by the number that write batches and tables use for it (db/dbformat.h ValueType). */
export const OPERATION = {
  DELETE: 0x0,
  PUT: 0x1,
  MERGE: 0x2,
  SINGLE_DELETE: 0x7,
  RANGE_DELETE: 0xf,
  BLOB: 0x11,
  DELETE_WITH_TIME: 0x14,
  WIDE_COLUMNS: 0x16,
  PUT_WITH_TIME: 0x18,
} as const;

export type OperationType = (typeof OPERATION)[keyof typeof OPERATION];

/** One operation of a write batch. Keys and values are views. */
export interface Operation {
  readonly family: number;
  readonly sequence: bigint;
  readonly type: OperationType;
  /** The first key of a range, when it is one. */
  readonly key: Buffer;
  /** The key behind the last one of a range; empty for deletions. */
  readonly value: Buffer;
}

const LOG_DATA = 0x3;
const NOOP = 0xd;

interface Shape {
  readonly type: OperationType;
  readonly hasFamily: boolean;
  readonly hasValue: boolean;
}

/** Tags of a write batch: for the default family, and with the number of another one. */
const SHAPES: ReadonlyMap<number, Shape> = new Map(
  [
    { type: OPERATION.DELETE, tags: [0x0, 0x4], hasValue: false },
    { type: OPERATION.PUT, tags: [0x1, 0x5], hasValue: true },
    { type: OPERATION.MERGE, tags: [0x2, 0x6], hasValue: true },
    { type: OPERATION.SINGLE_DELETE, tags: [0x7, 0x8], hasValue: false },
    { type: OPERATION.RANGE_DELETE, tags: [0xf, 0xe], hasValue: true },
    { type: OPERATION.BLOB, tags: [0x11, 0x10], hasValue: true },
    { type: OPERATION.WIDE_COLUMNS, tags: [0x16, 0x17], hasValue: true },
    { type: OPERATION.PUT_WITH_TIME, tags: [0x18, 0x19], hasValue: true },
  ].flatMap(({ type, tags, hasValue }) =>
    tags.map((tag, at) => [tag, { type, hasValue, hasFamily: at === 1 }] as const),
  ),
);

/**
 * The operations of a write batch (db/write_batch.cc): u64 sequence number of the first, u32 count, then each with its tag.
 * Throws data/damaged for what is none, format/unsupported for transactions in two phases.
 */
export function* readBatch(batch: Buffer, what: string): Generator<Operation> {
  const cursor = new Cursor(batch, what);
  let sequence = cursor.bytes(8).readBigUInt64LE();
  const count = cursor.bytes(4).readUInt32LE();
  let found = 0;
  while (!cursor.done) {
    const tag = cursor.byte();
    if (tag === NOOP) continue;
    if (tag === LOG_DATA) {
      cursor.prefixed();
      continue;
    }
    const shape = SHAPES.get(tag);
    if (shape === undefined) {
      throw new DropsError(
        "format/unsupported",
        `${what} holds operation ${tag}, which this version of drops cannot read`,
      );
    }
    const family = shape.hasFamily ? cursor.varint() : 0;
    const key = cursor.prefixed();
    const value = shape.hasValue ? cursor.prefixed() : Buffer.alloc(0);
    yield { family, sequence, type: shape.type, key, value };
    sequence++;
    found++;
  }
  if (found !== count) throw cursor.damaged(`it holds ${found} operations instead of ${count}`);
}
