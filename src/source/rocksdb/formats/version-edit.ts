import { Cursor } from "./cursor.ts";

/** A table as the MANIFEST lists it. */
export interface TableFile {
  readonly number: number;
  readonly level: number;
  readonly size: number;
  /** 16 bytes in hex that no other table in the world has; absent in old databases. */
  readonly uniqueId: string | undefined;
  readonly oldestBlob: number | undefined;
  /** Index into db_paths; anything but 0 lies outside the database directory. */
  readonly path: number;
}

export interface BlobFile {
  readonly number: number;
  readonly values: number;
  readonly bytes: number;
}

/** One record of the MANIFEST, decoded (db/version_edit.h, version_edit.cc). */
export interface VersionEdit {
  family: number;
  addFamily?: string;
  dropFamily?: boolean;
  logNumber?: number;
  nextFile?: number;
  lastSequence?: bigint;
  minLog?: number;
  dbId?: string;
  /** Edits that belong together count down to 0. */
  remaining?: number;
  readonly deleted: { readonly number: number; readonly level: number }[];
  readonly added: TableFile[];
  readonly blobs: BlobFile[];
  readonly blobGarbage: { readonly number: number; readonly values: number }[];
  /** Closed logs; `size` is how much of one is known to be synced. */
  readonly logsAdded: { readonly number: number; readonly size: number | undefined }[];
  /** Tracked logs with a smaller number are dropped. */
  logsDroppedBelow?: number;
}

type Reader = (body: Cursor, edit: VersionEdit) => void;

const skipPrefixed: Reader = (body) => void body.prefixed();
const skipVarint: Reader = (body) => body.skipVarint();

/** A number, or prefixed text, that one field of the edit holds. */
function number(field: "family" | "logNumber" | "nextFile" | "remaining" | "logsDroppedBelow"): Reader {
  return (body, edit) => {
    edit[field] = body.varint();
  };
}
function text(field: "addFamily" | "dbId"): Reader {
  return (body, edit) => {
    edit[field] = body.prefixed().toString("utf8");
  };
}
/** The same, wrapped in a length so that older readers can skip it. */
function wrapped(read: Reader): Reader {
  return (body, edit) => read(new Cursor(body.prefixed(), "a field of a MANIFEST record"), edit);
}
const lastSequence: Reader = (body, edit) => {
  edit.lastSequence = body.varintBig();
};
const dropFamily: Reader = (_body, edit) => {
  edit.dropFamily = true;
};
const compactCursor: Reader = (body) => {
  body.skipVarint();
  body.prefixed();
};
const deletedTable: Reader = (body, edit) => {
  edit.deleted.push({ level: body.varint(), number: body.varint() });
};
const tableWith =
  (has: { path: boolean; sequences: boolean }): Reader =>
  (body, edit) =>
    void edit.added.push(oldTable(body, has));
const blobAddition: Reader = (body, edit) => void edit.blobs.push(blobFile(body));
const blobGarbage: Reader = (body, edit) => void edit.blobGarbage.push(garbage(body));
const logAddition: Reader = (body, edit) => void edit.logsAdded.push(trackedLog(body));

const READERS: ReadonlyMap<number, Reader> = new Map<number, Reader>([
  [1, skipPrefixed], // comparator
  [2, number("logNumber")],
  [3, number("nextFile")],
  [4, lastSequence],
  [5, compactCursor],
  [6, deletedTable],
  [7, tableWith({ path: false, sequences: false })],
  [9, skipVarint], // previous log number
  [10, (body, edit) => raiseMinLog(edit, body.varint())],
  [100, tableWith({ path: false, sequences: true })],
  [102, tableWith({ path: true, sequences: true })],
  [103, (body, edit) => void edit.added.push(newTable(body, edit))],
  [200, number("family")],
  [201, text("addFamily")],
  [202, dropFamily],
  [203, skipVarint], // highest column family
  [300, number("remaining")],
  [400, blobAddition],
  [401, blobGarbage],
  [8193, text("dbId")],
  [8194, blobAddition],
  [8195, blobGarbage],
  [8196, logAddition],
  [8197, number("logsDroppedBelow")],
  [8199, wrapped(logAddition)],
  [8200, wrapped(number("logsDroppedBelow"))],
]);

