import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Cancel } from "../lib/cancel.ts";
import type { PostgresClient } from "../source/postgres/client.ts";
import { databaseSql } from "../source/postgres/database-sql.ts";
import type { PostgresFacts } from "../source/postgres/facts.ts";
import { toolFailure, warningsIn } from "../source/postgres/failure.ts";
import { quoteIdentifier } from "../source/postgres/quote.ts";
import type { ScratchPostgres } from "./scratch-postgres.ts";

/** Names that a new cluster has already. */
const TAKEN = ["postgres", "template0", "template1"];

/** What the database is called in the scratch server: as it was, where that name is free. */
export function scratchName(facts: Pick<PostgresFacts, "database">): string {
  return TAKEN.includes(facts.database) ? "drops_drill" : facts.database;
}

/**
 * Make the cluster's roles, each without any power, whatever it may do where it came from; the database's owner is a member
 * of all of them, so that it can give every object back to whom it belonged. Answers their number.
 *
 * `roles.sql` itself is not run: it is a script of the backed-up machine for a superuser.
 */
export async function makeRoles(
  server: ScratchPostgres,
  facts: Pick<PostgresFacts, "roles" | "owner">,
  how: Cancel,
): Promise<number> {
  const names = [...new Set([...facts.roles, facts.owner])];
  const owner = quoteIdentifier(facts.owner);
  const sql = names.flatMap((name) => [
    `CREATE ROLE ${quoteIdentifier(name)} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS${name === facts.owner ? " LOGIN" : ""};`,
    ...(name === facts.owner ? [] : [`GRANT ${quoteIdentifier(name)} TO ${owner};`]),
  ]);
  // the owner first: the grants are to it
  const first = sql.filter((line) => line.startsWith(`CREATE ROLE ${owner} `));
  const rest = sql.filter((line) => !first.includes(line));
  await runSql(server.client("postgres"), [...first, ...rest].join("\n"), "making the roles", how);
  return names.length;
}

/** Roles that the facts name and that `roles.sql` does not make. */
export function rolesMissingIn(rolesSql: string, facts: Pick<PostgresFacts, "roles" | "owner">): string[] {
  const made = new Set(
    [...rolesSql.matchAll(/^CREATE ROLE (?:"((?:[^"]|"")+)"|([^\s";]+))/gm)].map(
      ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "",
    ),
  );
  return [...new Set([...facts.roles, facts.owner])].filter((name) => !made.has(name));
}

/** The same, empty database, with encoding, locale, owner, privileges and settings. Throws source/failed. */
export async function makeDatabase(
  server: ScratchPostgres,
  facts: PostgresFacts,
  how: Cancel,
): Promise<void> {
  // a limit or a template of the original would only be in our way
  const sql = databaseSql({ ...facts, connection_limit: -1, is_template: false }, scratchName(facts));
  await runSql(server.client("postgres"), sql, "making the database", how);
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
 * Load the dump as the database's owner, who is no superuser: a dump is code. Extensions, which may need one, are made
 * before, and their lines in the dump are passed over. Answers what pg_restore said although it succeeded.
 *
 * @throws DropsError source/failed with the first error
 */
export async function loadDump(
  server: ScratchPostgres,
  facts: PostgresFacts,
  dump: string,
  listFile: { write(text: string): Promise<string> },
  how: Cancel,
): Promise<readonly string[]> {
  const name = scratchName(facts);
  const superuser = server.client(name);
  const extensions = facts.extensions.filter(({ name: extension }) => extension !== "plpgsql");
  const schemas = new Set(extensions.map(({ schema }) => schema).filter(isMade));
  const sql = extensions.flatMap(({ name: extension, schema }) => [
    ...(schemas.has(schema)
      ? [
          `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)} AUTHORIZATION ${quoteIdentifier(facts.owner)};`,
        ]
      : []),
    `CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(extension)} SCHEMA ${quoteIdentifier(schema)} CASCADE;`,
  ]);
  if (sql.length > 0) await runSql(superuser, sql.join("\n"), "making the extensions", how);
  const contents = (await feed(superuser, ["--list"], dump, "listing the dump", how)).stdout.toString();
  const list = await listFile.write(withoutExtensions(contents, schemas));
  const owner = server.client(name, facts.owner);
  const args = ["--exit-on-error", "--no-password", `--dbname=${name}`, `--use-list=${list}`];
  const loaded = await feed(owner, args, dump, "loading the dump", how);
  return warningsIn(loaded.stderr);
}

/**
 * The lines of `pg_restore --list` without those of extensions, of comments on them, and of schemas made for them. A line is
 * `ID; OID OID KIND SCHEMA NAME OWNER`.
 */
export function withoutExtensions(list: string, schemas: ReadonlySet<string>): string {
  return list
    .split("\n")
    .filter((line) => {
      const entry = /^\d+; \d+ \d+ (.*)$/.exec(line)?.[1];
      if (entry === undefined) return true;
      if (/^EXTENSION - /.test(entry) || /^COMMENT - EXTENSION /.test(entry)) return false;
      const schema = /^SCHEMA - (\S+) /.exec(entry)?.[1];
      return schema === undefined || !schemas.has(schema);
    })
    .join("\n");
}

/** Every database has the others already. */
function isMade(schema: string): boolean {
  return schema !== "public" && !schema.startsWith("pg_");
}

async function feed(
  client: PostgresClient,
  args: readonly string[],
  dump: string,
  what: string,
  how: Cancel,
): Promise<{ stdout: Buffer; stderr: string }> {
  await using running = await client.start(client.argv("pg_restore", args), how);
  const said: Buffer[] = [];
  const heard = (async () => {
    for await (const piece of running.stdout as AsyncIterable<Buffer>) said.push(piece);
  })();
  // it may stop reading early, when it has seen enough or fails: its exit status tells which
  await pipeline(createReadStream(dump, { highWaterMark: 1024 * 1024 }), running.stdin, how).catch(() => {});
  const ended = await running.ended;
  await heard;
  how.signal.throwIfAborted();
  if (ended.exit !== 0) throw toolFailure("pg_restore", what, ended);
  return { stdout: Buffer.concat(said), stderr: ended.stderr };
}

async function runSql(client: PostgresClient, sql: string, what: string, how: Cancel): Promise<void> {
  await client.run("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"], {
    what,
    signal: how.signal,
    stdin: `${sql}\n`,
  });
}
