import * as z from "zod";
import {
  type DigestVersion,
  LARGE_OBJECTS_SQL,
  lockTablesSql,
  measureTableSql,
  RELATIONS_SQL,
  SEQUENCES_SQL,
} from "./digest.ts";
import { Measure } from "./facts.ts";
import type { PsqlSession } from "./session.ts";

/** What is compared by its rows, and what is not. */
const Relations = z.array(
  Measure.shape.uncounted.element.extend({ columns: z.array(z.string()), inherits: z.boolean() }),
);
type Relations = z.infer<typeof Relations>;

/** The relations that this transaction sees; the tables among them are locked against being dropped or truncated. */
export async function lockRelations(session: PsqlSession): Promise<Relations> {
  const relations = Relations.parse(await session.json(RELATIONS_SQL));
  const tables = relations.filter(isTable);
  if (tables.length > 0) await session.run(lockTablesSql(tables));
  return relations;
}

/**
 * Count and digest every table that the session's transaction sees, one after the other. A restore and a drill call
 * this in their own session and compare with `differences`.
 */
export async function measureDatabase(
  session: PsqlSession,
  how: { readonly digest: DigestVersion | undefined; readonly relations: Relations },
): Promise<Measure> {
  const tables: Measure["tables"] = [];
  for (const table of how.relations.filter(isTable)) {
    const [measured] = TableAnswer.parse(await session.json(measureTableSql(table, how)));
    tables.push({ schema: table.schema, name: table.name, ...measured });
  }
  const [large] = LargeObjects.parse(await session.json(LARGE_OBJECTS_SQL));
  return {
    ...(how.digest === undefined ? {} : { digest_version: how.digest }),
    tables,
    uncounted: Measure.shape.uncounted.parse(how.relations.filter((relation) => !isTable(relation))),
    sequences: Measure.shape.sequences.parse(await session.json(SEQUENCES_SQL)),
    large_objects: large.count,
  };
}

/** Measure all that the session sees, in one transaction of its own; with the digests of `digest`, or without any. */
export async function measureNow(
  session: PsqlSession,
  how: { readonly digest: DigestVersion | undefined },
): Promise<Measure> {
  await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const measured = await measureDatabase(session, {
    digest: how.digest,
    relations: await lockRelations(session),
  });
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

const TableAnswer = z.tuple([z.object({ rows: z.string(), digest: z.string().optional() })]);
const LargeObjects = z.tuple([z.object({ count: z.string() })]);

/** One that has none was digested in a way that says nothing of it. */
function isOther(captured: string | undefined, restored: string | undefined): boolean {
  return captured !== undefined && restored !== undefined && captured !== restored;
}

function isTable(relation: Relations[number]): boolean {
  return relation.kind === "table";
}

function nameOf(named: { readonly schema: string; readonly name: string }): string {
  return `${named.schema}.${named.name}`;
}
