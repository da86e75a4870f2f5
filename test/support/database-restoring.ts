import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DatabaseReplacementOptions,
  openDatabaseReplacement,
} from "../../src/guided/database/replacement.ts";
import type { Replacement } from "../../src/guided/run/replacement.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { PackPool } from "../../src/pack/pool.ts";
import type { PostgresPolicy } from "../../src/policy/schema.ts";
import type { SnapshotRecord, SourceRecord } from "../../src/snapshot/record.ts";
import type { Postgres } from "./postgres.ts";
import { type Capture, capture } from "./postgres-captures.ts";
import { scratchDirectory } from "./scratch.ts";
import { readPartsOf, TinyRepository } from "./tiny-repository.ts";

const CHUNK = 1024 * 1024;

/** A capture as it lies in a repository. */
export interface StoredDatabase {
  readonly tiny: TinyRepository;
  readonly record: SourceRecord;
  readonly snapshot: SnapshotRecord;
  readonly captured: Capture;
}

/** Capture a database and put it into a repository of its own; `change` alters files and facts on the way. */
export async function storeDatabase(
  policy: PostgresPolicy,
  change: {
    readonly files?: Readonly<Record<string, string | Buffer>>;
    readonly facts?: Readonly<Record<string, unknown>>;
  } = {},
): Promise<StoredDatabase> {
  const captured = await capture(policy);
  const tiny = await TinyRepository.create();
  const entries = [];
  for (const path of ["database.dump", "database.sql", "roles.sql"]) {
    const bytes = Buffer.from(change.files?.[path] ?? captured.sink.bytes(path));
    const views = Array.from({ length: Math.ceil(bytes.length / CHUNK) }, (_, nr) =>
      bytes.subarray(nr * CHUNK, (nr + 1) * CHUNK),
    );
    entries.push({ path, mode: 0o600, chunks: await tiny.pack(...views) });
  }
  const facts = JSON.parse(JSON.stringify({ ...captured.facts, ...change.facts }));
  const record = await tiny.source({ name: policy.name, kind: "postgres", entries, facts });
  const { record: snapshot } = await tiny.commit([record]);
  return { tiny, record, snapshot, captured };
}

/** Where replacements of a test keep what they keep, and what they share. Closing it removes all of it. */
export interface Bench extends AsyncDisposable {
  readonly host: Host;
  /** The run's directory. */
  readonly directory: string;
  options(
    stored: StoredDatabase,
    policy: PostgresPolicy,
    change?: Partial<DatabaseReplacementOptions>,
  ): DatabaseReplacementOptions;
  open(
    stored: StoredDatabase,
    policy: PostgresPolicy,
    change?: Partial<DatabaseReplacementOptions>,
  ): Replacement;
}

export const RUN = "20261124t003638-a1b2c3";

export async function openBench(): Promise<Bench> {
  await using undo = new AsyncDisposableStack();
  const host = undo.use(await openLocalHost());
  const pool = undo.use(new PackPool(1));
  const scratch = undo.use(await scratchDirectory());
  const base = await mkdtemp(join(tmpdir(), "drops-run-"));
  undo.defer(() => rm(base, { recursive: true, force: true }));
  await chmod(base, 0o711);
  const directory = join(base, RUN);
  const options: Bench["options"] = ({ tiny, record, snapshot }, policy, change) => ({
    host,
    run: RUN,
    policy,
    record,
    snapshot,
    parts: { ...readPartsOf(tiny), pool },
    scratch: scratch.path,
    directory,
    ...change,
  });
  const open = undo.move();
  return {
    host,
    directory,
    options,
    open: (...what) => openDatabaseReplacement(options(...what)),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** All databases with what can be seen of them from outside, without ids. */
export function databasesOf(pg: Postgres): Promise<string> {
  return pg.psql(
    "postgres",
    `SELECT datname, pg_get_userbyid(datdba), datallowconn, datconnlimit, datistemplate, datacl, encoding, datcollate,
       shobj_description(oid, 'pg_database'),
       (SELECT array_agg((setrole::regrole, setconfig) ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)
     FROM pg_database d WHERE datname NOT LIKE 'template_' ORDER BY datname COLLATE "C"`,
  );
}
