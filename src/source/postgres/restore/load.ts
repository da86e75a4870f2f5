import type { CommandResult } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import type { PostgresFacts } from "../facts.ts";
import { lastError, toolFailure, warningsIn } from "../failure.ts";
import { quoteIdentifier, quoteLiteral } from "../quote.ts";
import { isFull, type RoleRow } from "./admin.ts";
import { createGrants, doIf, extensionSql, publicBackSql, whenOld } from "./load-sql.ts";
import { LOADER_COMMENT, type LoaderParts, type Login, openLogin } from "./loader.ts";
import { type LoadingLists, parseToc, planLoading } from "./toc.ts";

export interface LoadParts extends Omit<LoaderParts, "memberOf"> {
  readonly facts: PostgresFacts;
  readonly roles: ReadonlyMap<string, RoleRow>;
  /** Of pg_restore. */
  readonly jobs: number;
}

/**
 * Load `database.dump` of a directory on the host into a new database, as a role that is no superuser, and give what it made to
 * the owner. Extensions are made beforehand. The database belongs to its owner meanwhile, or to the passing role when that
 * owner is a superuser. Answers notes.
 *
 * @throws DropsError source/failed naming what pg_restore said; space/low
 */
export async function loadDump(parts: LoadParts, how: Cancel): Promise<readonly string[]> {
  const lists = planLoading(await readToc(parts, how), parts.roles);
  const owners = ownersOf(parts, lists);
  const login = await openLogin({ ...parts, memberOf: owners.members }, how);
  const load = new Loading(parts, login, owners, how);
  await load.prepare();
  await load.pass("schemas", lists.schemas);
  await load.extensions(lists.extensions);
  await load.pass("main", lists.main);
  await load.beforePrivileges();
  await load.pass("last", lists.last);
  await load.handOver();
  return [...login.notes, ...owners.notes, ...load.notes, ...leftOutNotes(lists)];
}

interface Owners {
  /** Who owns the database while it is loaded; undefined: the passing role. */
  readonly database: string | undefined;
  /** Whether the dump's own words on owners are followed. */
  readonly asDumped: boolean;
  readonly members: readonly string[];
  readonly notes: readonly string[];
}

/**
 * A role that is no superuser cannot give anything to one. So when something belongs to superusers, all of it is given to the
 * database's owner, which is right when there is one other owner at most.
 */
function ownersOf({ facts, roles }: LoadParts, lists: LoadingLists): Owners {
  const isSuperuser = (name: string) => roles.get(name)?.superuser === true;
  const owners = lists.owners.filter((name) => !name.startsWith("pg_"));
  const [supers, plain] = [owners.filter(isSuperuser), owners.filter((name) => !isSuperuser(name))];
  const database = isSuperuser(facts.owner) ? undefined : facts.owner;
  const members = [...new Set([...plain, ...(database === undefined ? [] : [database])])];
  if (supers.length === 0) return { database, asDumped: true, members, notes: [] };
  if (plain.some((name) => name !== facts.owner)) {
    throw new DropsError(
      "source/failed",
      `the dump of ${facts.database} has objects of the superuser ${supers.join(", ")} and of ${plain.join(", ")}, which only a superuser can load`,
      { hint: "if you trust what is in the dump: drops restore --to DIR, then pg_restore as a superuser" },
    );
  }
  const notes = supers
    .filter((name) => name !== facts.owner)
    .map(
      (name) => `what belonged to the superuser ${name} in ${facts.database} belongs to ${facts.owner} now`,
    );
  return { database, asDumped: false, members, notes };
}

class Loading {
  readonly #parts: LoadParts;
  readonly #login: Login;
  readonly #owners: Owners;
  readonly #how: Cancel;
  readonly notes: string[] = [];

  constructor(parts: LoadParts, login: Login, owners: Owners, how: Cancel) {
    this.#parts = parts;
    this.#login = login;
    this.#owners = owners;
    this.#how = how;
  }

