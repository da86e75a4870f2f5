import * as z from "zod";
import { DropsError } from "../../lib/errors.ts";
import { measureTableV1 } from "./digest-v1.ts";
import { Measure, type TableFacts } from "./facts.ts";
import {
  copyTableSql,
  ENCODING_SQL,
  LARGE_OBJECTS_SQL,
  lockTablesSql,
  RELATIONS_SQL,
  SEQUENCES_SQL,
  strangersSql,
} from "./relations.ts";
import { DIGEST_VERSION, type DigestVersion, RowDigest } from "./row-digest.ts";
import type { PsqlSession } from "./session.ts";

const Listed = z.object({
  schema: z.string(),
  name: z.string(),
  kind: z.string(),
  oid: z.string().regex(/^\d+$/),
  columns: z.array(z.string()),
  inherits: z.boolean(),
});
export type ListedRelation = z.infer<typeof Listed>;

/**
 * The relations that this transaction sees; the tables among them are locked against being dropped or truncated. Throws
 * source/failed when one was replaced by another relation before it was locked.
 */
export async function lockRelations(session: PsqlSession): Promise<readonly ListedRelation[]> {
  const relations = z.array(Listed).parse(await session.json(RELATIONS_SQL));
  const tables = relations.filter(isTable);
  if (tables.length === 0) return relations;
  await session.run(lockTablesSql(tables));
  const [stranger] = z.array(Named).parse(await session.json(strangersSql(tables)));
  if (stranger === undefined) return relations;
  throw new DropsError("source/failed", `table ${nameOf(stranger)} was replaced while it was being locked`, {
    hint: "tables change during the backup: run it again later",
  });
}

const Named = z.object({ schema: z.string(), name: z.string() });

export interface MeasureHow {
  /**
   * The version of digests; undefined: rows are counted alone. `v1`, of old snapshots, is computed by the server, where a
   * superuser runs what the tables' owners wrote: only for a server that has nothing to lose.
   */
  readonly digest: DigestVersion | undefined;
}

/**
 * Count and digest every table that the session's transaction sees, one after the other. A restore and a drill call
 * this in their own session and compare with `differences`.
 */
export async function measureDatabase(
  session: PsqlSession,
  how: MeasureHow & { readonly relations: readonly ListedRelation[] },
): Promise<Measure> {
  const [{ encoding }] = Encoding.parse(await session.json(ENCODING_SQL));
  const tables: TableFacts[] = [];
  for (const table of how.relations.filter(isTable)) {
    const { schema, name } = table;
    tables.push({ schema, name, ...(await measureTable(session, table, { ...how, encoding })) });
  }
  const [large] = LargeObjects.parse(await session.json(LARGE_OBJECTS_SQL));
  return {
    ...(how.digest === undefined ? {} : { digest_version: how.digest }),
    tables,
    uncounted: how.relations
      .filter((relation) => !isTable(relation))
      .map(({ schema, name, kind }) => ({ schema, name, kind })),
    sequences: Measure.shape.sequences.parse(await session.json(SEQUENCES_SQL)),
    large_objects: large.count,
  };
}

async function measureTable(
  session: PsqlSession,
  table: ListedRelation,
  { digest, encoding }: MeasureHow & { readonly encoding: string },
): Promise<Pick<TableFacts, "rows" | "digest">> {
  const copy = copyTableSql(table, encoding);
  switch (digest) {
    case "v1":
      return table.inherits ? countRows(session, copy) : measureTableV1(session, table);
    case undefined:
      return countRows(session, copy);
    case DIGEST_VERSION: {
      const sum = new RowDigest();
      await session.rows(copy, (bytes, isLast) => sum.add(bytes, isLast));
      return { rows: sum.rows, digest: sum.digest };
    }
  }
}

/** Counted where psql runs: a line feed in a value is written as two other characters. */
async function countRows(session: PsqlSession, copy: string): Promise<Pick<TableFacts, "rows">> {
  const [rows = ""] = await session.run(`${copy} \\g |wc -l`);
  return { rows: z.string().regex(/^\d+$/).parse(rows.trim()) };
}

/** Measure all that the session sees, in one transaction of its own. */
export async function measureNow(session: PsqlSession, how: MeasureHow): Promise<Measure> {
  await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const measured = await measureDatabase(session, { ...how, relations: await lockRelations(session) });
  await session.run("COMMIT");
  return measured;
}

/**
 * What a restored database lacks or has changed, a line each; empty when it is the captured one. Digests are compared
 * when both sides have them in the same version. A sequence may be further than captured, never behind.
 */
export function differences(captured: Measure, restored: Measure): readonly string[] {
  const digests =
    captured.digest_version !== undefined && captured.digest_version === restored.digest_version;
  const found: string[] = [];
  const there = new Map(restored.tables.map((table) => [nameOf(table), table]));
  for (const table of captured.tables) {
    const name = nameOf(table);
    const other = there.get(name);
    there.delete(name);
    if (other === undefined) found.push(`table ${name} is missing`);
    else if (other.rows !== table.rows)
      found.push(`table ${name} has ${other.rows} rows instead of ${table.rows}`);
    else if (digests && isOther(table.digest, other.digest))
      found.push(`table ${name} has other rows than captured`);
  }
  for (const name of there.keys()) found.push(`table ${name} was not captured`);
  found.push(...sequencesBehind(captured, restored));
  if (captured.large_objects !== restored.large_objects) {
    found.push(`there are ${restored.large_objects} large objects instead of ${captured.large_objects}`);
  }
  return found;
}

function sequencesBehind(captured: Measure, restored: Measure): readonly string[] {
  const there = new Map(restored.sequences.map((sequence) => [nameOf(sequence), sequence]));
  return captured.sequences.flatMap((sequence) => {
    const name = nameOf(sequence);
    const other = there.get(name);
    if (other === undefined) return [`sequence ${name} is missing`];
    if (sequence.last_value === null || sequence.last_value === other.last_value) return [];
    const descending = BigInt(sequence.last_value) < 0n; // only then do values fall in practice
    const ahead =
      other.last_value !== null && (descending || BigInt(other.last_value) >= BigInt(sequence.last_value));
    return ahead
      ? []
      : [`sequence ${name} is at ${other.last_value ?? "its start"}, behind ${sequence.last_value}`];
  });
}

const Encoding = z.tuple([z.object({ encoding: z.string() })]);
const LargeObjects = z.tuple([z.object({ count: z.string() })]);

/** One that has none was digested in a way that says nothing of it. */
function isOther(captured: string | undefined, restored: string | undefined): boolean {
  return captured !== undefined && restored !== undefined && captured !== restored;
}

function isTable(relation: ListedRelation): boolean {
  return relation.kind === "table";
}

function nameOf(named: { readonly schema: string; readonly name: string }): string {
  return `${named.schema}.${named.name}`;
}
