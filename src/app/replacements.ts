/** What a run replaces on its host, opened. */

import { preflightDatabase } from "../guided/database/preflight.ts";
import { openDatabaseReplacement } from "../guided/database/replacement.ts";
import { openPathReplacement } from "../guided/paths/replacement.ts";
import type { DatabaseGroup, Group } from "../guided/plan/groups.ts";
import type { Check } from "../guided/run/check.ts";
import type { Replacement } from "../guided/run/replacement.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { HandsParts } from "./guided-world.ts";

/** By the name of their group. Looks at nothing yet. */
export function openReplacements(parts: HandsParts): ReadonlyMap<string, Replacement> {
  return new Map(parts.groups.map((group) => [group.name, open(parts, group)]));
}

/** What each database needs of the server. */
export async function preflightDatabases(parts: HandsParts, how: Cancel): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const group of parts.groups)
    if (group.kind === "database")
      checks.push(...(await preflightDatabase(databaseOptions(parts, group), how)));
  return checks;
}

function open(parts: HandsParts, group: Group): Replacement {
  if (group.kind === "database") return openDatabaseReplacement(databaseOptions(parts, group));
  const { host, run, read, scratch } = parts;
  const common = { host, run: run.run, snapshot: run.snapshot, parts: read, scratch };
  return openPathReplacement({ ...common, sources: group.sources });
}

function databaseOptions({ host, run, read, scratch }: HandsParts, { record, policy }: DatabaseGroup) {
  const units = run.restore.units.map(({ unit }) => unit);
  return { host, run: run.run, policy, record, snapshot: run.snapshot, parts: read, scratch, units };
}
