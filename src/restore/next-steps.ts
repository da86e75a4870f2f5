import { quote } from "../host/quote.ts";
import { isFailure } from "../lib/errors.ts";
import { parsePolicy } from "../policy/load.ts";
import type { SourcePolicy } from "../policy/schema.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import { createDatabaseSql } from "../source/postgres/database-sql.ts";
import { type PostgresFacts, parsePostgresFacts } from "../source/postgres/facts.ts";
import { quoteIdentifier } from "../source/postgres/quote.ts";
import { connectionTo } from "../source/postgres/restore/names.ts";

/** What is left to do with a restored source, one step a line: drops touches no service. */
export function nextSteps(head: ManifestHead, directory: string): string[] {
  const source = policyOf(head);
  const at = quote(directory);
  switch (head.kind) {
    case "rocksdb": {
      const place = source?.kind === "rocksdb" ? quote(source.path) : "the database directory";
      const unit = source?.kind === "rocksdb" && source.unit ? source.unit : "the service";
      return [
        `${head.source}: stop ${unit}, move ${place} aside, put ${at} in its place with the same owner, start it`,
      ];
    }
    case "postgres":
      return databaseSteps(head.facts, at).map((step) => `${head.source}: ${step}`);
    case "files":
      return [`${head.source}: compare ${at} with / and copy back what is wanted: cp -a`];
    case "command":
      return source?.kind === "command" && source.restore_hint
        ? [`${head.source}: ${source.restore_hint}`]
        : [];
  }
}

/**
 * A dump is code, and so are the statements beside it: the server that was backed up chose them. So a superuser is given none of
 * them but statements that are made here, of facts that were parsed; the dump is loaded as the owner.
 */
function databaseSteps(given: unknown, at: string): string[] {
  const warning = `a dump is code, chosen by the server that was backed up: read ${at}/roles.sql and ${at}/database.sql, and never load any of it as a superuser`;
  let facts: PostgresFacts;
  try {
    facts = parsePostgresFacts(given);
  } catch (error) {
    if (isFailure(error, "format/unsupported")) return [warning];
    throw error;
  }
  const asSuperuser = (database: string, sql: string) =>
    `psql -X -d ${quote(connectionTo(database))} -c ${quote(sql)}`;
  const owner = quoteIdentifier(facts.owner);
  return [
    warning,
    `${asSuperuser("postgres", `CREATE ROLE ${owner} LOGIN`)}   (if there is no such role; its password is in roles.sql)`,
    asSuperuser("postgres", createDatabaseSql(facts, facts.database, [`OWNER = ${owner}`])),
    ...facts.extensions
      .filter(({ name }) => name !== "plpgsql")
      .map(({ name }) => asSuperuser(facts.database, `CREATE EXTENSION ${quoteIdentifier(name)}`)),
    `pg_restore --exit-on-error --no-owner -h 127.0.0.1 -U ${quote(facts.owner)} -d ${quote(connectionTo(facts.database))} ${at}/database.dump   (as the owner, or as another role that is no superuser)`,
  ];
}

/** As the policy was when the source was captured. An old policy may not be one for this program: then less is said. */
function policyOf(head: ManifestHead): SourcePolicy | undefined {
  try {
    const { policy } = parsePolicy(head.policy_text, `the policy in the snapshot`);
    return policy.sources.find(({ name }) => name === head.source);
  } catch (error) {
    if (isFailure(error, "policy/invalid")) return undefined;
    throw error;
  }
}
