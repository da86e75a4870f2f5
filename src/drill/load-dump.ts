import { randomBytes } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { createDatabaseSql } from "../source/postgres/database-sql.ts";
import type { PostgresFacts } from "../source/postgres/facts.ts";
import { quoteIdentifier } from "../source/postgres/quote.ts";
import { ServerAdmin } from "../source/postgres/restore/admin.ts";
import { describeDatabase } from "../source/postgres/restore/describe.ts";
import { type Loaded, loadDump } from "../source/postgres/restore/load.ts";
import type { RolesFile } from "../source/postgres/restore/roles-file.ts";
import { planRoles } from "../source/postgres/restore/roles-sql.ts";
import type { ScratchPostgres } from "./scratch-postgres.ts";

/** Names that a new cluster has already. */
const TAKEN = ["postgres", "template0", "template1"];

/** What the database is called in the scratch server: as it was, where that name is free. */
export function scratchName(facts: Pick<PostgresFacts, "database">): string {
  return TAKEN.includes(facts.database) ? "drops_drill" : facts.database;
}

/** The superuser of a scratch server, who changes it as a guided restore changes a real one. */
export function scratchAdmin(server: ScratchPostgres, facts: Pick<PostgresFacts, "database">): ServerAdmin {
  const { host, place } = server.client(scratchName(facts));
  return new ServerAdmin(host, place, "drops-drill");
}

/**
 * Make the cluster's roles as a guided restore makes those that are missing: none has any power over the server. The database's
 * owner can log in, for the policy's checks. Answers their number.
 */
export async function makeRoles(
  admin: ServerAdmin,
  file: RolesFile,
  facts: Pick<PostgresFacts, "owner">,
  how: Cancel,
): Promise<number> {
  const plan = planRoles(file, await admin.roles(how));
  if (plan.wanted.length > 0) await admin.act(plan.sql, { ...how, what: "making the roles" });
  const login = `ALTER ROLE ${quoteIdentifier(facts.owner)} WITH LOGIN CONNECTION LIMIT -1;`;
  await admin.act(login, { ...how, what: "letting the owner in" });
  return plan.wanted.length;
}

/** Roles that the facts name and that `roles.sql` does not make. */
export function rolesMissingIn(file: RolesFile, facts: Pick<PostgresFacts, "roles" | "owner">): string[] {
  const made = new Set(file.roles.map(({ name }) => name));
  return [...new Set([...facts.roles, facts.owner])].filter((name) => !made.has(name));
}

/** The same, empty database, with encoding and locale. Throws source/failed. */
export async function makeDatabase(admin: ServerAdmin, facts: PostgresFacts, how: Cancel): Promise<void> {
  await admin.act(createDatabaseSql(facts, scratchName(facts)), { ...how, what: "making the database" });
}

/** Extensions of the database that this server cannot make. */
export async function missingExtensions(
  server: ScratchPostgres,
  facts: Pick<PostgresFacts, "extensions">,
  how: Cancel,
): Promise<string[]> {
  const told = await server
    .client("postgres")
    .run("psql", ["-X", "-q", "-A", "-t", "-c", "SELECT name FROM pg_available_extensions"], {
      what: "asking for the extensions",
      signal: how.signal,
    });
  const there = new Set(told.stdout.toString().split("\n"));
  return facts.extensions.map(({ name }) => name).filter((name) => !there.has(name));
}

/**
 * Load the dump as a guided restore does, by a role that is no superuser: a dump is code. Whoever was a superuser where it comes from
 * is taken for one.
 *
 * @param where `directory` belongs to the sandbox and holds `database.dump`
 * @throws DropsError as the guided restore's loading
 */
export async function loadScratch(
  admin: ServerAdmin,
  facts: PostgresFacts,
  where: { readonly directory: string; readonly roles: RolesFile; readonly jobs: number },
  how: Cancel,
): Promise<Loaded> {
  const supers = new Set(
    where.roles.roles.filter(({ powers }) => powers.includes("SUPERUSER")).map(({ name }) => name),
  );
  const roles = [...(await admin.roles(how)).values()].map(
    (row) => [row.name, { ...row, superuser: row.superuser || supers.has(row.name) }] as const,
  );
  const database = scratchName(facts);
  const { place } = admin.client;
  const loaded = await loadDump(
    {
      admin,
      place: { ...place, database },
      loader: `drops_loader_${randomBytes(8).toString("hex")}`,
      database,
      directory: where.directory,
      facts,
      roles: new Map(roles),
      jobs: where.jobs,
    },
    how,
  );
  // a limit or a template of the original would only be in our way
  const kept = { ...facts, connection_limit: -1, is_template: false };
  const described = await describeDatabase(admin, kept, database, how);
  return { ...loaded, notes: [...loaded.notes, ...described] };
}
