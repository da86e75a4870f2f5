import { quoteIdentifier, quoteLiteral, quoteName } from "./quote.ts";

/**
 * The relations that hold rows, one JSON object each: `schema`, `name`, `kind`, `oid`, `inherits` (from another table, and no partition), and `columns`: those that COPY writes
 * (generated ones are computed again), by the bytes of their names, since a restore may change their order. Only kind `table`
 * is measured; the others hold nothing of their own (partitioned), are computed again (materialized view), lie elsewhere (foreign
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
  'oid', c.oid::text,
  'columns', (SELECT coalesce(json_agg(a.attname ORDER BY a.attname::text COLLATE "C"), '[]') FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = ''),
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

export const ENCODING_SQL = "SELECT json_build_object('encoding', getdatabaseencoding())";

/** Keeps tables from being dropped, truncated or rewritten, which no snapshot hides; readers and writers go on. */
export function lockTablesSql(tables: readonly Named[]): string {
  const names = tables.map((table) => `ONLY ${quoteName(table)}`);
  return `LOCK TABLE ${names.join(", ")} IN ACCESS SHARE MODE`;
}

/**
 * Those of `tables` whose name leads to another relation by now, or to what has no rows of its own: one JSON object each.
 * It looks past the snapshot, as every use of a name does.
 */
export function strangersSql(tables: readonly (Named & { readonly oid: string })[]): string {
  const listed = quoteLiteral(
    JSON.stringify(
      tables.map(({ schema, name, oid }) => ({ schema, name, oid, quoted: quoteName({ schema, name }) })),
    ),
  );
  return `SELECT json_build_object('schema', t.schema, 'name', t.name)
FROM json_to_recordset(${listed}) AS t (schema text, name text, oid oid, quoted text)
WHERE to_regclass(t.quoted)::oid IS DISTINCT FROM t.oid OR pg_relation_filenode(t.oid) IS NULL`;
}

/**
 * A table's own rows. Only COPY reads them safely: a SELECT follows a view, and runs whatever an owner wrote into an index of
 * the table (the planner evaluates functions of constants in it), as the superuser who reads.
 */
export function copyTableSql(
  table: Named & { readonly columns: readonly string[] },
  encoding: string,
): string {
  const columns = table.columns.length === 0 ? "" : ` (${table.columns.map(quoteIdentifier).join(", ")})`;
  return `COPY ${quoteName(table)}${columns} TO STDOUT WITH (FORMAT text, ENCODING ${quoteLiteral(encoding)})`;
}

interface Named {
  readonly schema: string;
  readonly name: string;
}
