import type { Cancel } from "../../../lib/cancel.ts";
import { isFailure } from "../../../lib/errors.ts";
import { describeDatabaseSql, loadsCode } from "../database-sql.ts";
import type { DatabaseFacts } from "../facts.ts";
import { quoteIdentifier } from "../quote.ts";
import type { ServerAdmin } from "./admin.ts";

/**
 * Give a loaded database all that belongs to it and is not in its dump: owner, privileges, comment, limit, settings. Last of
 * all, since settings such as default_transaction_read_only would keep the dump from being loaded. Answers notes on settings that
 * load code, and on those that this server does not take.
 *
 * @throws DropsError source/failed
 */
export async function describeDatabase(
  admin: ServerAdmin,
  facts: DatabaseFacts,
  name: string,
  how: Cancel,
): Promise<readonly string[]> {
  const [left, settings] = [
    facts.settings.filter((setting) => loadsCode(setting.name)),
    facts.settings.filter((setting) => !loadsCode(setting.name)),
  ];
  const describe = (wanted: DatabaseFacts["settings"]) =>
    admin.act(
      [
        "BEGIN;",
        `ALTER DATABASE ${quoteIdentifier(name)} CONNECTION LIMIT -1;`,
        describeDatabaseSql({ ...facts, settings: wanted }, name),
        "COMMIT;",
      ].join("\n"),
      { ...how, what: "setting up the new database" },
    );
  const notes = left.map((setting) => `the setting ${setting.name}, which loads code, was not restored`);
  const failed = await failureOf(describe(settings));
  if (failed === undefined) return notes;
  await describe([]);
  for (const setting of settings) {
    const why = await failureOf(describe([setting]));
    if (why !== undefined) notes.push(`the setting ${setting.name} was not restored: ${why}`);
  }
  return notes;
}

async function failureOf(act: Promise<unknown>): Promise<string | undefined> {
  try {
    await act;
    return undefined;
  } catch (error) {
    if (!isFailure(error, "source/failed")) throw error;
    return error.message;
  }
}
