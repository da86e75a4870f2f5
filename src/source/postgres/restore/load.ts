import * as z from "zod";
import type { CommandResult } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import type { PostgresFacts } from "../facts.ts";
import { lastError, toolFailure } from "../failure.ts";
import { quoteIdentifier, quoteLiteral } from "../quote.ts";
import type { RoleRow } from "./admin.ts";
import { type EntryFailure, failuresIn } from "./entry-failures.ts";
import { inWords, loadFailure, warningsOf } from "./load-outcome.ts";
import { createGrants, doIf, extensionsSql, publicBackSql, whenOld } from "./load-sql.ts";
import { LOADER_COMMENT, type LoaderParts, type Login, openLogin } from "./loader.ts";
import { givePathSql, PATHLESS_SQL, takePathSql } from "./search-path.ts";
import { type LoadingLists, type LoadingRun, parseToc, planLoading, type TocEntry } from "./toc.ts";

export interface LoadParts extends Omit<LoaderParts, "memberOf"> {
  readonly facts: PostgresFacts;
  readonly roles: ReadonlyMap<string, RoleRow>;
  /** Of pg_restore. */
  readonly jobs: number;
}

/** What is not as in the dump, though every row is there: for the operator. */
export interface Loaded {
  readonly notes: readonly string[];
  /** What could not be made since it contradicts the rows, or does not run here. */
  readonly broken: readonly string[];
}

/**
 * Load `database.dump` of a directory on the host into a new database, as a role that is no superuser, and give what it made to
 * the owner. Extensions are made beforehand. The database belongs to its owner meanwhile, or to the passing role when that
 * owner is a superuser. What only a superuser may have is left out, and so is what cannot be made although all rows are there:
 * both are told.
 *
 * @throws DropsError format/unsupported when rows, or what restricts their use, could not be restored: the same again would
 * end the same way; source/failed with what pg_restore said; space/low
 */
export async function loadDump(parts: LoadParts, how: Cancel): Promise<Loaded> {
  const { roles, facts } = parts;
  const toc = await readToc(parts, how);
  const lists = planLoading(toc, roles, facts);
  const owners = ownersOf(parts, lists);
  const login = await openLogin({ ...parts, memberOf: owners.members }, how);
  const load = new Loading(parts, { login, owners, toc }, how);
  await load.extensions(lists);
  await load.prepare();
  await load.pass("schemas", lists.schemas);
  await load.letOwnersMake();
  await load.pass("definitions", lists.definitions);
  const pathless = await load.givePath();
  await load.pass("rows", lists.rows);
  await load.beforePrivileges();
  await load.pass("last", lists.last);
  await load.analyze();
  await load.takePath(pathless);
  await load.handOver();
  const left = [...lists.leftOut.map((entry) => ({ ...entry, error: "" })), ...load.refused];
  return {
    notes: [...owners.notes, ...load.notes, ...inWords("left out, since only a superuser may have it", left)],
    broken: inWords("could not be made", load.broken),
  };
}

interface Owners {
  /** Who owns the database while it is loaded; undefined: the passing role. */
  readonly database: string | undefined;
  readonly members: readonly string[];
  readonly notes: readonly string[];
}

/** A role that is no superuser cannot give anything to one: what superusers owned is given to the database's owner. */
function ownersOf({ facts, roles }: LoadParts, lists: LoadingLists): Owners {
  const isSuperuser = (name: string) => roles.get(name)?.superuser === true;
  const owners = lists.owners.filter((name) => !name.startsWith("pg_"));
  const database = isSuperuser(facts.owner) ? undefined : facts.owner;
  const plain = owners.filter((name) => !isSuperuser(name));
  return {
    database,
    members: [...new Set([...plain, ...(database === undefined ? [] : [database])])],
    notes: owners
      .filter((name) => isSuperuser(name) && name !== facts.owner)
      .map(
        (name) => `what belonged to the superuser ${name} in ${facts.database} belongs to ${facts.owner} now`,
      ),
  };
}

/** Statements of psql as the loading role, up to the first that fails. */
const PSQL = ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"];

class Loading {
  readonly #parts: LoadParts;
  readonly #login: Login;
  readonly #owners: Owners;
  readonly #toc: readonly TocEntry[];
  readonly #how: Cancel;
  readonly notes: string[] = [];
  readonly refused: EntryFailure[] = [];
  readonly broken: EntryFailure[] = [];

  constructor(
    parts: LoadParts,
    { login, owners, toc }: { login: Login; owners: Owners; toc: readonly TocEntry[] },
    how: Cancel,
  ) {
    this.#parts = parts;
    this.#login = login;
    this.#owners = owners;
    this.#toc = toc;
    this.#how = how;
  }

