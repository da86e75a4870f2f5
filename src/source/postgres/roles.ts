import type { Cancel } from "../../lib/cancel.ts";
import type { PostgresClient } from "./client.ts";

/** The statements that make the cluster's roles; with their password hashes when the capturing role may read these. */
export async function dumpRoles(
  client: PostgresClient,
  how: Cancel & { readonly passwords: boolean },
): Promise<Buffer> {
  const args = [
    "--roles-only",
    "-w",
    "--encoding=UTF8",
    `--database=${client.place.database}`,
    ...(how.passwords ? [] : ["--no-role-passwords"]),
  ];
  const dumped = await client.run("pg_dumpall", args, {
    what: `pg_dumpall of the roles of ${client.label}`,
    signal: how.signal,
  });
  return dumped.stdout;
}
