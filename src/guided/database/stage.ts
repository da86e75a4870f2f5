import { randomInt } from "node:crypto";
import * as z from "zod";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import type { PostgresPolicy } from "../../policy/schema.ts";
import { createDatabaseSql } from "../../source/postgres/database-sql.ts";
import type { PostgresFacts } from "../../source/postgres/facts.ts";
import { privilegeDifferences } from "../../source/postgres/privileges.ts";
import { openSql } from "../../source/postgres/restore/acts.ts";
import type { ServerAdmin } from "../../source/postgres/restore/admin.ts";
import { describeDatabase } from "../../source/postgres/restore/describe.ts";
import { loadDump } from "../../source/postgres/restore/load.ts";
import type { ReplacementNames } from "../../source/postgres/restore/names.ts";
import { parseRolesFile } from "../../source/postgres/restore/roles-file.ts";
import { planRoles } from "../../source/postgres/restore/roles-sql.ts";
import type { Staged } from "../run/replacement.ts";
import { bringDatabaseFiles, type DatabaseSource } from "./files.ts";
import type { DatabaseRecord, RecordDirectory } from "./record.ts";

/** More than this many tables at a time only makes a small server slower. */
const MAX_JOBS = 8;
const MAX_ROLES_FILE = 8 * 1024 * 1024;
const MAX_NOTES = 50;

export interface DatabaseStageParts {
  readonly host: Host;
  readonly run: string;
  readonly policy: PostgresPolicy;
  readonly source: DatabaseSource;
  readonly admin: ServerAdmin;
  readonly directory: RecordDirectory;
  /** Made for the files. */
  readonly load: string;
  readonly names: ReplacementNames;
  /** Made by an earlier try. */
  readonly roles: DatabaseRecord["roles"];
}

/**
 * Bring the files, make roles and the new database, load it, analyze it. Nothing of an earlier try may be left but its
 * directory. Everything that is made is noted on the host before, so that a later run knows it for its own.
 */
export async function stageDatabase(
  parts: DatabaseStageParts,
  how: Cancel & { readonly onBytes: (bytes: number) => void },
): Promise<Staged> {
  const { policy, directory, load, names, admin } = parts;
  const { host } = admin.client; // or the container
  const record: DatabaseRecord = {
    drops: "database-replacement",
    version: 1,
    run: parts.run,
    source: parts.source.record.name,
    database: policy.database,
    token: randomInt(2 ** 24, 2 ** 31 - 1),
    roles: [...parts.roles],
  };
  await directory.write(record, how);
  const made = await host.run(["sh", "-c", EMPTY, "sh", load], { ...how, as: policy.run_as });
  const real = made.stdout.toString("utf8").slice(0, -1);
  const brought = await bringDatabaseFiles(parts.source, { host, user: policy.run_as, directory: real }, how);
  const { facts } = brought;

  const roles = await makeRoles(parts, how);
  record.roles.push(...roles.made);
  await directory.write(record, how);
  const newOid = await createDatabase(parts, facts, record, how);
  const created = { ...record, newOid };
  await directory.write(created, how);
  await admin.act(openSql(newOid), { ...how, what: "opening the new database for loading" });
  const { notes, broken } = await loadDump(
    {
      admin,
      place: policy,
      loader: names.loader,
      database: names.staged,
      directory: load,
      facts,
      roles: await admin.roles(how),
      jobs: await jobsOf(host, how),
      // only root can hand files to another user; a container has none but its server's
      giveTo:
        parts.host.user.uid === 0 && policy.container === undefined
          ? (user, cancel) => directory.giveDump(user, cancel)
          : undefined,
    },
    how,
  );
  const described = await describeDatabase(admin, facts, names.staged, how);
  const staging = admin.client.at(names.staged);
  const privileges = facts.privileges ? await privilegeDifferences(staging, facts.privileges, how) : [];
  await host.run(["rm", "-rf", "--", load], { ...how, as: policy.run_as });
  const staged = {
    files: brought.files,
    bytes: brought.bytes,
    notes: [...broken, ...roles.notes, ...notes, ...described, ...privileges].slice(0, MAX_NOTES),
  };
  await directory.write({ ...created, staged }, how);
  return staged;
}

/** Says its real path. */
const EMPTY = 'umask 077; rm -rf -- "$1" && mkdir -- "$1" && cd -P -- "$1" && pwd -P';

async function makeRoles(
  { policy, admin, load }: DatabaseStageParts,
  how: Cancel,
): Promise<{ readonly made: DatabaseRecord["roles"]; readonly notes: readonly string[] }> {
  const read = await admin.client.host.run(["cat", "--", `${load}/roles.sql`], {
    ...how,
    as: policy.run_as,
    maxStdout: MAX_ROLES_FILE,
  });
  const file = parseRolesFile(read.stdout.toString("utf8"));
  const plan = planRoles(file, await admin.roles(how));
  const ignored = `${file.ignored} statements in roles.sql were ignored: they do not make roles`;
  const notes = [...plan.notes, ...(file.ignored === 0 ? [] : [ignored])];
  if (plan.wanted.length === 0) return { made: [], notes };
  const answer = await admin.act(plan.sql, { ...how, what: "making the roles that are missing" });
  const made = z.array(z.object({ name: z.string(), oid: z.string() })).parse(JSON.parse(answer));
  return { made, notes: [...notes, ...madeNote(made)] };
}

function madeNote(made: readonly { readonly name: string }[]): readonly string[] {
  const names = made.map(({ name }) => name).sort();
  return names.length === 0 ? [] : [`made the roles ${names.join(", ")}`];
}

/** Closed, and marked by its connection limit until its id is noted. Answers the id. */
async function createDatabase(
  { admin, names }: DatabaseStageParts,
  facts: PostgresFacts,
  { token }: DatabaseRecord,
  how: Cancel,
): Promise<string> {
  const marks = ["ALLOW_CONNECTIONS = false", `CONNECTION LIMIT = ${token}`];
  await admin.act(createDatabaseSql(facts, names.staged, marks), { ...how, what: "making the new database" });
  const rows = await admin.databases(how);
  const made = rows.find(({ name, limit }) => name === names.staged && limit === token);
  if (made) return made.oid;
  throw new DropsError(
    "source/failed",
    `the new database ${names.staged} is missing right after it was created`,
  );
}

async function jobsOf(host: Host, how: Cancel): Promise<number> {
  const told = await host.run(["sh", "-c", "nproc 2>/dev/null || getconf _NPROCESSORS_ONLN || echo 1"], how);
  const cores = Number.parseInt(told.stdout.toString("utf8"), 10);
  return Number.isInteger(cores) ? Math.min(Math.max(cores, 1), MAX_JOBS) : 1;
}
