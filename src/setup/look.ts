import { databasesAt } from "../doctor/check-coverage.ts";
import { serverIn } from "../doctor/container-databases.ts";
import { OF_THE_SYSTEM } from "../doctor/coverage.ts";
import { type HostState, type RunningUnit, readHostState, type Tree } from "../doctor/host-state.ts";
import { type Container, readContainers } from "../host/containers.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { DatabaseName } from "../policy/schema.ts";
import { realPaths } from "../source/real-paths.ts";
import { below } from "../source/scope.ts";

export interface FoundDatabase {
  readonly name: string;
  readonly unit?: string;
  /** That its server runs in, and the superuser there. */
  readonly container?: string;
  readonly user?: string | undefined;
}

/** What a host has that a policy may want to name. */
export interface Found {
  /** Directories of RocksDB databases. */
  readonly rocksdb: readonly string[];
  /** `unit` runs as the user of the machine who has the owner's name. */
  readonly databases: readonly FoundDatabase[];
  /** State of running services, as systemd names it. */
  readonly states: readonly { readonly path: string; readonly unit: string }[];
  /** Where those paths lead to when symlinks are followed: with `DynamicUser` to /var/lib/private. */
  readonly leadsTo: Readonly<Record<string, string>>;
  /** Directories below /var/lib that no running service names, and that are not the system's. */
  readonly others: readonly Tree[];
  /** Files of PostgreSQL servers in containers: no backup without a dump. */
  readonly servers?: readonly string[];
  /** What could not be looked at, and why. */
  readonly notes: readonly string[];
}

/** A RocksDB directory has all three. Fields are ended by NUL. */
const ROCKSDB = `
timeout 30 find /var/lib /srv /opt "$@" -xdev -maxdepth 6 -name CURRENT -type f -exec sh -c '
  for current; do
    dir=\${current%/CURRENT}
    set -- "$dir"/MANIFEST-*
    [ -f "$dir/IDENTITY" ] && [ -f "$1" ] && printf "%s\\\\0" "$dir"
  done' sh {} + 2>/dev/null | sort -zu
exit 0
`;
/** What an empty directory has at most. Bytes. */
const EMPTY = 4096;
const DATABASES =
  "SELECT datname, pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY 1";

/** Look, without changing anything. Throws host/unreachable; what may not be seen is noted. */
export async function lookFor(host: Host, how: Cancel): Promise<Found> {
  const notes: string[] = [];
  const orNote = async <Value>(what: string, ask: () => Promise<Value>, instead: Value): Promise<Value> => {
    try {
      return await ask();
    } catch (error) {
      if (!isFailure(error) || isFailure(error, "host/unreachable", "interrupted")) throw error;
      notes.push(`${what}: ${error.message}`);
      return instead;
    }
  };
  // each field is ended by NUL; a name may be anything else, spaces too
  const fields = async (argv: readonly string[], as?: string) => {
    const { stdout } = await host.run(argv, { ...how, as });
    return stdout.toString().split("\0").slice(0, -1);
  };
  const containers = await orNote("no containers were found", () => readContainers(host, how), []);
  const volumes = containers.flatMap((container) => container.volumes);
  const find = ["sh", "-c", ROCKSDB, "drops-setup", ...volumes.map(({ path }) => path)];
  const rocksdb = await orNote("no RocksDB was looked for", () => fields(find), []);
  const psql = ["psql", "-X", "-A", "-t", "-0", "-z", "-d", "postgres", "-c", DATABASES];
  const rows = await orNote("no PostgreSQL database was found", () => fields(psql, "postgres"), []);
  const state = await orNote("no services were found", () => readHostState(host, [], how), undefined);
  const units = state?.units ?? [];
  const databases: Found["databases"][number][] = [];
  for (const [at, name] of rows.entries()) {
    if (at % 2 === 1) continue; // its owner
    if (DatabaseName.safeParse(name).success) databases.push({ name, ...unitOf(rows[at + 1], units) });
    else notes.push(`the database ${name} has a name that a policy cannot hold: it is left out`);
  }
  for (const container of containers) databases.push(...(await databasesIn(host, container, notes, how)));
  const states = [
    ...units.flatMap(({ name, state }) => state.map((path) => ({ path, unit: name }))),
    ...containers.flatMap(statesOf),
  ];
  const paths = states.map(({ path }) => path);
  const leadsTo = await orNote("symlinks were not followed", () => realPaths(host, paths, how), {});
  const others = othersOf(state?.trees ?? [], Object.values(leadsTo));
  const servers = volumes.filter(({ isPostgres }) => isPostgres).map(({ path }) => path);
  return { rocksdb, databases, states, leadsTo, others, servers, notes };
}

/** Where a container and its compose project keep what is theirs. Without a unit nothing stops it. */
function statesOf({ unit, folder, volumes }: Container): Found["states"] {
  // a home directory is no project's alone
  const own = folder === undefined || /^\/[^/]*$|^\/home\/[^/]*$/.test(folder) ? [] : [folder];
  const paths = [...own, ...volumes.filter(({ isPostgres }) => !isPostgres).map(({ path }) => path)];
  return paths.map((path) => ({ path, unit: unit ?? "" }));
}

async function databasesIn(
  host: Host,
  container: Container,
  notes: string[],
  how: Cancel,
): Promise<readonly FoundDatabase[]> {
  const server = container.volumes.find(({ isPostgres }) => isPostgres);
  const place = await serverIn(host, container, how);
  if (place === undefined) {
    if (server !== undefined)
      notes.push(
        `the container ${container.name} has a PostgreSQL in ${server.path} that could not be asked: name its databases yourself (docs/postgres.md)`,
      );
    return [];
  }
  const there = await databasesAt(host, place, how);
  return there
    .filter(({ name }) => name !== "postgres" && DatabaseName.safeParse(name).success)
    .map(({ name }) => ({
      name,
      container: container.name,
      ...(place.user === "postgres" ? {} : { user: place.user }),
    }));
}

function unitOf(owner: string | undefined, units: readonly RunningUnit[]): { unit?: string } {
  const unit = units.find(({ user, name }) => user === owner && !name.startsWith("postgresql"));
  return unit === undefined ? {} : { unit: unit.name };
}

/** Whole directories: what lies in one that a service names is that one's. */
function othersOf(trees: HostState["trees"], named: readonly string[]): readonly Tree[] {
  return trees.filter(({ path, bytes }) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const isNamed = named.some((place) =>
      [below(path, place), below(place, path)].some((rest) => rest !== undefined),
    );
    return (
      bytes > EMPTY &&
      !isNamed &&
      !OF_THE_SYSTEM.has(name) &&
      !/^(postgresql|pgsql|docker|containerd|containers)/.test(name)
    );
  });
}
