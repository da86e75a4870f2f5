import type { PostgresFacts } from "../facts.ts";
import type { TocEntry } from "./toc.ts";

/** An entry of a dump that pg_restore could not restore. */
export interface EntryFailure extends TocEntry {
  /** The server's first line on it, without what follows: that may hold rows, or the statement and a password in it. */
  readonly error: string;
}

export interface Failures {
  /** Only a superuser may have it, or it needs something that only a superuser may have. The database is whole without it. */
  readonly refused: readonly EntryFailure[];
  /** It contradicts what is in the database, or what it runs does not run here. All rows are there without it. */
  readonly broken: readonly EntryFailure[];
  /** Without it rows are missing, or are seen by who must not see them, or nobody knows what is missing. */
  readonly fatal: readonly EntryFailure[];
  /** What was said of no entry, or is of the server and the moment. */
  readonly other: readonly string[];
}

const LONGEST = 300;
const ENTRY = /^pg_restore: from TOC entry (\d+); /;
const ERROR =
  /^pg_restore: error: (?:could not execute query: |COPY failed for table "[^"]*": )?(?:ERROR: +)?(.*)$/;

/**
 * What pg_restore, run without --exit-on-error, said of entries that failed. Text in it that the dump's statements forge can only
 * add failures: every entry that failed is named by pg_restore itself.
 */
export function failuresIn(
  said: string,
  toc: readonly TocEntry[],
  facts: Pick<PostgresFacts, "tables" | "sequences">,
): Failures {
  const byId = new Map(toc.map((entry) => [entry.id, entry]));
  const found = new Map<string, EntryFailure>();
  const other: string[] = [];
  let current: TocEntry | undefined;
  for (const line of said.split("\n")) {
    const id = ENTRY.exec(line)?.[1];
    if (id !== undefined) {
      current = byId.get(id) ?? { id, what: "an entry that the list does not hold" };
      found.set(id, found.get(id) ?? { ...current, error: "" });
      continue;
    }
    const error = ERROR.exec(line)?.[1];
    if (error === undefined) continue;
    if (current === undefined) other.push(cleanLine(error));
    else if (found.get(current.id)?.error === "")
      found.set(current.id, { ...current, error: cleanLine(error) });
  }
  const known = new Set([...facts.tables, ...facts.sequences].map(({ schema, name }) => `${schema} ${name}`));
  const by = (wanted: Verdict) => [...found.values()].filter((each) => verdictOn(each, known) === wanted);
  return {
    refused: by("refused"),
    broken: by("broken"),
    fatal: by("fatal"),
    other: [...other.filter((line) => !NEWER_SETTING.test(line)), ...by("other").map(({ error }) => error)],
  };
}

type Verdict = "refused" | "broken" | "fatal" | "other";

/** Of the server and the moment, whatever the entry is. */
const PASSING =
  /No space left on device|Disk quota exceeded|could not extend file|out of (shared )?memory|deadlock detected|canceling statement|terminating connection|closed the connection|connection to server|too many (clients|connections)/;

/** A newer pg_restore sets what an older server does not know. */
const NEWER_SETTING = /^unrecognized configuration parameter/;

const HOLDS_ROWS =
  /^(SCHEMA|TABLE|TABLE DATA|TABLE ATTACH|SEQUENCE|SEQUENCE SET|SEQUENCE OWNED BY|BLOB|BLOBS|BLOB METADATA) /;
const DATA = /^(?:TABLE DATA|SEQUENCE SET) (.*) \S+$/;
/** Without them more would be seen, written or run than before. */
const RESTRICTS = /^(POLICY|ROW SECURITY|RULE|ACL \S+ (?:FUNCTION|PROCEDURE|AGGREGATE|ROUTINE)) /;
/** Made from rows or definitions, and nothing is defined by them. */
const DERIVED =
  /^(FK CONSTRAINT|CONSTRAINT|CHECK CONSTRAINT|INDEX|INDEX ATTACH|MATERIALIZED VIEW DATA|STATISTICS|TRIGGER|COMMENT|SECURITY LABEL|ACL|DEFAULT ACL) /;
const REFUSED =
  /permission denied|[Mm]ust be (?:a )?superuser|[Oo]nly superusers?|must be owner|must be able to SET ROLE|must be member/;
/** What it needs was refused before it. */
const LACKING = /does not exist$/;

function verdictOn({ what, error }: EntryFailure, known: ReadonlySet<string>): Verdict {
  const isRefused = REFUSED.test(error);
  // tables of extensions are theirs, and so are the rows in them: nothing of it was counted
  if (PASSING.test(error)) return "other";
  if (HOLDS_ROWS.test(what)) return isRefused && isForeign(what, known) ? "refused" : "fatal";
  if (isRefused && /^ACL (pg_catalog|information_schema) /.test(what)) return "refused";
  if (RESTRICTS.test(what)) return "fatal";
  if (isRefused || LACKING.test(error)) return "refused";
  return DERIVED.test(what) ? "broken" : "fatal";
}

function isForeign(what: string, known: ReadonlySet<string>): boolean {
  const name = DATA.exec(what)?.[1];
  return name !== undefined && !known.has(name);
}

/** A line of pg_restore, cut, and nothing in it that a terminal would take for an order. */
export function cleanLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?").slice(0, LONGEST);
}
