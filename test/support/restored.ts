import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openLocalHost } from "../../src/host/local.ts";
import { PostgresClient } from "../../src/source/postgres/client.ts";
import { parsePostgresFacts } from "../../src/source/postgres/facts.ts";
import { differences, measureNow } from "../../src/source/postgres/measure.ts";
import { DIGEST_VERSION } from "../../src/source/postgres/row-digest.ts";
import { PsqlSession } from "../../src/source/postgres/session.ts";
import type { Postgres } from "./postgres.ts";
import { openAndCheck } from "./rocksdb-library.ts";

const run = promisify(execFile);

/** Open a copy of a restored RocksDB with the real library: all families agree, nothing published before is missing. */
export async function restoredHomeserver(
  directory: string,
  families: number,
  published = 1,
): Promise<{ counter: number }> {
  const copy = await mkdtemp(join(tmpdir(), "drops-restored-"));
  try {
    await cp(directory, copy, { recursive: true });
    return await openAndCheck(copy, { families, published });
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Load a restored dump into a scratch database and compare every count and digest with what was captured. */
export async function restoredBridge(
  postgres: Postgres,
  directory: string,
): Promise<{ tables: number; rows: number }> {
  const head: { facts: unknown } = JSON.parse(await readFile(`${directory}.facts.json`, "utf8"));
  const captured = parsePostgresFacts(head.facts);
  const scratch = `restored_${Date.now()}`;
  const signal = AbortSignal.timeout(600_000);
  await postgres.psql("postgres", `CREATE DATABASE ${scratch} TEMPLATE template0`);
  try {
    const server = ["-h", postgres.socketDir, "-p", String(postgres.port), "-U", postgres.user];
    await run(`${postgres.bin}/pg_restore`, [
      ...server,
      "-d",
      scratch,
      "--exit-on-error",
      join(directory, "database.dump"),
    ]);
    await using host = await openLocalHost();
    const client = new PostgresClient(host, postgres.policyFor(scratch));
    await using session = await PsqlSession.open(client, { signal });
    const restored = await measureNow(session, { digest: DIGEST_VERSION });
    assert.deepEqual(differences(captured, restored), []);
    const rows = restored.tables.reduce((sum, table) => sum + Number(table.rows), 0);
    assert.ok(rows > 0);
    return { tables: restored.tables.length, rows };
  } finally {
    await postgres.psql("postgres", `DROP DATABASE ${scratch} WITH (FORCE)`);
  }
}
