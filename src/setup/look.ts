import { readHostState } from "../doctor/host-state.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { DatabaseName } from "../policy/schema.ts";
import { realPaths } from "../source/real-paths.ts";

/** What a host has that a policy may want to name. */
export interface Found {
  /** Directories of RocksDB databases. */
  readonly rocksdb: readonly string[];
  readonly databases: readonly string[];
  /** State of running services, as systemd names it. */
  readonly states: readonly { readonly path: string; readonly unit: string }[];
  /** Where those paths lead to when symlinks are followed: with `DynamicUser` to /var/lib/private. */
  readonly leadsTo: Readonly<Record<string, string>>;
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
const DATABASES =
  "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY 1";

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
  const fields = async (argv: readonly string[], as?: string) => {
    const { stdout } = await host.run(argv, { ...how, as });
    return stdout
      .toString()
      .split("\0")
      .filter((field) => field.trim() !== "");
  };
  const rocksdb = await orNote("no RocksDB was looked for", () => fields(["sh", "-c", ROCKSDB]), []);
  const psql = ["psql", "-X", "-A", "-t", "-0", "-d", "postgres", "-c", DATABASES];
  const everyDatabase = await orNote("no PostgreSQL database was found", () => fields(psql, "postgres"), []);
  const databases = everyDatabase.filter((name) => DatabaseName.safeParse(name).success);
  for (const name of everyDatabase.filter((each) => !databases.includes(each)))
    notes.push(`the database ${name} has a name that a policy cannot hold: it is left out`);
  const state = await orNote("no services were found", () => readHostState(host, [], how), undefined);
  const states = (state?.units ?? []).flatMap(({ name, state }) =>
    state.map((path) => ({ path, unit: name })),
  );
  const paths = states.map(({ path }) => path);
  const leadsTo = await orNote("symlinks were not followed", () => realPaths(host, paths, how), {});
  return { rocksdb, databases, states, leadsTo, notes };
}
