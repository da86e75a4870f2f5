import { groupSources } from "../../src/guided/plan/groups.ts";
import { planSteps } from "../../src/guided/plan/plan.ts";
import { DEFAULT_RATES } from "../../src/guided/plan/rates.ts";
import type { GuidedRun } from "../../src/guided/run/guided-run.ts";
import type { StepId } from "../../src/guided/run/steps.ts";
import { Restore } from "../../src/policy/restore-schema.ts";
import type { RestorePolicy, SourcePolicy } from "../../src/policy/schema.ts";
import type { SourceRecord } from "../../src/snapshot/record.ts";

const RUN = "20261124T003638-a1b2c3";
const HASH = "0".repeat(64);

export function recordOf(name: string, kind: SourceRecord["kind"], bytes = 1024 * 1024): SourceRecord {
  const stored = { sha256: HASH, size: 1 };
  return { name, kind, outcome: "stored", files: 1, bytes, manifest: stored, list: stored, notes: [] };
}

export function filesPolicy(name: string, ...paths: readonly string[]): SourcePolicy {
  return { name, kind: "files", paths: [...paths], exclude: [], optional: false, one_file_system: true };
}

export function rocksdbPolicy(name: string, path: string): SourcePolicy {
  return { name, kind: "rocksdb", path, mode: "hot", min_free: "512MiB" };
}

export function postgresPolicy(name: string, database: string): SourcePolicy {
  return { name, kind: "postgres", database, run_as: "postgres", digests: true, spool: true };
}

/** A small server: a database, a homeserver with its media, a bridge's files. */
export const SOURCES: readonly SourcePolicy[] = [
  postgresPolicy("bridge-db", "bridge"),
  rocksdbPolicy("homeserver-db", "/var/lib/hs/db"),
  filesPolicy("media", "/var/lib/hs/db/media"),
  filesPolicy("registrations", "/var/lib/registrations"),
  filesPolicy("bridge-state", "/var/lib/bridge"),
];

export const RESTORE: RestorePolicy = Restore.parse({
  units: [{ unit: "hs.service" }, { unit: "bridge.service", exits: { 16: "the as_token was not accepted" } }],
  appservice: { registration: "/var/lib/registrations/r.yaml", config: "/var/lib/bridge/config.yaml" },
  checklist: ["a message arrives"],
});

export function recordsOf(sources: readonly SourcePolicy[]): { sources: SourceRecord[] } {
  return { sources: sources.map(({ name, kind }) => recordOf(name, kind)) };
}

/** A run of the small server. */
export function guidedRun(
  how: {
    readonly only?: readonly string[];
    readonly steps?: readonly StepId[];
    readonly restore?: RestorePolicy;
  } = {},
): GuidedRun {
  const { only = [], steps = [], restore = RESTORE } = how;
  const { groups } = groupSources(SOURCES, recordsOf(SOURCES), only, restore.bootstrap);
  const facts = {
    run: RUN,
    restore,
    groups,
    host: "root@new",
    oldAddresses: ["old.example.org"],
    steps,
    realPath: (path: string) => path,
    rates: DEFAULT_RATES,
  };
  return {
    run: RUN,
    host: "root@new",
    started: new Date(1e12).toISOString(),
    restore,
    oldAddresses: facts.oldAddresses,
    groups,
    steps: planSteps(facts),
  };
}
