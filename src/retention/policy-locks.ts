/** From a policy's `object_lock` to times. */
import type { BackupParts } from "../backup/snapshot-run.ts";
import { milliseconds } from "../lib/units.ts";
import type { ObjectLockPolicy, Policy } from "../policy/schema.ts";
import { type LockRules, locksOfNew } from "./lock-times.ts";
import { Calendar } from "./periods.ts";

export function lockRulesOf({ mode, margin, max }: ObjectLockPolicy): LockRules {
  return { mode, margin: milliseconds(margin), max: milliseconds(max) };
}

/** What a backup locks: until the day on which the plan will let its snapshot go. */
export function locksOf({ keep, zone }: Policy, policy: ObjectLockPolicy): NonNullable<BackupParts["locks"]> {
  const how = { rules: keep, calendar: new Calendar(zone), lock: lockRulesOf(policy) };
  return (earlier, at) => {
    const complete = earlier.filter(({ record }) => record.state === "complete");
    const dated = complete.map(({ record }) => ({ id: record.id, at: new Date(record.ended) }));
    return locksOfNew(dated, at, how);
  };
}
