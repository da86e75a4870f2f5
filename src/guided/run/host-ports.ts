/** What the runner of a guided restore works on, made of the real things. */

import type { Cancel } from "../../lib/cancel.ts";
import { pathsOf } from "../../source/scope.ts";
import type { RunOf } from "../journal/run-meta.ts";
import { gather } from "../plan/gather.ts";
import { bytesOf, namesOf, type ReplacementGroup } from "../plan/groups.ts";
import { lookAtAppservice } from "../preflight/appservice.ts";
import { preflightHost } from "../preflight/preflight.ts";
import { Gate } from "../services/gate.ts";
import { waitReady } from "../services/ready.ts";
import { checkService } from "../services/service-checks.ts";
import { watchUnits } from "../services/stays-up.ts";
import { startUnit, stopUnits, unitStates } from "../services/units.ts";
import type { CheckResult } from "./check.ts";
import { probeOld } from "./fence.ts";
import type { Probes, RestorePorts, RollbackPorts } from "./ports.ts";
import { openReplacements, type PortParts, preflightDatabases } from "./replacements.ts";

export function rollbackPorts(parts: PortParts): RollbackPorts {
  const { host, run, journal } = parts;
  const units = run.restore.units.map(({ unit }) => unit);
  return {
    journal,
    gate: new Gate(host, { file: run.restore.gate, units }),
    services: {
      states: (names, how) => unitStates(host, names, how),
      stop: (names, how) => stopUnits(host, names, how),
      start: (unit, how) => startUnit(host, unit, how),
      waitReady: (unit, how) => waitReady(host, unit, how),
      watch: (started, how) => watchUnits(host, started, how),
    },
    replacements: openReplacements(parts),
  };
}

export function restorePorts(parts: PortParts): RestorePorts {
  const { host, run, groups, read } = parts;
  const { restore, snapshot, sources } = run;
  const probes: Probes = {
    oldMachine: (how) =>
      run.oldAddresses.length === 0
        ? Promise.resolve([])
        : probeOld({ addresses: run.oldAddresses, restoredOnto: addressOf(run) }, how),
    preflight: (how) => preflight(parts, how),
    appservice: async (how) => {
      const { appservice } = restore;
      if (!appservice) return [];
      const homeserver = sources.find(({ name }) => name === appservice.homeserver);
      const homeserverPath = homeserver?.kind === "rocksdb" ? homeserver.path : undefined;
      return lookAtAppservice(appservice, { host, parts: read, snapshot, groups, homeserverPath }, how);
    },
    service: (how) => checkService(host, checksOf(run, groups), sources, how),
  };
  return { ...rollbackPorts(parts), probes };
}

/** Of what was restored: a check of another source says nothing about this run. */
function checksOf(run: RunOf, groups: readonly ReplacementGroup[]): RunOf["restore"]["checks"] {
  const restored = groups.flatMap(namesOf);
  return run.restore.checks.filter(({ source }) => restored.includes(source));
}

function addressOf({ target }: RunOf): string | undefined {
  return target === "local" ? undefined : target.address;
}

async function preflight(parts: PortParts, how: Cancel): Promise<readonly CheckResult[]> {
  const { host, run, groups, read } = parts;
  const { snapshot } = run;
  const names = groups.flatMap(namesOf);
  const records = snapshot.sources.filter(({ name }) => names.includes(name));
  const gathered = await gather(read, snapshot, records, how);
  const identity = {
    name: "identity and signature",
    ok: true,
    found: `snapshot ${snapshot.id} is signed by a trusted key, and ${gathered.sources.length} manifests open`,
  };
  const paths = groups.filter((group) => group.kind === "paths");
  const checks = await preflightHost(
    host,
    {
      gate: run.restore.gate,
      units: run.restore.units.map(({ unit }) => unit),
      snapshot: { ended: snapshot.ended, host: snapshot.host },
      users: gathered.users,
      groups: gathered.groups,
      targets: paths.map((group) => ({
        path: pathsOf(group.sources[0]?.policy ?? raise())[0] ?? "/",
        bytes: bytesOf(group),
        entries: gathered.sources
          .filter(({ record }) => namesOf(group).includes(record.name))
          .reduce((sum, { entries }) => sum + entries, 0),
      })),
      databases: gathered.sources.flatMap(({ record, head }) => {
        const policy = run.sources.find(({ name }) => name === record.name);
        if (policy?.kind !== "rocksdb") return [];
        const version = head.facts["rocksdb_version"];
        return [
          {
            source: record.name,
            path: policy.path,
            rocksdbVersion: typeof version === "string" ? version : undefined,
          },
        ];
      }),
    },
    { ...how, now: read.now },
  );
  return [identity, ...checks, ...(await preflightDatabases(parts, how))];
}

function raise(): never {
  throw new RangeError("a group without sources");
}
