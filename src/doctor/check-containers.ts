import { REMOVED_HINT, removedBy } from "../guided/database/container.ts";
import { type Container, readContainers } from "../host/containers.ts";
import type { Policy } from "../policy/schema.ts";
import { pathsOf } from "../source/scope.ts";
import { isIn } from "./coverage.ts";
import { type Check, type Line, ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** Whether a restore can stop the containers that use what it replaces. */
export function containerCheck(world: World): Check {
  return {
    group: "host",
    name: "containers",
    needs: "host",
    why: "a restore stops the units of restore.units alone: a container that goes on writes into what was restored",
    run: async (how) => judgeContainers(world.loaded.policy, await readContainers(await world.host, how)),
  };
}

/** Pure. Exported for its tests. */
export function judgeContainers(policy: Policy, containers: readonly Container[]): Line[] {
  const roots = policy.sources.flatMap(pathsOf);
  const servers = policy.sources.flatMap((source) =>
    source.kind === "postgres" && source.container !== undefined ? [source.container] : [],
  );
  const projects = containers
    .filter(({ name }) => servers.includes(name))
    .flatMap(({ project }) => project ?? []);
  const units = policy.restore.units.map(({ unit }) => unit);
  const concerned = containers.filter(
    ({ name, runs, project, volumes }) =>
      runs &&
      (servers.includes(name) ||
        projects.includes(project ?? "") ||
        volumes.some(({ path }) => isIn(path, roots) || roots.some((root) => isIn(root, [path])))),
  );
  const lines = concerned.flatMap((container): Line[] => {
    const { name, unit } = container;
    if (servers.includes(name))
      return unit !== undefined && units.includes(unit) && container.isRemoved
        ? [warn(removedBy(name, unit), REMOVED_HINT)]
        : [];
    if (unit === undefined)
      return [warn(`the container ${name} uses what is backed up, and no systemd unit runs it`, NO_UNIT)];
    if (units.includes(unit)) return [];
    return [
      warn(
        `the container ${name} uses what is backed up, and restore.units does not name ${unit}, which runs it`,
        `add to the policy's restore.units: - unit: ${unit}`,
      ),
    ];
  });
  if (lines.length > 0) return lines;
  return [
    ok(
      concerned.length === 0
        ? "no container uses what is backed up"
        : `${concerned.length} containers, of units that a restore stops or leaves alone`,
    ),
  ];
}

const NO_UNIT =
  "write a unit for it or its compose project (ExecStart=docker compose up, ExecStop=docker compose stop), and name it in restore.units; or stop it by hand before a restore";
