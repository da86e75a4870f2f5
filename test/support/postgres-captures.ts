import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import type { PostgresPolicy } from "../../src/policy/schema.ts";
import { freezePostgres } from "../../src/source/postgres/capture.ts";
import { PostgresClient } from "../../src/source/postgres/client.ts";
import { databaseSql } from "../../src/source/postgres/database-sql.ts";
import { type Measure, type PostgresFacts, parsePostgresFacts } from "../../src/source/postgres/facts.ts";
import { measureNow } from "../../src/source/postgres/measure.ts";
import { DIGEST_VERSION, type DigestVersion } from "../../src/source/postgres/row-digest.ts";
import { PsqlSession } from "../../src/source/postgres/session.ts";
import type { CaptureContext } from "../../src/source/source.ts";
import { type CollectingSink, collectingSink } from "./collecting-sink.ts";
import type { Postgres } from "./postgres.ts";

const run = promisify(execFile);

export interface Capture {
  readonly facts: PostgresFacts;
  readonly sink: CollectingSink;
}

export function captureContext(host: Host, more: Partial<CaptureContext> = {}): CaptureContext {
  return {
    host,
    policyName: "test",
    sources: [],
    rereadShare: 0,
    now: () => new Date(),
    random: Math.random,
    say: () => {},
    signal: AbortSignal.timeout(600_000),
    ...more,
  };
}

/** Freeze and ship; `between` happens after the freeze. The sink can be given, to see what came before a failure. */
export async function capture(
  policy: PostgresPolicy,
  how: {
    readonly host?: Host;
    readonly between?: () => Promise<unknown>;
    readonly sink?: CollectingSink;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Capture> {
  await using own = await openLocalHost();
  const sink = how.sink ?? collectingSink();
  const signal = how.signal ?? AbortSignal.timeout(600_000);
  await using frozen = await freezePostgres(policy, captureContext(how.host ?? own, { signal }));
  await how.between?.();
  await frozen.ship(sink, { signal });
  // as it would come back from a manifest
  return { facts: parsePostgresFacts(JSON.parse(JSON.stringify(frozen.facts))), sink };
}

/** Make a new database from a capture, under another name unless it is left out. */
export async function restoreCapture(pg: Postgres, { facts, sink }: Capture, name?: string): Promise<void> {
  const sql = name === undefined ? sink.bytes("database.sql").toString() : databaseSql(facts, name);
  await pg.psql("postgres", sql);
  const args = ["-h", pg.socketDir, "-p", String(pg.port), "-U", pg.user, "--exit-on-error", "-d"];
  const restore = run(`${pg.bin}/pg_restore`, [...args, name ?? facts.database]);
  restore.child.stdin?.on("error", () => {}).end(sink.bytes("database.dump"));
  await restore;
}

/** Count and digest a database as it is now. */
export async function measured(
  pg: Postgres,
  database: string,
  digest: DigestVersion = DIGEST_VERSION,
): Promise<Measure> {
  await using host = await openLocalHost();
  const how = { signal: AbortSignal.timeout(600_000), digest };
  await using session = await PsqlSession.open(new PostgresClient(host, pg.policyFor(database)), how);
  return await measureNow(session, how);
}

/** A directory of client programs, for `bin` of a policy: those given as sh scripts, the real ones for the rest. */
export async function toolbox(
  pg: Postgres,
  scripts: Readonly<Record<string, string>>,
  missing: readonly string[] = [],
): Promise<AsyncDisposable & { readonly bin: string }> {
  const bin = await mkdtemp(join(tmpdir(), "drops-tools-"));
  for (const name of ["psql", "pg_dump", "pg_dumpall", "pg_restore"]) {
    if (!(name in scripts) && !missing.includes(name)) await symlink(`${pg.bin}/${name}`, join(bin, name));
  }
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(bin, name), `#!/bin/sh\nreal=${pg.bin}\n${script}\n`, { mode: 0o755 });
  }
  await chmod(bin, 0o755);
  return { bin, [Symbol.asyncDispose]: () => rm(bin, { recursive: true }) };
}
