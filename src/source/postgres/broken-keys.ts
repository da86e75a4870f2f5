import * as z from "zod";
import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import type { PostgresClient } from "./client.ts";
import type { Obstacle } from "./obstacles.ts";
import { quoteIdentifier, quoteName } from "./quote.ts";
import { PsqlSession } from "./session.ts";

const Named = z.object({ schema: z.string(), name: z.string() });
const Key = z.object({
  name: z.string(),
  table: Named,
  other: Named,
  /** MATCH FULL: a row counts when any of its columns is set. */
  full: z.boolean(),
  columns: z.array(z.tuple([z.string(), z.string()])).min(1),
  /** Between plain tables, by operators of PostgreSQL's own: nothing of the database runs when they are compared. */
  safe: z.boolean(),
});
type Key = z.infer<typeof Key>;

const MOST_NAMES = 10;

/**
 * Foreign keys that rows break: loaded with triggers off (session_replication_role, --disable-triggers), or by a broken index. They
 * are looked for as ALTER TABLE … ADD FOREIGN KEY does it, in a session of its own, for no longer than `withinMs` in all.
 *
 * @param snapshot to see; exported by a session that holds the tables' locks, so that no name changes its meaning
 */
export async function brokenKeys(
  client: PostgresClient,
  how: Cancel & { readonly snapshot: string; readonly withinMs: number },
): Promise<readonly Obstacle[]> {
  const until = Date.now() + how.withinMs;
  await using session = await PsqlSession.open(client, how);
  await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  await session.run(`SET TRANSACTION SNAPSHOT '${how.snapshot.replace(/[^0-9A-Fa-f-]/g, "")}'`);
  const keys = z.array(Key).parse(await session.json(KEYS_SQL));
  const broken: Key[] = [];
  const left = keys.filter(({ safe }) => !safe);
  for (const [at, key] of keys.entries()) {
    if (!key.safe) continue;
    try {
      await session.run(`SET LOCAL statement_timeout = ${Math.max(1, until - Date.now())}`);
      const [isBroken] = await session.json(brokenSql(key));
      if (isBroken === true) broken.push(key);
    } catch (error) {
      how.signal.throwIfAborted();
      if (!isFailure(error, "source/failed")) throw error;
      left.push(...keys.slice(at).filter(({ safe }) => safe));
      break;
    }
  }
  return [...obstacle("foreign-key", broken), ...obstacle("foreign-key-unchecked", left)];
}

function obstacle(kind: string, keys: readonly Key[]): readonly Obstacle[] {
  const names = keys
    .slice(0, MOST_NAMES)
    .map(({ name, table }) => `${name} of ${table.schema}.${table.name}`);
  return keys.length === 0 ? [] : [{ kind, names, count: keys.length }];
}

/** As PostgreSQL's ri_triggers.c, RI_Initial_Check. */
function brokenSql({ table, other, full, columns }: Key): string {
  const [pk, fk] = ["p", "f"];
  const pairs = columns.map(
    ([mine, its]) => `${pk}.${quoteIdentifier(its)} OPERATOR(pg_catalog.=) ${fk}.${quoteIdentifier(mine)}`,
  );
  const set = columns.map(([mine]) => `${fk}.${quoteIdentifier(mine)} IS NOT NULL`);
  const [[, first]] = columns as [Key["columns"][number]];
  return `SELECT to_json(EXISTS (SELECT FROM ONLY ${quoteName(table)} AS ${fk} LEFT JOIN ONLY ${quoteName(other)} AS ${pk}
  ON ${pairs.join(" AND ")} WHERE ${pk}.${quoteIdentifier(first)} IS NULL AND (${set.join(full ? " OR " : " AND ")})))`;
}

const KEYS_SQL = `SELECT json_build_object('name', c.conname,
  'table', json_build_object('schema', tn.nspname, 'name', t.relname),
  'other', json_build_object('schema', rn.nspname, 'name', r.relname),
  'full', c.confmatchtype = 'f',
  'columns', (SELECT json_agg(json_build_array(a.attname, b.attname) ORDER BY k.nr)
    FROM unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (mine, its, nr)
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
    JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.its),
  'safe', t.relkind = 'r' AND r.relkind = 'r' AND NOT EXISTS (SELECT FROM unnest(c.conpfeqop) AS o WHERE o >= 16384))
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE c.contype = 'f' AND c.convalidated AND c.conparentid = 0
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = t.oid AND e.deptype = 'e')
ORDER BY tn.nspname COLLATE "C", t.relname COLLATE "C", c.conname COLLATE "C"`;
