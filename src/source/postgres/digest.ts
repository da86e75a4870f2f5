import { quoteIdentifier, quoteLiteral, quoteName } from "./quote.ts";

/**
 * The digest of a table's rows, as SQL that gives the same answer wherever the same rows lie: in the snapshot of a
 * capture, in a restored database, in a drill.
 *
 * `v2`: the text of every row (`record_out` of all columns, ordered by their names) is hashed with SHA-256; the first
 * and the second 8 bytes, as signed 64-bit numbers, are summed over all rows; the digest is the first 128 bits of the
 * SHA-256 of `rows:sum:sum`. A sum does not care for order, counts duplicates (XOR would cancel pairs), and needs neither
 * a sort nor memory. It finds what goes wrong by accident; what is done on purpose is held off by the signature over
 * the dump. The text of a row depends on settings of the session: they are pinned (`PINNED_SETTINGS`). It is taken by
 * `record_out` and not by a cast: an owner may make a cast of its rows that runs a function, as the superuser who measures.
 *
 * `v1`, of older snapshots, took the columns in the table's own order. A dump makes the columns of a child table in another
 * order when its parent got one later than the child (ALTER TABLE … ADD COLUMN), so its digest says nothing of such a table.
 */
export const DIGEST_VERSION = "v2";
export type DigestVersion = "v1" | "v2";

/** The version that facts were digested with; undefined when they have no digests, or those of a newer program. */
export function digestOf(facts: { readonly digest_version?: string | undefined }): DigestVersion | undefined {
  const { digest_version: version } = facts;
  return version === "v1" || version === "v2" ? version : undefined;
}

/** What the text of a value depends on, and what could hide rows or stop a session that is held open for long. */
const PINNED_SETTINGS: Readonly<Record<string, string>> = {
  TimeZone: "UTC",
  DateStyle: "ISO, YMD",
  IntervalStyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "3", // 3 is exact on every version; from 12 on every value above 0 is the same
  lc_monetary: "C", // type money
  search_path: "", // names in reg* types, and no function of the database can stand in for a built-in one
  quote_all_identifiers: "off", // names in reg* types
  standard_conforming_strings: "on",
  client_encoding: "UTF8",
  row_security: "off", // an error instead of rows left out in silence
  statement_timeout: "0",
  lock_timeout: "60s",
  idle_in_transaction_session_timeout: "0",
};

/** Settings that only newer servers know, by their server_version_num. */
const NEWER_SETTINGS: readonly (readonly [name: string, value: string, since: number])[] = [
  ["client_connection_check_interval", "10s", 140000], // a long query ends soon after its client is gone
  ["transaction_timeout", "0", 170000],
];

/** Statements to run first in every session that measures, outside of a transaction. */
export function pinSettingsSql(): readonly string[] {
  const set = (name: string, value: string) =>
    `pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`;
  const always = Object.entries(PINNED_SETTINGS).map(([name, value]) => set(name, value));
  const newer = NEWER_SETTINGS.map(
    ([name, value, since]) =>
      `SELECT ${set(name, value)} ` +
      `WHERE pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= ${since}`,
  );
  return [`SELECT ${always.join(", ")}`, ...newer];
}

/** A table to measure, with what its digest depends on. */
export interface DigestedTable {
  readonly schema: string;
  readonly name: string;
  /** Of its own and inherited, in the order of their names. */
  readonly columns: readonly string[];
  /** Whether it is a child of another table, and no partition. */
  readonly inherits: boolean;
}

/** One row of one JSON object for a table: `rows`, and `digest` when a version is asked for, both strings. */
export function measureTableSql(
  table: DigestedTable,
  how: { readonly digest: DigestVersion | undefined },
): string {
  // ONLY: the rows of partitions and of tables that inherit are counted where they lie
  const from = `FROM ONLY ${quoteName(table)} AS t`;
  const row = how.digest === undefined ? undefined : rowSql(table, how.digest);
  if (row === undefined) return `SELECT json_build_object('rows', count(*)::text) ${from}`;
  return `SELECT json_build_object(
  'rows', count(*)::text,
  'digest', '${how.digest}:' || left(encode(sha256(convert_to(concat_ws(':', count(*),
    sum(('x' || substr(h, 1, 16))::bit(64)::bigint),
    sum(('x' || substr(h, 17, 16))::bit(64)::bigint)), 'UTF8')), 'hex'), 32))
FROM (
  SELECT encode(sha256(convert_to(textin(record_out(${row})), getdatabaseencoding())), 'hex') AS h
  ${from} OFFSET 0
) AS hashed`;
}

function rowSql({ columns, inherits }: DigestedTable, version: DigestVersion): string | undefined {
  if (version === "v1") return inherits ? undefined : "t.*";
  return `ROW(${columns.map((column) => `t.${quoteIdentifier(column)}`).join(", ")})`;
}

/**
 * The relations that hold rows, one JSON object each: `schema`, `name`, `kind`, `columns`, `inherits`. Only kind `table` is measured; the
 * others hold nothing of their own (partitioned), are computed again (materialized view), lie elsewhere (foreign
 * table), belong to an extension, or cannot be read on a standby (unlogged). Views hold no rows.
 */
export const RELATIONS_SQL = `SELECT json_build_object('schema', n.nspname, 'name', c.relname, 'kind',
  CASE
    WHEN EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
      THEN 'extension'
    WHEN c.relkind = 'p' THEN 'partitioned'
    WHEN c.relkind = 'm' THEN 'materialized-view'
    WHEN c.relkind = 'f' THEN 'foreign'
    WHEN c.relpersistence = 'u' AND pg_is_in_recovery() THEN 'unlogged'
    ELSE 'table'
  END,
  'columns', (SELECT coalesce(json_agg(a.attname ORDER BY a.attname COLLATE "C"), '[]') FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'inherits', NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`;

/** One JSON object a sequence; `last_value` is null when it was never used. Sequences are not part of any snapshot. */
export const SEQUENCES_SQL = `SELECT json_build_object(
  'schema', s.schemaname, 'name', s.sequencename, 'last_value', s.last_value::text)
FROM pg_sequences s
JOIN pg_namespace n ON n.nspname = s.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
WHERE NOT EXISTS (
  SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY s.schemaname COLLATE "C", s.sequencename COLLATE "C"`;

export const LARGE_OBJECTS_SQL = `SELECT json_build_object('count', count(*)::text) FROM pg_largeobject_metadata`;

/** Keeps tables from being dropped, truncated or rewritten, which no snapshot hides; readers and writers go on. */
export function lockTablesSql(tables: readonly { readonly schema: string; readonly name: string }[]): string {
  const names = tables.map((table) => `ONLY ${quoteName(table)}`);
  return `LOCK TABLE ${names.join(", ")} IN ACCESS SHARE MODE`;
}
