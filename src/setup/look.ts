import { OF_THE_SYSTEM } from "../doctor/coverage.ts";
import { type HostState, type RunningUnit, readHostState, type Tree } from "../doctor/host-state.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { DatabaseName } from "../policy/schema.ts";
import { realPaths } from "../source/real-paths.ts";
import { below } from "../source/scope.ts";

/** What a host has that a policy may want to name. */
export interface Found {
  /** Directories of RocksDB databases. */
  readonly rocksdb: readonly string[];
  /** `unit` runs as the user of the machine who has the owner's name. */
  readonly databases: readonly { readonly name: string; readonly unit?: string }[];
  /** State of running services, as systemd names it. */
  readonly states: readonly { readonly path: string; readonly unit: string }[];
  /** Where those paths lead to when symlinks are followed: with `DynamicUser` to /var/lib/private. */
  readonly leadsTo: Readonly<Record<string, string>>;
  /** Directories below /var/lib that no running service names, and that are not the system's. */
  readonly others: readonly Tree[];
  /** What could not be looked at, and why. */
  readonly notes: readonly string[];
}

/** A RocksDB directory has all three. Fields are ended by NUL. */
const ROCKSDB = `
timeout 30 find /var/lib /srv /opt -xdev -maxdepth 6 -name CURRENT -type f -exec sh -c '
  for current; do
    dir=\${current%/CURRENT}
    set -- "$dir"/MANIFEST-*
    [ -f "$dir/IDENTITY" ] && [ -f "$1" ] && printf "%s\\\\0" "$dir"
  done' sh {} + 2>/dev/null
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
  const rocksdb = await orNote("no RocksDB was looked for", () => fields(["sh", "-c", ROCKSDB]), []);
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
  const states = units.flatMap(({ name, state }) => state.map((path) => ({ path, unit: name })));
  const paths = states.map(({ path }) => path);
  const leadsTo = await orNote("symlinks were not followed", () => realPaths(host, paths, how), {});
  const others = othersOf(state?.trees ?? [], Object.values(leadsTo));
  return { rocksdb, databases, states, leadsTo, others, notes };
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
    return bytes > EMPTY && !isNamed && !OF_THE_SYSTEM.has(name) && !/^(postgresql|pgsql)/.test(name);
  });
}