  /** The database's owner, and on servers before 15 the schema public, which belongs to a superuser there. */
  async prepare(): Promise<void> {
    const { database, loader } = this.#parts;
    const owner = quoteIdentifier(this.#owners.database ?? loader);
    await this.#admin(
      `ALTER DATABASE ${quoteIdentifier(database)} OWNER TO ${owner};`,
      "giving the new database to its owner",
    );
    await this.#admin(
      whenOld(`ALTER SCHEMA public OWNER TO ${quoteIdentifier(this.#login.role)};`),
      "preparing the schema public",
      database,
    );
  }

  /** Make the recorded extensions: as the owner those that an owner may make, the others as a superuser. */
  async extensions(order: readonly string[]): Promise<void> {
    const { facts, database } = this.#parts;
    const rank = (name: string) => (order.indexOf(name) + order.length + 1) % (order.length + 1);
    const wanted = facts.extensions.toSorted((a, b) => rank(a.name) - rank(b.name));
    for (const extension of wanted.filter(({ name }) => name !== "plpgsql")) {
      await this.#admin(
        extensionSql(extension, this.#login.role),
        `making the extension ${extension.name}`,
        database,
      );
    }
  }

  /** What owners other than the database's need to be given things in a schema is granted for the loading. */
  async pass(list: "schemas" | "main" | "last", ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { directory, database, jobs, facts } = this.#parts;
    const file = `${directory}/${list}.list`;
    await this.#write(file, ids.map((id) => `${id};\n`).join(""));
    const args = [
      "--exit-on-error",
      "--no-tablespaces",
      ...(this.#owners.asDumped ? [] : ["--no-owner"]),
      ...(list === "main" ? [`--jobs=${jobs}`] : []),
      `--use-list=${file}`,
      `${directory}/database.dump`,
    ];
    const ended = await this.#login.run("pg_restore", args, database, this.#how);
    if (ended.exit !== 0) throw loadFailure(facts.database, ended);
    this.notes.push(...warningsIn(ended.stderr));
    if (list === "schemas")
      await this.#admin(createGrants("GRANT", "TO", this.#others), "letting owners make things", database);
  }

  async beforePrivileges(): Promise<void> {
    await this.#admin(
      createGrants("REVOKE", "FROM", this.#others),
      "taking back what owners were let",
      this.#parts.database,
    );
  }

  /** What is the passing role's is the owner's from now on, and that role is gone. */
  async handOver(): Promise<void> {
    const { facts, database, loader } = this.#parts;
    const [owner, passing] = [quoteIdentifier(facts.owner), quoteIdentifier(loader)];
    const sql = [
      whenOld(publicBackSql(loader)),
      "BEGIN;",
      `REASSIGN OWNED BY ${passing} TO ${owner};`,
      `DROP OWNED BY ${passing};`,
      doIf(
        `EXISTS (SELECT FROM pg_roles WHERE rolname = ${quoteLiteral(loader)} AND shobj_description(oid, 'pg_authid') = ${quoteLiteral(LOADER_COMMENT)})`,
        `DROP ROLE ${passing};`,
      ),
      "COMMIT;",
    ].join("\n");
    await this.#admin(sql, "giving what was loaded to its owner", database);
  }

  get #others(): readonly string[] {
    return this.#owners.asDumped ? this.#owners.members.filter((name) => name !== this.#owners.database) : [];
  }

  async #admin(sql: string, what: string, database?: string): Promise<void> {
    if (sql === "") return;
    await this.#parts.admin.act(sql, { ...this.#how, what, ...(database === undefined ? {} : { database }) });
  }

  /** World-readable numbers, in a directory that is not. */
  async #write(path: string, text: string): Promise<void> {
    const { admin, place } = this.#parts;
    await admin.client.host.run(["sh", "-c", 'umask 022; cat >"$1"', "sh", path], {
      ...this.#how,
      as: place.run_as,
      stdin: text,
    });
  }
}

async function readToc(parts: LoadParts, how: Cancel): Promise<ReturnType<typeof parseToc>> {
  const { client } = parts.admin;
  const { facts } = parts;
  const argv = client.argv("pg_restore", ["--list", `${parts.directory}/database.dump`]);
  const ended = await client.host.run(argv, {
    ...how,
    as: parts.place.run_as,
    env: { LC_ALL: "C" },
    maxStdout: 256 * 1024 * 1024,
    okExits: [0, 1, 126, 127],
  });
  const what = `reading the archive list of the dump of ${facts.database}`;
  if (ended.exit === 0) return parseToc(ended.stdout.toString("utf8"));
  if (!/unsupported version/.test(ended.stderr)) throw toolFailure("pg_restore", what, ended);
  throw new DropsError("source/failed", `${what} failed: ${lastError(ended.stderr)}`, {
    hint: `apt-get install postgresql-client-${Number.parseInt(facts.pg_dump, 10)}: the dump was made by pg_dump ${facts.pg_dump}`,
  });
}

function leftOutNotes({ leftOut }: LoadingLists): readonly string[] {
  return leftOut
    .slice(0, 20)
    .map((what) => `left out of the dump, since only a superuser may have it: ${what.trim()}`);
}

function loadFailure(database: string, ended: CommandResult): DropsError {
  if (isFull(ended.stderr)) {
    return new DropsError("space/low", `the server's disk became full while loading ${database}`, {
      hint: "make room on the host, then drops restore --resume",
    });
  }
  const failure = toolFailure("pg_restore", `loading the dump of ${database}`, ended);
  const refused =
    /must be superuser|permission denied|must be owner|must be able to SET ROLE|must be member/.test(
      ended.stderr,
    );
  if (!refused) return failure;
  return new DropsError(failure.code, failure.message, {
    hint: "the dump holds what only a superuser may load. If you trust it: drops restore --to DIR, then pg_restore as a superuser",
  });
}
