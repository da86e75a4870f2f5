/** What a run replaces on its host, opened. */

import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { PackPool } from "../../pack/pool.ts";
import type { ReadParts } from "../../restore/choose.ts";
import { preflightDatabase } from "../database/preflight.ts";
import { openDatabaseReplacement } from "../database/replacement.ts";
import type { Journal } from "../journal/journal.ts";
import type { RunOf } from "../journal/run-meta.ts";
import { openPathReplacement } from "../paths/replacement.ts";
import type { DatabaseGroup, ReplacementGroup } from "../plan/groups.ts";
import type { CheckResult } from "./check.ts";
import type { Replacement } from "./replacement.ts";

export interface PortParts {
  readonly host: Host;
  readonly run: RunOf;
  readonly groups: readonly ReplacementGroup[];
  readonly journal: Journal;
  readonly read: SnapshotParts;
  /** A directory of this machine for what is needed again later. */
  readonly scratch: string;
}

/** What data is read with. For a rollback the store in it is one that is closed. */
export type SnapshotParts = ReadParts & { readonly pool: PackPool };

/** By the name of their group. Looks at nothing yet. */
export function openReplacements(parts: PortParts): ReadonlyMap<string, Replacement> {
  return new Map(parts.groups.map((group) => [group.name, open(parts, group)]));
}

/** What each database needs of the server. */
export async function preflightDatabases(parts: PortParts, how: Cancel): Promise<readonly CheckResult[]> {
  const checks: CheckResult[] = [];
  for (const group of parts.groups)
    if (group.kind === "database")
      checks.push(...(await preflightDatabase(databaseOptions(parts, group), how)));
  return checks;
}

function open(parts: PortParts, group: ReplacementGroup): Replacement {
  if (group.kind === "database") return openDatabaseReplacement(databaseOptions(parts, group));
  const { host, run, read, scratch } = parts;
  const common = { host, run: run.run, snapshot: run.snapshot, parts: read, scratch };
  return openPathReplacement({ ...common, sources: group.sources });
}

function databaseOptions({ host, run, read, scratch }: PortParts, { record, policy }: DatabaseGroup) {
  const units = run.restore.units.map(({ unit }) => unit);
  return { host, run: run.run, policy, record, snapshot: run.snapshot, parts: read, scratch, units };
}
