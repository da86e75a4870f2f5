import { inContainer } from "../../host/container.ts";
import { readContainers } from "../../host/containers.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { type CheckResult, failed, passed } from "../run/check.ts";
import type { DatabaseReplacementOptions } from "./replacement.ts";

/** What a restore into a container needs of it beside its server; empty for a server of the host. Throws as `Host.run`. */
export async function containerChecks(
  name: string,
  { host, policy, units = [] }: Pick<DatabaseReplacementOptions, "host" | "policy" | "units">,
  how: Cancel,
): Promise<readonly CheckResult[]> {
  const { container: called } = policy;
  if (called === undefined) return [];
  const tar = await inContainer(host, policy).run(["tar", "--version"], { ...how, okExits: ANY_EXIT });
  if (!tar.stdout.toString().includes("(GNU tar)")) {
    const hint =
      "the dump is brought by it: use an image that has it, or install it there (Alpine: apk add tar)";
    return [failed(name, `${called} has no GNU tar`, hint)];
  }
  const found = (await readContainers(host, how)).find((each) => each.name === called);
  if (found?.unit !== undefined && units.includes(found.unit) && found.isRemoved)
    return [failed(name, removedBy(called, found.unit), REMOVED_HINT)];
  return [passed(name, `${called} runs${found?.unit === undefined ? "" : `, by ${found.unit}`}`)];
}

/** A unit of `restore.units` that takes the database's container away. */
export function removedBy(container: string, unit: string): string {
  return `${unit} of restore.units removes the container ${container} when it is stopped, and a restore needs its server`;
}

export const REMOVED_HINT =
  "have the unit stop containers and keep them (ExecStop=docker compose stop, no --rm), or give the database a unit of its own";
