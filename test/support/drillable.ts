import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DrillChoice, type DrillParts, type DrillResult, runDrill } from "../../src/drill/drill.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { PackPool } from "../../src/pack/pool.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import { seedBridge } from "./bridge-database.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { type Rehearsal, rehearse } from "./rehearsal.ts";
import { startRocksdbWriter } from "./rocksdb-writer.ts";

export type DrillChange = Partial<DrillParts> & Partial<DrillChoice> & { readonly signal?: AbortSignal };

/** A repository with one snapshot of a bridge's database, a RocksDB, files with a registration, and a command. */
export interface Drillable extends AsyncDisposable {
  readonly rehearsal: Rehearsal;
  readonly postgres: Postgres;
  readonly record: SnapshotRecord;
  /** Drill the newest snapshot; `change` replaces parts and options. */
  drill(change?: DrillChange): Promise<DrillResult>;
}

export const REGISTRATION = `id: slack
url: http://127.0.0.1:29335
as_token: as-secret-token
hs_token: hs-secret-token
sender_localpart: slackbot
namespaces: { users: [{ regex: "@slack_.*:example.org", exclusive: true }, { regex: "@slackbot:example.org", exclusive: true }] }
`;

const CONFIG = `homeserver: { domain: example.org }
appservice: { id: slack, address: "http://127.0.0.1:29335", bot: { username: slackbot }, as_token: as-secret-token, hs_token: hs-secret-token }
encryption: { allow: true, pickle_key: pickle-secret }
`;

/** The policy's own checks, one of each kind; each must be named in the result. */
export const CHECKS = `restore:
  appservice: { registration: "@DIR@/appservices/slack.yaml", config: "@DIR@/bridge/config.yaml" }
  checks:
    - { name: portals are there, source: bridge-db, sql: "SELECT count(*) > 0 FROM portal" }
    - { name: no superuser, source: bridge-db, sql: "SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user" }
    - { name: cannot gain power, source: homeserver-db, command: [grep, -q, "^NoNewPrivs:.1$", /proc/self/status] }
    - { name: media is there, source: files, command: [test, -s, "./@DIR@/media/picture.png"] }
`;

/** @param families of the RocksDB */
export async function drillable(families = 4): Promise<Drillable> {
  const postgres = await startPostgres();
  const bridge = await seedBridge(postgres, "bridge", { messages: 300 });
  const writer = await startRocksdbWriter({ families });
  await writer.reached(2000);
  const place = postgres.policyFor(bridge.database);
  const rehearsal = await rehearse({
    sources: `  - { name: bridge-db, kind: postgres, database: bridge, run_as: ${place.run_as}, host: ${postgres.socketDir}, port: ${postgres.port}, user: postgres, bin: ${postgres.bin} }
  - { name: homeserver-db, kind: rocksdb, path: ${writer.directory}, min_free: 1MiB }
  - { name: files, kind: files, paths: ["@DIR@/appservices", "@DIR@/media"] }
  - { name: bridge, kind: files, paths: ["@DIR@/bridge"] }
  - { name: bundle, kind: command, argv: [printf, "some words"] }
${CHECKS}`,
  });
  const at = rehearsal.directory;
  await mkdir(join(at, "appservices"));
  await mkdir(join(at, "media"));
  await mkdir(join(at, "bridge"));
  await writeFile(join(at, "bridge", "config.yaml"), CONFIG);
  await writeFile(join(at, "appservices", "slack.yaml"), REGISTRATION);
  await writeFile(join(at, "media", "picture.png"), "a picture");
  const { record } = await rehearsal.night();
  await writer[Symbol.asyncDispose]();
  return {
    rehearsal,
    postgres,
    record,
    drill: (change = {}) => drillNewest({ rehearsal, postgres }, change),
    async [Symbol.asyncDispose]() {
      await rehearsal[Symbol.asyncDispose]();
      await postgres[Symbol.asyncDispose]();
    },
  };
}

/** Drill the newest snapshot with this server's programs; `change` replaces parts and options. */
export async function drillNewest(
  { rehearsal, postgres }: Pick<Drillable, "rehearsal"> & { readonly postgres: Pick<Postgres, "bin"> },
  change: DrillChange = {},
): Promise<DrillResult> {
  await using pool = new PackPool(1);
  await using host = await openLocalHost();
  const { parts, recovery, store } = rehearsal;
  const { signal = AbortSignal.timeout(900_000), ...changed } = change;
  const all = {
    store,
    policyName: undefined,
    trust: parts.trust,
    identities: [recovery.identity],
    zone: "Europe/Berlin",
    now: () => new Date(),
    say: () => {},
    pool,
    host,
    policy: { policy: parts.policy, sha256: "0".repeat(64) },
    path: process.env["PATH"],
    programDirectories: [postgres.bin],
    node: process.execPath,
    choice: { date: "latest" },
    only: [],
    work: undefined,
    keep: false,
    user: "nobody",
    requireLibrary: false,
    runCommands: false,
    ...changed,
  };
  return await runDrill(all, all, { signal });
}
