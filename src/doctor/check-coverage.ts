import * as z from "zod";
import { type Container, readContainers } from "../host/containers.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { PostgresPolicy } from "../policy/schema.ts";
import { PostgresClient, type PostgresPlace } from "../source/postgres/client.ts";
import { besideDatabase } from "../source/rocksdb/capture/beside.ts";
import { pathsOf } from "../source/scope.ts";
import { serverIn } from "./container-databases.ts";
import { judgeCoverage } from "./coverage.ts";
import { type DatabaseThere, judgeDatabases } from "./databases.ts";
import { type HostState, readHostState } from "./host-state.ts";
import type { Check, Line } from "./types.ts";
import type { World } from "./world.ts";

const OF_ENGINES = /^\/var\/lib\/(?:docker|containerd|containers)$/;
const LIMIT_MS = 120_000;
/** Where servers of PostgreSQL lie: what is in there is judged by its databases. */
const JUDGED_BY_DATABASES = ["/var/lib/postgresql", "/var/lib/pgsql"];

/** The size of a database is told to who may connect to it. */
const DATABASES_SQL = `SELECT jsonb_build_object('name', datname, 'bytes',
  CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END)
FROM pg_database WHERE NOT datistemplate AND datallowconn ORDER BY datname`;

const Database = z.object({ name: z.string(), bytes: z.number() });

/** What on the host is in no source. */
export function coverageChecks(world: World): Check[] {
  return [
    {
      group: "coverage",
      name: "directories",
      needs: "host",
      limitMs: LIMIT_MS,
      why: "what is in no source is gone with the server",
      run: (how) => directories(world, how),
    },
    {
      group: "coverage",
      name: "databases",
      needs: "host",
      why: "a database that is in no source is gone with the server; its files alone are worth nothing",
      run: (how) => databases(world, how),
    },
  ];
}

async function directories(world: World, how: Cancel): Promise<Line[]> {
  const { policy } = world.loaded;
  const host = await world.host;
  const [state, containers] = await Promise.all([
    readHostState(host, policy.sources.flatMap(pathsOf), how),
    readContainers(host, how),
  ]);
  const beside: string[] = [];
  for (const source of policy.sources) {
    if (source.kind !== "rocksdb" || !state.resolved.has(source.path)) continue;
    const found = await besideDatabase(host, source, policy.sources, how);
    if (found !== undefined) beside.push(`in the directory of ${source.name} and in no source: ${found}`);
  }
  const servers = containers.flatMap(({ volumes }) => volumes.filter(({ isPostgres }) => isPostgres));
  const leftOut = [...JUDGED_BY_DATABASES, ...servers.map(({ path }) => path)];
  return judgeCoverage(policy, withContainers(state, containers), leftOut, beside);
}

/** What an engine keeps is made anew by it, but for volumes, which are named one by one. */
function withContainers(state: HostState, containers: readonly Container[]): HostState {
  if (containers.length === 0) return state;
  const volumes = containers.flatMap(({ name, runs, volumes: own }) =>
    own.map((volume) => (runs ? { ...volume, of: `the container ${name}` } : volume)),
  );
  const paths = new Set(volumes.map(({ path }) => path));
  const trees = state.trees.filter(({ path }) => !OF_ENGINES.test(path) && !paths.has(path));
  return { ...state, trees: [...trees, ...volumes] };
}

async function databases(world: World, how: Cancel): Promise<Line[]> {
  const host = await world.host;
  const sources = world.loaded.policy.sources.filter((source) => source.kind === "postgres");
  const named = sources.map(({ container }) => container);
  const others = (await readContainers(host, how)).filter(({ name }) => !named.includes(name));
  const inContainers = (await Promise.all(others.map((one) => databasesInside(host, one, how)))).flat();
  const onHost = sources.some(({ container }) => container === undefined);
  if (!onHost)
    inContainers.push(...(await withoutSource(host, how, inContainers.length + sources.length > 0)));
  const servers = [...new Map(sources.map((source) => [serverOf(source), source])).values()];
  const lines = await Promise.all(
    servers.map(async (server) => {
      const covered = sources.filter((source) => serverOf(source) === serverOf(server));
      return judgeDatabases(
        await databasesAt(host, server, how),
        covered.map(({ database }) => database),
        server,
      );
    }),
  );
  return [...lines.flat(), ...inContainers];
}

async function databasesInside(host: Host, container: Container, how: Cancel): Promise<Line[]> {
  const place = await serverIn(host, container, how);
  if (place !== undefined) return judgeDatabases(await databasesAt(host, place, how), [], place);
  const files = container.volumes.find(({ isPostgres }) => isPostgres);
  if (files === undefined) return [];
  const what = `the container ${container.name} has a PostgreSQL in ${files.path} and is in no source; what is in it could not be asked`;
  return [
    {
      result: "unable",
      what,
      fix: `${container.engine} start ${container.name}; docs/postgres.md, "In a container"`,
    },
  ];
}

/** Sources of one server, whoever asks it. */
function serverOf({ container = "", host = "", port = 5432 }: PostgresPolicy): string {
  return `${container} ${host} ${port}`;
}

/** A policy without PostgreSQL: is there one all the same? */
async function withoutSource(host: Host, how: Cancel, hasOthers: boolean): Promise<Line[]> {
  const find = [
    "find",
    "/run/postgresql",
    "-maxdepth",
    "1",
    "-type",
    "s",
    "-name",
    ".s.PGSQL.*",
    "-printf",
    "%f\\n",
  ];
  const { stdout } = await host.run(find, { ...how, okExits: [0, 1] }); // 1: no such directory
  const ports = stdout
    .toString()
    .split("\n")
    .flatMap((name) => /^\.s\.PGSQL\.(\d{1,5})$/.exec(name)?.[1] ?? []);
  if (ports.length === 0) return hasOthers ? [] : [{ result: "ok", what: "no PostgreSQL runs on the host" }];
  const lines = await Promise.all(ports.map((port) => onPort(host, Number(port), how)));
  return lines.flat();
}

async function onPort(host: Host, port: number, how: Cancel): Promise<Line[]> {
  const place = {
    database: "postgres",
    run_as: "postgres",
    host: undefined,
    port,
    user: undefined,
    bin: undefined,
  };
  try {
    return judgeDatabases(await databasesAt(host, place, how), []);
  } catch (error) {
    if (!isFailure(error, "source/failed", "host/command-failed")) throw error;
    const what = `a PostgreSQL runs on the host (port ${port}); what is in it could not be asked: ${error.message}`;
    return [{ result: "unable", what, fix: error.hint ?? "psql -l, as a user who may log in to it" }];
  }
}

export async function databasesAt(host: Host, place: PostgresPlace, how: Cancel): Promise<DatabaseThere[]> {
  const client = new PostgresClient(host, place);
  const args = ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-c", DATABASES_SQL];
  const { stdout } = await client.run("psql", args, {
    ...how,
    what: `listing the databases beside ${client.label}`,
  });
  const lines = stdout.toString().split("\n");
  return lines.filter((line) => line !== "").map((line) => Database.parse(JSON.parse(line)));
}
