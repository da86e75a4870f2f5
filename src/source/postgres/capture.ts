import type { Cancel } from "../../lib/cancel.ts";
import type { PostgresPolicy } from "../../policy/schema.ts";
import type { CaptureContext, FrozenSource } from "../source.ts";
import { brokenKeys } from "./broken-keys.ts";
import { PostgresClient } from "./client.ts";
import { databaseSql } from "./database-sql.ts";
import type { Measure, PostgresFacts } from "./facts.ts";
import { lockRelations, measureDatabase } from "./measure.ts";
import { type Obstacle, obstacleNotes, readObstacles } from "./obstacles.ts";
import { readPrivileges } from "./privileges.ts";
import { type ReadFacts, readFacts } from "./read-facts.ts";
import { dumpRoles } from "./roles.ts";
import { DIGEST_VERSION } from "./row-digest.ts";
import { PsqlSession } from "./session.ts";
import { shipPostgres } from "./ship-postgres.ts";
import { checkDumpVersion, pgDumpVersion } from "./versions.ts";

export interface FrozenPostgres extends FrozenSource {
  /** Foreign keys that rows break, as far as they can be looked at in this time; see `brokenKeys`. */
  brokenKeys(how: Cancel & { readonly withinMs: number }): Promise<readonly Obstacle[]>;
}

/** A bound for looking at foreign keys, which reads their tables once more. */
const KEYS_WITHIN_MS = 5 * 60_000;

/**
 * Freeze a database: export a snapshot from a session that stays open. `ship` counts and digests every table and runs
 * pg_dump in that very snapshot. Throws source/failed with the next command to type when tools are missing or
 * too old, or the server, the database or the role refuse.
 */
export async function freezePostgres(source: PostgresPolicy, how: CaptureContext): Promise<FrozenPostgres> {
  const client = new PostgresClient(how.host, source);
  const pgDump = await pgDumpVersion(client, how);
  await using undo = new AsyncDisposableStack();
  const session = undo.use(await PsqlSession.open(client, how));
  const read = await readFacts(session);
  checkDumpVersion(pgDump, read.server, client.label);

  await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const [snapshot = ""] = await session.run("SELECT pg_export_snapshot()");
  const capturedAt = how.now();
  how.say(`${source.name}: snapshot ${snapshot} of ${client.label}`);
  const relations = await lockRelations(session);
  const { tablespaces, ...described } = await readFacts(session);
  const database = { ...described, privileges: [...(await readPrivileges(session))] };
  const seen = await readObstacles(session);
  const roles = await dumpRoles(client, { passwords: database.role_passwords, signal: how.signal });
  const brokenIn: FrozenPostgres["brokenKeys"] = (more) =>
    brokenKeys(session, { ...more, encoding: database.encoding });
  const open = undo.move();
  let measure: Measure | undefined;
  let obstacles = seen;
  return {
    capturedAt,
    brokenKeys: brokenIn,
    get facts() {
      return { kind: "postgres", ...database, ...measure, obstacles, pg_dump: pgDump };
    },
    // The snapshot is held anyway, so counting waits for it: the other sources' recovery points do not wait for counting.
    ship: async (into, { signal }) => {
      measure = await measureDatabase(session, {
        digest: source.digests ? DIGEST_VERSION : undefined,
        relations,
      });
      how.say(
        `${source.name}: ${measure.tables.length} tables counted${source.digests ? " and digested" : ""}`,
      );
      if (source.digests) obstacles = [...seen, ...(await brokenIn({ signal, withinMs: KEYS_WITHIN_MS }))];
      const facts: PostgresFacts = {
        kind: "postgres",
        ...database,
        ...measure,
        obstacles: [...obstacles],
        pg_dump: pgDump,
      };
      for (const note of [...notesOf(facts, tablespaces), ...obstacleNotes(obstacles)]) into.note(note);
      await shipPostgres(into, {
        client,
        session,
        snapshot,
        encoding: database.encoding,
        capturedAt,
        spool: isSpooled(source),
        estimate: BigInt(facts.size_bytes),
        databaseSql: databaseSql(facts),
        rolesSql: roles,
        signal,
      });
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/**
 * Not in a container, whose process 1 may be the server: what a script leaves to it when it ends (a process that was stopped by a
 * signal) it takes for a crash, and ends all sessions.
 */
export function isSpooled({ spool, container }: PostgresPolicy): boolean {
  return spool && container === undefined;
}

function notesOf(facts: PostgresFacts, tablespaces: ReadFacts["tablespaces"]): readonly string[] {
  const notes: string[] = [];
  if (!facts.role_passwords) {
    notes.push("roles.sql has no passwords, since the capturing role may not read them (use a superuser)");
  }
  const foreign = facts.uncounted.filter((relation) => relation.kind === "foreign");
  if (foreign.length > 0) {
    notes.push(`the rows of ${foreign.length} foreign tables lie elsewhere and are not in the dump`);
  }
  if (tablespaces.length > 0) {
    notes.push(
      `tablespaces ${tablespaces.join(", ")} are not made by a restore: use pg_restore --no-tablespaces`,
    );
  }
  return notes;
}
