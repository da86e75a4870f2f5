import { randomBytes } from "node:crypto";
import type { CommandResult } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import { PostgresClient, type PostgresPlace, type PostgresProgram } from "../client.ts";
import { quoteIdentifier, quoteLiteral } from "../quote.ts";
import type { ServerAdmin } from "./admin.ts";
import { connectionTo } from "./names.ts";
import { scramVerifier } from "./scram.ts";

/** Who a dump is loaded as, and how that role gets in. */
export interface Login {
  /** The role that objects are made by. */
  readonly role: string;
  /** Run a client program in a database. What pg_restore says is its answer. */
  run(
    program: PostgresProgram,
    args: readonly string[],
    database: string,
    how: Cancel & { readonly stdin?: string },
  ): Promise<CommandResult>;
}

export interface LoaderParts {
  readonly admin: ServerAdmin;
  readonly place: PostgresPlace;
  /** The passing role's name. */
  readonly loader: string;
  /** Non-superusers whose objects it may make. */
  readonly memberOf: readonly string[];
  readonly database: string;
  /** A directory on the host that `run_as` alone may enter. */
  readonly directory: string;
  /** Hands the directory to this user of the host; false when that cannot be done. Undefined: there is nobody who could. */
  readonly giveTo?: ((user: string, how: Cancel) => Promise<boolean>) | undefined;
}

/** Mark of the passing role, by which a later run knows it for its own. */
export const LOADER_COMMENT = "drops: passing role of a restore, may be dropped";

/**
 * Make the passing role, a member of the owners and of nothing else, and find a way in for it: as the policy connects, over
 * 127.0.0.1 with a password that is known to nobody and kept on the host for the loading alone, or as the user of the host who is
 * named like the owner. A session that began as a superuser's is none of them: what the dump holds could make it one again.
 *
 * @throws DropsError source/failed when the server lets nobody in but its superuser
 */
export async function openLogin(parts: LoaderParts, how: Cancel): Promise<Login> {
  const { admin, loader, memberOf } = parts;
  const password = randomBytes(24).toString("hex");
  await admin.act(makeLoaderSql(loader, memberOf, scramVerifier(password, randomBytes(16))), {
    ...how,
    what: "making the role that the dump is loaded as",
  });
  const passFile = `${parts.directory}/pgpass`;
  await admin.client.host.run(["sh", "-c", 'umask 077; cat >"$1"', "sh", passFile], {
    ...how,
    as: parts.place.run_as,
    stdin: `*:*:*:${loader.replace(/[:\\]/g, "\\$&")}:${password}\n`,
  });
  for (const place of waysIn(parts.place, loader)) {
    const login = loginAt(parts, place, { role: loader, settings: [`PGPASSFILE=${passFile}`] });
    if (await getsIn(login, parts.database, how)) return login;
  }
  const login = await peerLogin(parts, how);
  if (login === undefined) throw noWayIn(parts);
  return login;
}

/** Remove the passing role: by its mark, since a name alone proves nothing. Nothing in a database may depend on it any more. */
export async function dropLoader(admin: ServerAdmin, loader: string, how: Cancel): Promise<void> {
  const name = quoteLiteral(loader);
  const body = `BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = ${name} AND shobj_description(oid, 'pg_authid') = ${quoteLiteral(LOADER_COMMENT)}) THEN
    DROP ROLE ${quoteIdentifier(loader)};
  END IF;
END`;
  await admin.act(`DO ${quoteLiteral(body)};`, {
    ...how,
    what: "removing the role that the dump was loaded as",
  });
}

function makeLoaderSql(loader: string, memberOf: readonly string[], verifier: string): string {
  const role = quoteIdentifier(loader);
  const grants = memberOf.map((owner) => `GRANT ${quoteIdentifier(owner)} TO ${role};`);
  return [
    "BEGIN;",
    `CREATE ROLE ${role} WITH LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD ${quoteLiteral(verifier)};`,
    `COMMENT ON ROLE ${role} IS ${quoteLiteral(LOADER_COMMENT)};`,
    `ALTER ROLE ${role} SET lc_messages TO 'C';`, // what the server says of an entry is judged
    ...grants,
    "COMMIT;",
  ].join("\n");
}

function waysIn(place: PostgresPlace, user: string): readonly PostgresPlace[] {
  const here = { ...place, user };
  const bySocket = place.host === undefined || place.host.startsWith("/");
  return bySocket ? [here, { ...here, host: "127.0.0.1" }] : [here];
}

/** A setting of the server or of the role would keep everything from being loaded. */
const PGOPTIONS = "PGOPTIONS=-c default_transaction_read_only=off";
/** What pg_restore says is read whole; a host keeps only the end of standard error. */
const MOST_SAID = 256 * 1024 * 1024;
const JOIN = 'exec "$@" 2>&1';

function loginAt(
  { admin, database }: LoaderParts,
  place: PostgresPlace,
  how: {
    readonly role: string;
    readonly settings?: readonly string[];
  },
): Login {
  const client = new PostgresClient(admin.client.host, { ...place, database });
  return {
    role: how.role,
    run: (program, args, at, { signal, stdin = "" }) => {
      const words = client.argv(program, ["-w", "-d", connectionTo(at), ...args]);
      const joined = program === "pg_restore" ? ["sh", "-c", JOIN, "drops", ...words] : words;
      return client.runAny(["env", PGOPTIONS, ...(how.settings ?? []), ...joined], {
        signal,
        stdin,
        ...(program === "pg_restore" ? { maxStdout: MOST_SAID } : {}),
        psql: program === "psql",
      });
    },
  };
}

/** As the user of the host who has the owner's name, when peer authentication lets that one in. */
async function peerLogin(parts: LoaderParts, how: Cancel): Promise<Login | undefined> {
  const [owner, ...others] = parts.memberOf;
  if (owner === undefined || others.length > 0 || !/^[a-z_][a-z0-9_-]*$/.test(owner) || owner === "root") {
    return undefined;
  }
  const { host } = parts.admin.client;
  const known = await host.run(["id", "-u", "--", owner], { ...how, okExits: [0, 1] });
  if (known.exit !== 0 || parts.giveTo === undefined) return undefined;
  const login = loginAt(parts, { ...parts.place, run_as: owner, user: owner }, { role: owner });
  if (!(await getsIn(login, parts.database, how))) return undefined;
  return (await parts.giveTo(owner, how)) ? login : undefined;
}

function noWayIn({ admin, database }: LoaderParts): DropsError {
  return new DropsError(
    "source/failed",
    `only a superuser can log in to ${database} on ${admin.client.host.label}, and drops loads no dump as a superuser, because it contains code`,
    {
      hint: 'add "host all all 127.0.0.1/32 scram-sha-256" to pg_hba.conf, systemctl reload postgresql, then drops restore --resume',
    },
  );
}

async function getsIn(login: Login, database: string, how: Cancel): Promise<boolean> {
  const told = await login.run("psql", ["-X", "-q", "-A", "-t", "-c", "SELECT session_user"], database, how);
  return told.exit === 0 && told.stdout.toString("utf8").trimEnd() === login.role;
}
