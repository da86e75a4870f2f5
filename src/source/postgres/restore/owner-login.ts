import * as z from "zod";
import type { Host } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import type { PostgresPlace } from "../client.ts";
import { quoteLiteral } from "../quote.ts";
import { POWER_SQL, ServerAdmin } from "./admin.ts";
import { dropLoader, type Login, openLogin } from "./loader.ts";
import { checkerName } from "./names.ts";

/** What may read every table of a database whose owner is a superuser, and do nothing else. From PostgreSQL 14 on. */
const READER = "pg_read_all_data";
const CLEAN_UP_MS = 60_000;

export interface OwnerLogin {
  readonly login: Login;
  /** Who the session should become; undefined: the owner is a superuser, and the session reads as nobody in particular. */
  readonly role: string | undefined;
}

/**
 * Work in a database as its owner, in a session that was never a superuser's: what the database makes it run cannot become
 * one. A passing role is made for it, and removed again.
 *
 * @throws DropsError source/failed when the server lets nobody in but its superuser
 */
export async function withOwnerLogin<Result>(
  host: Host,
  place: PostgresPlace,
  work: (as: OwnerLogin) => Promise<Result>,
  how: Cancel,
): Promise<Result> {
  const admin = new ServerAdmin(host, place, "drops-check");
  const loader = checkerName(place.database);
  const owner = await ownerOf(admin, place.database, how);
  await dropLoader(admin, loader, how); // of a check that was broken off
  const made = await admin.client.host.run(["sh", "-c", MAKE], { ...how, as: place.run_as });
  const directory = made.stdout.toString("utf8").trimEnd();
  try {
    const login = await openLogin(
      {
        admin,
        place,
        loader,
        memberOf: [owner ?? READER],
        database: place.database,
        directory,
        giveTo: async () => true, // no file of ours is read by who is let in by peer
      },
      how,
    );
    return await work({ login, role: owner });
  } finally {
    const end = { signal: AbortSignal.timeout(CLEAN_UP_MS) }; // cleaning up is not broken off
    await admin.client.host.run(["rm", "-rf", "--", directory], { ...end, as: place.run_as });
    await dropLoader(admin, loader, end);
  }
}

const MAKE = "umask 077 && mktemp -d /tmp/drops-check-XXXXXXXXXX";

const Owner = z.object({ owner: z.string(), superuser: z.boolean() });

/** Undefined: a superuser. Throws source/failed when there is no such database. */
async function ownerOf(admin: ServerAdmin, database: string, how: Cancel): Promise<string | undefined> {
  const sql = `SELECT json_build_object('owner', rolname, 'superuser', ${POWER_SQL})
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = ${quoteLiteral(database)};`;
  const answer = await admin.act(sql, { ...how, what: `looking for the owner of ${database}` });
  if (answer === "") {
    throw new DropsError("source/failed", `there is no database ${database} on ${admin.client.host.label}`, {
      hint: "list the databases: psql -l",
    });
  }
  const { owner, superuser } = Owner.parse(JSON.parse(answer));
  return superuser ? undefined : owner;
}
