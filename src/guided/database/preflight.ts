import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import type { PostgresFacts } from "../../source/postgres/facts.ts";
import { ServerAdmin } from "../../source/postgres/restore/admin.ts";
import { hasLocale, lookAtServer, type ServerLook } from "../../source/postgres/restore/server-look.ts";
import { pgRestoreVersion } from "../../source/postgres/versions.ts";
import { type CheckResult, checked, failed, passed } from "../run/check.ts";
import { containerChecks } from "./container.ts";
import { readDatabaseFacts } from "./files.ts";
import type { DatabaseReplacementOptions } from "./replacement.ts";
import { spaceCheck } from "./space.ts";

/**
 * Whether the server can take the database of the snapshot beside the one that is in place. Changes nothing. All checks are
 * made; what could not be looked at has failed. Throws only when the host is lost.
 */
export async function preflightDatabase(
  options: DatabaseReplacementOptions,
  how: Cancel,
): Promise<readonly CheckResult[]> {
  const { host, policy } = options;
  const named = namer(policy.database);
  const facts = await looked(named("snapshot"), () => readDatabaseFacts(options, how));
  if ("failed" in facts) return [facts.failed];
  const admin = new ServerAdmin(host, policy, "drops-preflight");
  const programs = await programCheck(named, admin, facts.found, how);
  const server = await looked(named("server"), () => lookAtServer(admin, policy.database, facts.found, how));
  if ("failed" in server) return [server.failed, programs];
  const name = named("space for a second copy");
  const space = await looked(name, () => spaceCheck(name, options, server.found, facts.found, how));
  return [
    ...(await containerChecks(named("container"), options, how)),
    ...serverChecks(named, server.found, facts.found),
    programs,
    await localeCheck(named, admin, server.found, facts.found, how),
    ...contentChecks(named, server.found, facts.found),
    "failed" in space ? space.failed : space.found,
  ];
}

type Named = (what: string) => string;

function namer(database: string): Named {
  return (what) => `database ${database}: ${what}`;
}

/** A failed check in place of what was foreseen to go wrong. */
async function looked<Found>(
  name: string,
  look: () => Promise<Found>,
): Promise<{ readonly found: Found } | { readonly failed: CheckResult }> {
  try {
    return { found: await look() };
  } catch (error) {
    if (!isFailure(error) || isFailure(error, "host/unreachable")) throw error;
    return { failed: failed(name, error.message, error.hint ?? "drops doctor") };
  }
}

function serverChecks(named: Named, server: ServerLook, facts: PostgresFacts): readonly CheckResult[] {
  const major = majorOf(facts.server.version_num);
  const role = `${server.user} ${server.superuser ? "is" : "is not"} a superuser`;
  return [
    checked(
      server.superuser && !server.standby,
      named("server"),
      `PostgreSQL ${server.version}, ${role}${server.standby ? ", a standby that takes no changes" : ""}`,
      server.standby
        ? "restore onto the primary"
        : "set run_as (and user) in the policy to a superuser such as postgres",
    ),
    checked(
      majorOf(server.version_num) >= major,
      named("server version"),
      `${server.version}; the snapshot is of ${facts.server.version}`,
      `apt-get install postgresql-${major}: an older server does not take a newer database`,
    ),
  ];
}

async function programCheck(
  named: Named,
  admin: ServerAdmin,
  facts: PostgresFacts,
  how: Cancel,
): Promise<CheckResult> {
  const name = named("pg_restore");
  const told = await looked(name, () => pgRestoreVersion(admin.client, how));
  if ("failed" in told) return told.failed;
  const major = Number.parseInt(facts.pg_dump, 10);
  return checked(
    Number.parseInt(told.found, 10) >= major,
    name,
    `${told.found}; the dump was made by pg_dump ${facts.pg_dump}`,
    `apt-get install postgresql-client-${major}, or set bin in the policy to the directory of a newer pg_restore`,
  );
}

async function localeCheck(
  named: Named,
  admin: ServerAdmin,
  server: ServerLook,
  facts: PostgresFacts,
  how: Cancel,
): Promise<CheckResult> {
  const name = named("locale");
  const { provider } = facts;
  if (provider === "icu" && !server.icu)
    return failed(name, "the server was built without ICU", "use a server that has ICU");
  if (provider === "builtin" && majorOf(server.version_num) < 17)
    return failed(name, "the builtin provider came with PostgreSQL 17", "apt-get install postgresql-17");
  const missing: string[] = [];
  for (const locale of new Set([facts.collate, facts.ctype])) {
    const has = await looked(name, () => hasLocale(admin, locale, how));
    if ("failed" in has) return has.failed;
    if (!has.found) missing.push(locale);
  }
  if (missing.length === 0)
    return passed(name, `${facts.collate}${provider === "libc" ? "" : ` and ${provider} ${facts.locale}`}`);
  const hint =
    "add it (Debian: dpkg-reconfigure locales; NixOS: i18n.supportedLocales), then systemctl restart postgresql";
  return failed(name, `the host has no locale ${missing.join(", ")}`, hint);
}

function contentChecks(named: Named, server: ServerLook, facts: PostgresFacts): readonly CheckResult[] {
  const { missing_roles: roles, missing_extensions: extensions, prepared } = server;
  const noPasswords = facts.role_passwords ? "" : ", without passwords: the snapshot has none";
  const elsewhere = facts.tablespace === "pg_default" ? "" : `; was in ${facts.tablespace}`;
  return [
    passed(
      named("roles"),
      roles.length === 0 ? "all there" : `to be made: ${roles.join(", ")}${noPasswords}`,
    ),
    checked(
      extensions.length === 0,
      named("extensions"),
      extensions.length === 0 ? "all there" : `the server has no ${extensions.join(", ")}`,
      `install them: apt-get install postgresql-${majorOf(server.version_num)}-… or postgresql-contrib`,
    ),
    passed(named("tablespace"), `the server's default${elsewhere}`),
    checked(
      prepared.length === 0,
      named("prepared transactions"),
      prepared.length === 0 ? "none" : `${prepared.length} wait in it, so that it cannot be renamed`,
      `ROLLBACK PREPARED ${prepared.map((gid) => JSON.stringify(gid)).join(", ")}`,
    ),
  ];
}

function majorOf(versionNum: string): number {
  return Math.floor(Number(versionNum) / 10_000);
}
