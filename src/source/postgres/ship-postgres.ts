import { Readable } from "node:stream";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure, messageOf } from "../../lib/errors.ts";
import { releaseAfterRead } from "../../lib/release-after-read.ts";
import { outputHead, type SourceSink } from "../source.ts";
import { checkedArchive } from "./archive.ts";
import type { PostgresClient } from "./client.ts";
import { toolFailure, warningsIn } from "./failure.ts";
import type { PsqlSession } from "./session.ts";
import { Spool } from "./spool.ts";

export interface PostgresShipment extends Cancel {
  readonly client: PostgresClient;
  /** Holds `snapshot`; released as soon as pg_dump has ended. */
  readonly session: PsqlSession;
  readonly snapshot: string;
  /** Of the database. */
  readonly encoding: string;
  readonly capturedAt: Date;
  readonly spool: boolean;
  /** About how many bytes the dump will have. */
  readonly estimate: bigint;
  readonly databaseSql: string;
  readonly rolesSql: Uint8Array;
}

/** The entries of a PostgreSQL source, in ascending order of path: `database.dump`, `database.sql`, `roles.sql`. */
export async function shipPostgres(into: SourceSink, shipment: PostgresShipment): Promise<void> {
  const how = { cutting: "content", signal: shipment.signal } as const;
  if (!(await shipSpooled(into, shipment))) await shipStreamed(into, shipment);
  await into.file(
    outputHead("database.sql", shipment.capturedAt),
    Readable.from([Buffer.from(shipment.databaseSql)]),
    how,
  );
  await into.file(outputHead("roles.sql", shipment.capturedAt), Readable.from([shipment.rolesSql]), how);
}

/** By way of a file on the host, so that the snapshot is released before the upload. False when there is no room. */
async function shipSpooled(into: SourceSink, shipment: PostgresShipment): Promise<boolean> {
  const { client, signal } = shipment;
  if (!shipment.spool) return false;
  const opened = await Spool.open(client, {
    estimate: shipment.estimate,
    pgDump: dumpArguments(shipment),
    signal,
  });
  if (!(opened instanceof Spool)) return noRoom(into, opened.noRoom);
  await using spool = opened;
  const dump = await spool.dump(shipment);
  if ("noRoom" in dump) return noRoom(into, dump.noRoom);
  await releaseSnapshot(shipment);
  for (const warning of warningsIn(dump.stderr)) into.note(warning);

  const list = `reading the archive list of the dump of ${client.label}`;
  const listed = await client.runAny(
    ["sh", "-c", '"$@" >/dev/null', "drops", ...client.words("pg_restore", ["--list", dump.path])],
    shipment,
  );
  if (listed.exit !== 0) throw toolFailure("pg_restore", list, listed);
  const bytes = checkedArchive(spool.read(dump, shipment), `pg_dump of ${client.label}`);
  await into.file(outputHead("database.dump", shipment.capturedAt), bytes, { cutting: "content", signal });
  return true;
}

function noRoom(into: SourceSink, why: string): false {
  into.note(`the dump was not spooled but streamed, so its snapshot was held for the upload: ${why}`);
  return false;
}

async function shipStreamed(into: SourceSink, shipment: PostgresShipment): Promise<void> {
  const warnings: string[] = [];
  const bytes = checkedArchive(streamDump(shipment, warnings), `pg_dump of ${shipment.client.label}`);
  await into.file(outputHead("database.dump", shipment.capturedAt), bytes, {
    cutting: "content",
    signal: shipment.signal,
  });
  for (const warning of warnings) into.note(warning);
}

/** Ends well only when pg_dump has, and the snapshot was held until then: so the entry is not counted otherwise. */
async function* streamDump(shipment: PostgresShipment, warnings: string[]): AsyncGenerator<Uint8Array> {
  const { client } = shipment;
  await using command = await client.start(client.argv("pg_dump", dumpArguments(shipment)), shipment);
  yield* releaseAfterRead(command.stdout);
  const ended = await command.ended;
  if (ended.exit !== 0) throw toolFailure("pg_dump", `pg_dump of ${client.label}`, ended);
  warnings.push(...warningsIn(ended.stderr));
  await releaseSnapshot(shipment);
}

/** Throws source/failed when the session that holds the snapshot did not live until now. */
async function releaseSnapshot({ session, client, signal }: PostgresShipment): Promise<void> {
  try {
    await session.run("COMMIT");
  } catch (error) {
    signal.throwIfAborted();
    if (!isFailure(error, "source/failed")) throw error;
    throw new DropsError(
      "source/failed",
      `the snapshot of ${client.label} was lost before pg_dump had ended: ${messageOf(error)}`,
      { hint: "see in the server's log why the session ended, then run the backup again", cause: error },
    );
  }
  await session[Symbol.asyncDispose]();
}

/**
 * Uncompressed, so that what did not change is cut into the same chunks; in the encoding of the database, whatever
 * client_encoding its settings or its roles' would have it converted to.
 */
function dumpArguments({ snapshot, encoding }: PostgresShipment): readonly string[] {
  return ["-Fc", "-Z0", "-w", "--lock-wait-timeout=60s", `--encoding=${encoding}`, `--snapshot=${snapshot}`];
}
