import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { PostgresClient, PostgresProgram } from "./client.ts";

/** The version that pg_dump tells, `15.13`. Throws source/failed that names the package when it is missing. */
export function pgDumpVersion(client: PostgresClient, how: Cancel): Promise<string> {
  return versionOf("pg_dump", client, how);
}

/** As `pgDumpVersion`. */
export function pgRestoreVersion(client: PostgresClient, how: Cancel): Promise<string> {
  return versionOf("pg_restore", client, how);
}

async function versionOf(program: PostgresProgram, client: PostgresClient, how: Cancel): Promise<string> {
  const what = `${program} of ${client.label}`;
  const told = await client.run(program, ["--version"], { what, signal: how.signal });
  const version = /\(PostgreSQL\) (\d[\w.+~-]*)/.exec(told.stdout.toString("utf8"))?.[1];
  if (version !== undefined) return version;
  throw new DropsError("source/failed", `${what} printed no version`);
}

/** The first minor version of each major one in which a dump follows no view that took a table's place (CVE-2024-7348). */
const GUARDED: Readonly<Record<string, number>> = { 12: 20, 13: 16, 14: 13, 15: 8, 16: 4 };

/** Whether pg_dump, or a server, of this version keeps a dump from running what a database's owner wrote. */
export function isGuarded(version: string): boolean {
  const [, major = "", minor = ""] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  const since = GUARDED[major];
  return since === undefined ? Number.parseInt(version, 10) > 16 : Number(minor) >= since;
}

/** pg_dump refuses a newer server; said here before anything is begun. */
export function checkDumpVersion(
  pgDump: string,
  server: { readonly version: string; readonly version_num: string },
  label: string,
): void {
  const major = Math.floor(Number(server.version_num) / 10_000);
  if (Number.parseInt(pgDump, 10) >= major) return;
  throw new DropsError(
    "source/failed",
    `pg_dump of ${label} is version ${pgDump}, older than the server's ${server.version}`,
    {
      hint: `apt-get install postgresql-client-${major}, or set bin in the policy to the directory of a newer pg_dump`,
    },
  );
}
