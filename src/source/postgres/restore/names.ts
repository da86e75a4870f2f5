import { hash } from "node:crypto";

/** PostgreSQL cuts longer names (NAMEDATALEN - 1), in bytes. */
const MAX_NAME = 63;
const LONGEST = "_before_abcdef";

/** What the databases and the passing role of a replacement are called. */
export interface ReplacementNames {
  /** The one that is being brought. */
  readonly staged: string;
  /** The one that was in place before. */
  readonly kept: string;
  /** The role that a dump is loaded as. */
  readonly loader: string;
}

/**
 * `D_drops_HEX` and `D_before_HEX`, where HEX is the run's last six digits. A name that would get too long for PostgreSQL is cut at
 * a whole character and told apart by eight digits of its SHA-256.
 */
export function replacementNames(database: string, run: string): ReplacementNames {
  const hex = run.slice(-6);
  const base = shortened(database);
  return {
    staged: `${base}_drops_${hex}`,
    kept: `${base}_before_${hex}`,
    // ASCII: names of the cluster are read in the encoding of the database that one is connected to
    loader: `drops_loader_${hex}_${digits(database)}`,
  };
}

/** The passing role that checks of a database are asked as. */
export function checkerName(database: string): string {
  return `drops_check_${digits(database)}`;
}

function shortened(database: string): string {
  const room = MAX_NAME - LONGEST.length;
  if (Buffer.byteLength(database) <= room) return database;
  const mark = `_${digits(database)}`;
  let base = "";
  for (const character of database) {
    if (Buffer.byteLength(base + character) > room - mark.length) break;
    base += character;
  }
  return base + mark;
}

function digits(database: string): string {
  return hash("sha256", database, "hex").slice(0, 8);
}

/** A database in a connection string of libpq, for programs that read `=` and `://` in a plain name otherwise. */
export function connectionTo(database: string): string {
  return `dbname='${database.replace(/[\\']/g, "\\$&")}'`;
}
