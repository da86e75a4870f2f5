import * as z from "zod";
import type { Cancel } from "../../../lib/cancel.ts";
import type { PostgresFacts } from "../facts.ts";
import { quoteLiteral } from "../quote.ts";
import type { ServerAdmin } from "./admin.ts";

const ServerLook = z.object({
  version: z.string(),
  version_num: z.string(),
  user: z.string(),
  superuser: z.boolean(),
  /** Read-only: a standby takes no restore. */
  standby: z.boolean(),
  /** Empty for who is no superuser. */
  data_directory: z.string(),
  icu: z.boolean(),
  /** Of the wanted ones, those that there are not. */
  missing_roles: z.array(z.string()),
  missing_extensions: z.array(z.string()),
  /** Transactions that wait for their second phase in the database that is replaced. */
  prepared: z.array(z.string()),
});
/** What a server has of what a restored database needs. */
export type ServerLook = z.infer<typeof ServerLook>;

/** Look; throws source/failed when the server is not reached. */
export async function lookAtServer(
  admin: ServerAdmin,
  database: string,
  facts: Pick<PostgresFacts, "roles" | "extensions">,
  how: Cancel,
): Promise<ServerLook> {
  const names = (texts: readonly string[]) =>
    `json_array_elements_text(${quoteLiteral(JSON.stringify(texts))})`;
  const answer = await admin.act(
    `SELECT json_build_object(
  'version', current_setting('server_version'), 'version_num', current_setting('server_version_num'),
  'user', current_user, 'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  'standby', pg_is_in_recovery(), 'data_directory', 
    CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN current_setting('data_directory') ELSE '' END,
  'icu', EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i'),
  'missing_roles', (SELECT coalesce(json_agg(n), '[]') FROM ${names(facts.roles)} n
    WHERE n NOT IN (SELECT rolname FROM pg_roles)),
  'missing_extensions', (SELECT coalesce(json_agg(n), '[]') FROM ${names(facts.extensions.map(({ name }) => name))} n
    WHERE n NOT IN (SELECT name FROM pg_available_extensions)),
  'prepared', (SELECT coalesce(json_agg(gid), '[]') FROM pg_prepared_xacts WHERE database = ${quoteLiteral(database)}));`,
    { ...how, what: "looking at the PostgreSQL server" },
  );
  return ServerLook.parse(JSON.parse(answer));
}

/** Whether the server's machine has this locale of its C library. `lc_monetary` takes any locale that there is, whatever its encoding. */
export async function hasLocale(admin: ServerAdmin, locale: string, how: Cancel): Promise<boolean> {
  const sql = `DO $drops$ BEGIN
  PERFORM set_config('lc_monetary', convert_from(decode('${Buffer.from(locale).toString("hex")}', 'hex'), 'UTF8'), true);
  PERFORM set_config('drops.locale', 'yes', false);
EXCEPTION WHEN invalid_parameter_value THEN
  PERFORM set_config('drops.locale', 'no', false);
END $drops$;
SELECT current_setting('drops.locale');`;
  return (await admin.act(sql, { ...how, what: `looking for the locale ${locale}` })) === "yes";
}
