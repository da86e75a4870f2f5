import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../host/host.ts";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";

/** All of these must lie in one directory: a server and its own clients. */
const PROGRAMS = ["initdb", "postgres", "psql", "pg_restore"] as const;

export interface PostgresPrograms {
  readonly directory: string;
  /** `15.13`. */
  readonly version: string;
  readonly major: number;
}

/**
 * The PostgreSQL server and clients to drill with: the oldest of at least major version `wanted`, since that is nearest
 * to what was dumped; with none that is new enough, what there is, newest first.
 *
 * @param directories looked through in turn
 */
export async function findPrograms(
  host: Host,
  directories: readonly string[],
  wanted: number,
  how: Cancel,
): Promise<{ readonly fit: PostgresPrograms | undefined; readonly found: readonly PostgresPrograms[] }> {
  const found: PostgresPrograms[] = [];
  for (const directory of new Set(directories)) {
    if (!(await areThere(directory))) continue;
    const told = await host.run([join(directory, "postgres"), "--version"], {
      signal: how.signal,
      okExits: ANY_EXIT,
    });
    const version = /\(PostgreSQL\) (\d+\S*)/.exec(told.stdout.toString())?.[1];
    if (version !== undefined) found.push({ directory, version, major: Number.parseInt(version, 10) });
  }
  found.sort((a, b) => a.major - b.major);
  return { fit: found.find(({ major }) => major >= wanted), found: found.toReversed() };
}

async function areThere(directory: string): Promise<boolean> {
  try {
    for (const program of PROGRAMS) await access(join(directory, program), constants.X_OK);
    return true;
  } catch {
    return false; // one that cannot be reached is not there
  }
}

/** Extensions that come with the server's own package, or with its `contrib`. */
const CONTRIB = new Set(
  (
    "adminpack amcheck autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance file_fdw " +
    "fuzzystrmatch hstore insert_username intagg intarray isn lo ltree moddatetime old_snapshot pageinspect " +
    "pg_buffercache pg_freespacemap pg_prewarm pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect " +
    "pgcrypto pgrowlocks pgstattuple plpgsql postgres_fdw refint seg sslinfo tablefunc tcn tsm_system_rows " +
    "tsm_system_time unaccent uuid-ossp xml2"
  ).split(" "),
);
/** Where Debian's package is not called like the extension: the part of its name after `postgresql-MAJOR-`. */
const RENAMED: Readonly<Record<string, string>> = {
  vector: "pgvector",
  postgis: "postgis-3",
  postgis_topology: "postgis-3",
  postgis_raster: "postgis-3",
  pg_cron: "cron",
  timescaledb: "timescaledb",
  hll: "hll",
};
const LANGUAGES: Readonly<Record<string, string>> = {
  plperl: "plperl",
  plperlu: "plperl",
  plpython3u: "plpython3",
  pltcl: "pltcl",
  pltclu: "pltcl",
};

/** The package that most likely brings an extension, as Debian and PostgreSQL's own repository name it. */
export function packageOf(extension: string, major: number): string {
  if (CONTRIB.has(extension)) return "postgresql-contrib";
  const language = LANGUAGES[extension];
  if (language !== undefined) return `postgresql-${language}-${major}`;
  return `postgresql-${major}-${RENAMED[extension] ?? extension.replaceAll("_", "-")}`;
}
