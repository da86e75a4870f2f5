import { DropsError } from "../../../lib/errors.ts";
import {
  type BlobFile,
  decodeVersionEdit,
  type TableFile,
  type VersionEdit,
} from "../formats/version-edit.ts";

const MAX_LIVE_FILES = 4_000_000;
/** Families, logs, and records that are applied together: far more than any database has. */
const MAX_OTHERS = 100_000;
const BLOB_HEADER = 30;
const BLOB_FOOTER = 32;

interface Family {
  readonly name: string;
  logNumber: number;
  readonly tables: Map<string, TableFile>;
  readonly blobs: Map<number, { readonly file: BlobFile; garbage: number }>;
}

/** What a MANIFEST says at one moment. */
export interface LiveSet {
  readonly tables: readonly TableFile[];
  /** Blob files with their size on disk. `required` is false for those that hold garbage alone. */
  readonly blobs: readonly { readonly number: number; readonly size: number; readonly required: boolean }[];
  readonly families: readonly string[];
  /** Write-ahead logs below this number are not needed any more. */
  readonly minLog: number;
  /** Logs that the database will insist on when opened: number, and how much of it at least. */
  readonly trackedLogs: readonly { readonly number: number; readonly size: number | undefined }[];
  readonly lastSequence: bigint;
  readonly dbId: string | undefined;
}

/** A column family: its number in write batches, its tables, and the first log whose writes may not be in them yet. */
export interface LiveFamily {
  readonly id: number;
  readonly logNumber: number;
  readonly tables: readonly TableFile[];
}

/** Applies the records of a MANIFEST in order, as VersionSet::Recover does (db/version_edit_handler.cc). */
export class LiveState {
  readonly #what: string;
  readonly #families = new Map<number, Family>([[0, newFamily("default")]]);
  readonly #logs = new Map<number, number | undefined>();
  #group: VersionEdit[] = [];
  #minLog: number | undefined;
  #lastSequence = 0n;
  #dbId: string | undefined;
  #files = 0;
  #end = 0;

  constructor(what: string) {
    this.#what = what;
  }

  /** Where the last record ended that is applied whole, its group included: a copy is cut here. */
  get appliedEnd(): number {
    return this.#end;
  }