  /** The database is the loading role's meanwhile, which nobody else gets in as: nobody can put anything beside them. */
  async extensions({ extensions, extensionSchemas }: LoadingLists): Promise<void> {
    const { facts, database, loader } = this.#parts;
    const rank = (name: string) =>
      (extensions.indexOf(name) + extensions.length + 1) % (extensions.length + 1);
    const wanted = facts.extensions.toSorted((a, b) => rank(a.name) - rank(b.name));
    const made = wanted.filter(({ name }) => name !== "plpgsql");
    await this.#own(loader);
    await this.#admin(extensionsSql(made, extensionSchemas, loader), "making the extensions", database);
  }

  /** The database's owner, and on servers before 15 the schema public, which belongs to a superuser there. */
  async prepare(): Promise<void> {
    const { database, loader } = this.#parts;
    await this.#own(this.#owners.database ?? loader);
    await this.#admin(
      whenOld(`ALTER SCHEMA public OWNER TO ${quoteIdentifier(this.#login.role)};`),
      "preparing the schema public",
      database,
    );
  }

  async #own(owner: string): Promise<void> {
    const sql = `ALTER DATABASE ${quoteIdentifier(this.#parts.database)} OWNER TO ${quoteIdentifier(owner)};`;
    await this.#admin(sql, "giving the new database to its owner");
  }

  async pass(name: string, runs: readonly LoadingRun[]): Promise<void> {
    const { directory, database, jobs, facts } = this.#parts;
    for (const { ids, asDumped } of runs) {
      const file = `${directory}/${name}.list`;
      await this.#write(file, ids.map((id) => `${id};\n`).join(""));
      const args = [
        "--verbose", // or it does not name the entries that failed
        "--no-tablespaces",
        ...(asDumped ? [] : ["--no-owner"]),
        ...(name === "rows" ? [`--jobs=${jobs}`] : []),
        `--use-list=${file}`,
        `${directory}/database.dump`,
      ];
      const ended = await this.#login.run("pg_restore", args, database, this.#how);
      const said = ended.stdout.toString("utf8");
      if (ended.exit === 0) this.notes.push(...warningsOf(said));
      else this.#judge(facts, said, ended);
    }
  }

  /** Throws what ends the loading. */
  #judge(facts: PostgresFacts, said: string, ended: CommandResult): void {
    const failures = failuresIn(said, this.#toc, facts);
    const failure = loadFailure(facts.database, { ended, said, failures });
    if (failure) throw failure;
    this.refused.push(...failures.refused);
    this.broken.push(...failures.broken);
  }

  /** What owners other than the database's need to be given things in a schema is granted for the loading. */
  async letOwnersMake(): Promise<void> {
    const grants = createGrants("GRANT", "TO", this.#others);
    await this.#admin(grants, "letting owners make things", this.#parts.database);
  }

  /** Answers the functions that were given the database's search_path. */
  async givePath(): Promise<readonly string[]> {
    const told = await this.#ask(`${PATHLESS_SQL};`, "looking for functions without a search_path");
    const oids = z.array(z.string()).parse(JSON.parse(told));
    if (oids.length > 0)
      await this.#ask(givePathSql(oids, this.#parts.facts), "giving functions a search_path");
    return oids;
  }

  async takePath(oids: readonly string[]): Promise<void> {
    if (oids.length > 0) await this.#ask(takePathSql(oids), "taking the search_path of functions back");
  }

  /** As the loading role: it runs functions of indexes. One that fails takes no row with it. */
  async analyze(): Promise<void> {
    const { database } = this.#parts;
    const ended = await this.#login.run("psql", PSQL, database, {
      ...this.#how,
      stdin: `${this.#become}ANALYZE;\n`,
    });
    if (ended.exit === 0) return;
    this.notes.push(`the new database was not analyzed: ${lastError(ended.stderr).slice(0, 200)}`);
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
    return this.#owners.members.filter((name) => name !== this.#owners.database);
  }

  get #become(): string {
    return `SET ROLE ${quoteIdentifier(this.#login.role)};\n`;
  }

  /** Statements as the loading role; what they answer. */
  async #ask(sql: string, what: string): Promise<string> {
    const { database, facts } = this.#parts;
    const ended = await this.#login.run("psql", PSQL, database, { ...this.#how, stdin: this.#become + sql });
    if (ended.exit !== 0) throw toolFailure("psql", `${what} in ${facts.database}`, ended);
    return ended.stdout.toString("utf8").trim();
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