/** Of one record: a compaction of the largest database changes fewer files. */
const MAX_FIELDS = 1_000_000;

/** A writer newer than this reader sets this bit on what may be skipped: a length and that many bytes. */
const IGNORABLE_TAG = 0x2000;

/** Throws data/damaged for anything that is not a version edit, or holds what a reader must understand and this cannot. */
export function decodeVersionEdit(record: Buffer, what: string): VersionEdit {
  const body = new Cursor(record, what);
  const edit: VersionEdit = {
    family: 0,
    deleted: [],
    added: [],
    blobs: [],
    blobGarbage: [],
    logsAdded: [],
  };
  for (let fields = 0; !body.done; fields++) {
    if (fields === MAX_FIELDS) throw body.damaged(`it has more than ${MAX_FIELDS} fields`);
    const tag = body.varint();
    const read = READERS.get(tag) ?? (isIgnorable(tag) ? skipPrefixed : undefined);
    if (read === undefined) throw body.damaged(`its tag ${tag} is unknown`);
    read(body, edit);
  }
  return edit;
}

/** Not `&`: it would look at the low 32 bits only. */
function isIgnorable(tag: number): boolean {
  return Math.floor(tag / IGNORABLE_TAG) % 2 === 1;
}

function raiseMinLog(edit: VersionEdit, number: number): void {
  edit.minLog = Math.max(edit.minLog ?? 0, number);
}

function oldTable(body: Cursor, has: { path: boolean; sequences: boolean }): TableFile {
  const level = body.varint();
  const number = body.varint();
  const path = has.path ? body.varint() : 0;
  const size = body.varint();
  body.prefixed(); // smallest key
  body.prefixed(); // largest key
  if (has.sequences) {
    body.skipVarint();
    body.skipVarint();
  }
  return { level, number, size, path, uniqueId: undefined, oldestBlob: undefined };
}

const NO_UNIQUE_ID = "0".repeat(32);
const MUST_UNDERSTAND = 0x40;
const END_OF_FIELDS = 1;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Tag 103: a table with a list of optional fields, each a tag and prefixed bytes. */
function newTable(body: Cursor, edit: VersionEdit): TableFile {
  const table: Mutable<TableFile> = oldTable(body, { path: false, sequences: true });
  for (let tag = body.varint(); tag !== END_OF_FIELDS; tag = body.varint()) {
    const value = body.prefixed();
    if (tag === 3) raiseMinLog(edit, fixed64(value, body));
    else if (!tableField(table, tag, value) && (tag & MUST_UNDERSTAND) !== 0) {
      throw body.damaged(`its table field ${tag} is unknown`);
    }
  }
  return table;
}

function tableField(table: Mutable<TableFile>, tag: number, value: Buffer): boolean {
  if (tag === 4) table.oldestBlob = new Cursor(value, "a blob number").varint() || undefined;
  else if (tag === 12) table.uniqueId = uniqueId(value);
  else if (tag === 65) table.path = value[0] ?? 0;
  else return false;
  return true;
}

function fixed64(value: Buffer, body: Cursor): number {
  const number = value.length === 8 ? Number(value.readBigUInt64LE()) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw body.damaged("its log number is absurd");
  return number;
}

function uniqueId(value: Buffer): string | undefined {
  const id = value.toString("hex");
  return value.length === 16 && id !== NO_UNIQUE_ID ? id : undefined;
}

function blobFile(body: Cursor): BlobFile {
  const blob = { number: body.varint(), values: body.varint(), bytes: body.varint() };
  body.prefixed(); // checksum method
  body.prefixed(); // checksum
  skipCustom(body);
  return blob;
}

function garbage(body: Cursor): { number: number; values: number } {
  const found = { number: body.varint(), values: body.varint() };
  body.skipVarint(); // bytes
  skipCustom(body);
  return found;
}

function skipCustom(body: Cursor): void {
  for (let tag = body.varint(); tag !== 0; tag = body.varint()) body.prefixed();
}

function trackedLog(body: Cursor): { number: number; size: number | undefined } {
  const number = body.varint();
  let size: number | undefined;
  for (let tag = body.varint(); tag !== END_OF_FIELDS; tag = body.varint()) {
    if (tag !== 2) throw body.damaged(`its log field ${tag} is unknown`);
    size = body.varint();
  }
  return { number, size };
}