  /** `end` is the offset after the record. Throws data/damaged when the record cannot follow the ones before. */
  apply(record: Buffer, end: number): void {
    const edit = decodeVersionEdit(record, `a record of ${this.#what}`);
    if (edit.remaining === undefined) {
      if (this.#group.length > 0) throw this.#damaged("a group of records is cut short");
      this.#applyOne(edit);
    } else {
      this.#gather(edit, edit.remaining);
      if (edit.remaining > 0) return;
      for (const one of this.#group.splice(0)) this.#applyOne(one);
    }
    this.#end = end;
  }

  #gather(edit: VersionEdit, remaining: number): void {
    const before = this.#group.at(-1)?.remaining;
    if (before !== undefined && remaining !== before - 1) {
      throw this.#damaged("a group of records is out of order");
    }
    if (remaining > MAX_OTHERS) throw this.#damaged("a group of records is absurdly large");
    this.#group.push(edit);
  }

  /** Tag 10 governs what is deleted; databases that never wrote it keep every log a column family still needs. */
  get minLog(): number {
    if (this.#minLog !== undefined) return this.#minLog;
    return lowest([...this.#families.values()].map((family) => family.logNumber));
  }

  view(): LiveSet {
    const families = [...this.#families.values()];
    return {
      tables: families.flatMap((family) => [...family.tables.values()]),
      blobs: families.flatMap(liveBlobs),
      families: families.map((family) => family.name),
      minLog: this.minLog,
      trackedLogs: [...this.#logs].map(([number, size]) => ({ number, size })),
      lastSequence: this.#lastSequence,
      dbId: this.#dbId,
    };
  }

  /** One column family by its name; undefined when there is none. */
  family(name: string): LiveFamily | undefined {
    for (const [id, family] of this.#families) {
      if (family.name === name)
        return { id, logNumber: family.logNumber, tables: [...family.tables.values()] };
    }
    return undefined;
  }

  #applyOne(edit: VersionEdit): void {
    if (edit.minLog !== undefined) this.#minLog = Math.max(this.#minLog ?? 0, edit.minLog);
    if (edit.lastSequence !== undefined && edit.lastSequence > this.#lastSequence) {
      this.#lastSequence = edit.lastSequence;
    }
    if (edit.dbId !== undefined) this.#dbId = edit.dbId;
    this.#applyLogs(edit);
    if (edit.addFamily !== undefined) this.#add(edit.family, edit.addFamily);
    const family = this.#families.get(edit.family);
    if (family === undefined)
      throw this.#damaged(`it names column family ${edit.family}, which does not exist`);
    if (edit.dropFamily === true) {
      this.#files -= family.tables.size + family.blobs.size;
      this.#families.delete(edit.family);
      return;
    }
    if (edit.logNumber !== undefined) family.logNumber = Math.max(family.logNumber, edit.logNumber);
    this.#applyFiles(family, edit);
  }

  /** The default family exists from the start; an explicit record for it changes nothing. */
  #add(id: number, name: string): void {
    if (id !== 0 && this.#families.has(id)) throw this.#damaged(`it adds column family ${id} twice`);
    if (id !== 0) this.#families.set(id, newFamily(name));
    if (this.#families.size > MAX_OTHERS) throw this.#damaged("it has absurdly many column families");
  }

  #applyLogs(edit: VersionEdit): void {
    for (const log of edit.logsAdded) this.#logs.set(log.number, log.size ?? this.#logs.get(log.number));
    const below = edit.logsDroppedBelow ?? 0;
    for (const number of this.#logs.keys()) if (number < below) this.#logs.delete(number);
    if (this.#logs.size > MAX_OTHERS) throw this.#damaged("it lists absurdly many logs");
  }

  /** Deletions first: a file that only changes its level is deleted and added by the same edit. */
  #applyFiles(family: Family, edit: VersionEdit): void {
    for (const { level, number } of edit.deleted) {
      if (!family.tables.delete(`${level}/${number}`)) {
        throw this.#damaged(`it deletes table ${number} of level ${level}, which is not there`);
      }
    }
    for (const table of edit.added) {
      const key = `${table.level}/${table.number}`;
      if (family.tables.has(key)) throw this.#damaged(`it adds table ${table.number} twice`);
      family.tables.set(key, table);
    }
    this.#applyBlobs(family, edit);
    this.#files += edit.added.length + edit.blobs.length - edit.deleted.length;
    if (this.#files > MAX_LIVE_FILES) throw this.#damaged(`it lists more than ${MAX_LIVE_FILES} files`);
  }

  #applyBlobs(family: Family, edit: VersionEdit): void {
    for (const blob of edit.blobs) family.blobs.set(blob.number, { file: blob, garbage: 0 });
    for (const { number, values } of edit.blobGarbage) {
      const blob = family.blobs.get(number);
      if (blob === undefined)
        throw this.#damaged(`it counts garbage of blob file ${number}, which is not there`);
      blob.garbage += values;
    }
    if (edit.deleted.length > 0 || edit.blobGarbage.length > 0) dropDeadBlobs(family);
  }

  #damaged(why: string): DropsError {
    return new DropsError("data/damaged", `${this.#what} cannot be followed: ${why}`);
  }
}

function newFamily(name: string): Family {
  return { name, logNumber: 0, tables: new Map(), blobs: new Map() };
}

/** All garbage and no table that points to it: RocksDB has forgotten the file (db/version_builder.cc). */
function dropDeadBlobs(family: Family): void {
  if (family.blobs.size === 0) return;
  const linked = linkedBlobs(family);
  for (const [number, { file, garbage }] of family.blobs) {
    if (garbage >= file.values && !linked.has(number)) family.blobs.delete(number);
  }
}

function linkedBlobs(family: Family): ReadonlySet<number> {
  const linked = new Set<number>();
  for (const table of family.tables.values())
    if (table.oldestBlob !== undefined) linked.add(table.oldestBlob);
  return linked;
}

function liveBlobs(family: Family): LiveSet["blobs"] {
  if (family.blobs.size === 0) return [];
  const oldest = lowest(linkedBlobs(family)); // Infinity when no table has values in blob files
  return [...family.blobs.values()].map(({ file }) => ({
    number: file.number,
    size: BLOB_HEADER + file.bytes + BLOB_FOOTER,
    required: file.number >= oldest,
  }));
}

/** Not Math.min of a spread list, which a long list would overflow the stack with. */
function lowest(numbers: Iterable<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (const number of numbers) least = Math.min(least, number);
  return least;
}
