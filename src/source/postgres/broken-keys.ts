import { hash } from "node:crypto";
import * as z from "zod";
import type { Cancel } from "../../lib/cancel.ts";
import type { Obstacle } from "./obstacles.ts";
import { copyTableSql } from "./relations.ts";
import type { PsqlSession } from "./session.ts";

const Side = z.object({ schema: z.string(), name: z.string(), columns: z.array(z.string()).min(1) });
const Key = z.object({
  name: z.string(),
  table: Side,
  other: Side,
  /** MATCH FULL: a row counts when any of its columns is set. */
  full: z.boolean(),
});
type Key = z.infer<typeof Key>;

const MOST_NAMES = 10;
/** Of a table on the server's disk, in bytes: what is larger is not looked at. That is half a million rows at most. */
const LARGEST = 16 * 1024 * 1024;
/** No key that is in an index is longer. */
const LONGEST_LINE = 64 * 1024;

/**
 * Foreign keys that rows break: loaded with triggers off (session_replication_role, --disable-triggers), or by a broken index.
 * Rows are read by COPY and compared here, as their texts, since a join would run what an owner wrote into an index as the
 * superuser who reads. So only keys between small tables, of equal types whose text is the same for equal values.
 *
 * @param session in a transaction that holds the locks of `lockRelations`
 * @param how `withinMs`: no table is begun later; `encoding` of the database
 */
export async function brokenKeys(
  session: PsqlSession,
  how: Cancel & { readonly encoding: string; readonly withinMs: number },
): Promise<readonly Obstacle[]> {
  const until = Date.now() + how.withinMs;
  const broken: Key[] = [];
  for (const key of z.array(Key).parse(await session.json(KEYS_SQL))) {
    how.signal.throwIfAborted();
    if (Date.now() > until) break;
    if (await isBroken(session, key, how.encoding)) broken.push(key);
  }
  if (broken.length === 0) return [];
  const names = broken
    .slice(0, MOST_NAMES)
    .map(({ name, table }) => `${name} of ${table.schema}.${table.name}`);
  return [{ kind: "foreign-key", names, count: broken.length }];
}

async function isBroken(
  session: PsqlSession,
  { table, other, full }: Key,
  encoding: string,
): Promise<boolean> {
  const there = new Set<bigint>();
  await forEachLine(session, copyTableSql(other, encoding), (line) => there.add(short(line)));
  let found = false;
  await forEachLine(session, copyTableSql(table, encoding), (line) => {
    if (!found) found = refers(line, full) && !there.has(short(line));
  });
  return found;
}

async function forEachLine(session: PsqlSession, copy: string, take: (line: Buffer) => void): Promise<void> {
  let line = Buffer.alloc(0);
  await session.rows(copy, (bytes, isLast) => {
    if (line.length === 0 && isLast) return take(Buffer.from(bytes));
    if (line.length < LONGEST_LINE) line = Buffer.concat([line, bytes]);
    if (!isLast) return;
    take(line);
    line = Buffer.alloc(0);
  });
}

/** Whether a row has something to find at all. */
function refers(line: Buffer, full: boolean): boolean {
  const isNull = (value: string) => value === "\\N";
  const values = line.toString("latin1").split("\t");
  return full ? !values.every(isNull) : !values.some(isNull);
}

function short(line: Buffer): bigint {
  return hash("sha256", line, "buffer").readBigUInt64BE(0);
}

/** Types of which equal values have the same text; of texts those whose collation takes no two for equal. */
const TYPES =
  "'int2', 'int4', 'int8', 'oid', 'uuid', 'bool', 'date', 'timestamp', 'timestamptz', 'bytea', 'text', 'varchar'";

function sideSql(relation: string, space: string, numbers: string): string {
  return `json_build_object('schema', ${space}.nspname, 'name', ${relation}.relname, 'columns',
    (SELECT json_agg(a.attname ORDER BY k.nr) FROM unnest(${numbers}) WITH ORDINALITY AS k (attnum, nr)
      JOIN pg_attribute a ON a.attrelid = ${relation}.oid AND a.attnum = k.attnum))`;
}

const KEYS_SQL = `SELECT json_build_object('name', c.conname, 'full', c.confmatchtype = 'f',
  'table', ${sideSql("t", "tn", "c.conkey")}, 'other', ${sideSql("r", "rn", "c.confkey")})
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE c.contype = 'f' AND c.convalidated AND t.relkind = 'r' AND r.relkind = 'r'
  AND pg_relation_size(t.oid) <= ${LARGEST} AND pg_relation_size(r.oid) <= ${LARGEST}
  AND NOT EXISTS (SELECT FROM unnest(c.conpfeqop) AS o WHERE o >= 16384)
  AND NOT EXISTS (
    SELECT FROM unnest(c.conkey, c.confkey) AS k (mine, its)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.mine
    JOIN pg_attribute b ON b.attrelid = r.oid AND b.attnum = k.its
    WHERE a.atttypid <> b.atttypid OR a.attgenerated <> '' OR b.attgenerated <> ''
      OR NOT EXISTS (SELECT FROM pg_type y WHERE y.oid = a.atttypid AND y.oid < 16384 AND y.typname IN (${TYPES}))
      OR EXISTS (SELECT FROM pg_collation l WHERE l.oid IN (a.attcollation, b.attcollation) AND NOT l.collisdeterministic))
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid IN (t.oid, r.oid) AND e.deptype = 'e')
ORDER BY tn.nspname COLLATE "C", t.relname COLLATE "C", c.conname COLLATE "C"`;
