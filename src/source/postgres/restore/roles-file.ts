import { DropsError } from "../../../lib/errors.ts";
import { statementsOf } from "./sql-tokens.ts";
import { TokenReader } from "./token-reader.ts";

export interface DumpedRole {
  readonly name: string;
  /** Of LOGIN, INHERIT, CREATEDB, in that form; `NO…` is left out. */
  readonly attributes: ReadonlySet<string>;
  /** Powers over the server, which a restore never hands out: SUPERUSER, CREATEROLE, REPLICATION, BYPASSRLS. */
  readonly powers: readonly string[];
  readonly connectionLimit: number | undefined;
  /** A hash in most cases. Never shown. */
  readonly password: string | undefined;
  readonly validUntil: string | undefined;
  readonly comment: string | undefined;
  readonly settings: readonly { readonly name: string; readonly values: readonly string[] }[];
}

export interface Membership {
  readonly role: string;
  readonly member: string;
  /** INHERIT and SET came with PostgreSQL 16. */
  readonly options: readonly { readonly name: (typeof OPTIONS)[number]; readonly value: boolean }[];
}

/** What a `roles.sql` says, as data: it is read and never run, since it would run as a superuser. */
export interface RolesFile {
  readonly roles: readonly DumpedRole[];
  readonly memberships: readonly Membership[];
  /** Statements that say nothing of this: they are not carried out. */
  readonly ignored: number;
}

const OPTIONS = ["ADMIN", "INHERIT", "SET"] as const;
const HARMLESS = new Set(["LOGIN", "INHERIT", "CREATEDB"]);
const POWERS = new Set(["SUPERUSER", "CREATEROLE", "REPLICATION", "BYPASSRLS"]);

/**
 * Read what `pg_dumpall --roles-only` wrote, of any version. What is not understood is counted, never guessed. Throws
 * data/damaged when there is a NUL in it: no SQL has one.
 */
export function parseRolesFile(sql: string): RolesFile {
  if (sql.includes("\0"))
    throw new DropsError("data/damaged", "reading the roles of a dump: there is a NUL in it");
  const roles = new Map<string, DumpedRole>();
  const memberships: Membership[] = [];
  let ignored = 0;
  for (const statement of statementsOf(sql)) {
    const reader = new TokenReader(statement);
    const understood = reader.starts("set") || readRole(reader, roles) || readMembership(reader, memberships);
    if (!understood) ignored++;
  }
  return { roles: [...roles.values()], memberships, ignored };
}

/** `CREATE ROLE x`, `ALTER ROLE x WITH …`, `ALTER ROLE x SET …`, `COMMENT ON ROLE x IS …` */
function readRole(reader: TokenReader, roles: Map<string, DumpedRole>): boolean {
  if (reader.starts("create", "role")) {
    const name = reader.name();
    if (name === undefined || !reader.atEnd) return false;
    roles.set(name, roles.get(name) ?? emptyRole(name));
    return true;
  }
  const isComment = reader.starts("comment", "on", "role");
  if (!isComment && !reader.starts("alter", "role")) return false;
  const role = roles.get(reader.name() ?? "");
  if (role === undefined) return false; // of a database too: ALTER ROLE … IN DATABASE belongs to database.sql
  const changed = isComment ? readComment(reader, role) : readChange(reader, role);
  if (changed === undefined || !reader.atEnd) return false;
  roles.set(role.name, changed);
  return true;
}

function readComment(reader: TokenReader, role: DumpedRole): DumpedRole | undefined {
  const comment = reader.starts("is") ? reader.string() : undefined;
  return comment === undefined ? undefined : { ...role, comment };
}

function readChange(reader: TokenReader, role: DumpedRole): DumpedRole | undefined {
  if (reader.starts("with")) return readAttributes(reader, role);
  if (!reader.starts("set")) return undefined;
  const name = reader.parameter();
  if (name === undefined || !(reader.starts("to") || reader.other("="))) return undefined;
  const values: string[] = [];
  do {
    const value = reader.value();
    if (value === undefined) return undefined;
    values.push(value);
  } while (reader.other(","));
  return { ...role, settings: [...role.settings, { name, values }] };
}

function readAttributes(reader: TokenReader, role: DumpedRole): DumpedRole | undefined {
  const attributes = new Set<string>();
  const powers: string[] = [];
  let read: DumpedRole = role;
  while (reader.peek() !== undefined) {
    const word = reader.word()?.toUpperCase() ?? "";
    if (HARMLESS.has(word)) attributes.add(word);
    else if (POWERS.has(word)) powers.push(word);
    else if (!word.startsWith("NO")) {
      const valued = readValued(reader, word, read);
      if (valued === undefined) return undefined;
      read = valued;
    }
  }
  return { ...read, attributes, powers };
}

function readValued(reader: TokenReader, word: string, role: DumpedRole): DumpedRole | undefined {
  if (word === "CONNECTION" && reader.starts("limit")) {
    return { ...role, connectionLimit: Number(reader.number() ?? -1) };
  }
  if (word === "PASSWORD") return { ...role, password: reader.string() };
  return word === "VALID" && reader.starts("until") ? { ...role, validUntil: reader.string() } : undefined;
}

/** `GRANT role TO member [WITH ADMIN OPTION | WITH ADMIN TRUE, INHERIT FALSE, SET TRUE] [GRANTED BY x]` */
function readMembership(reader: TokenReader, memberships: Membership[]): boolean {
  if (!reader.starts("grant")) return false;
  const role = reader.name();
  const member = reader.starts("to") ? reader.name() : undefined;
  const options = reader.starts("with") ? readOptions(reader) : [];
  if (reader.starts("granted", "by")) reader.name();
  if (role === undefined || member === undefined || options === undefined || !reader.atEnd) return false;
  memberships.push({ role, member, options });
  return true;
}

function readOptions(reader: TokenReader): Membership["options"] | undefined {
  const options: Membership["options"][number][] = [];
  do {
    const name = OPTIONS.find((option) => option === reader.peek()?.toUpperCase());
    if (name === undefined) return undefined;
    reader.word();
    options.push({ name, value: reader.word() !== "false" });
  } while (reader.other(","));
  return options;
}

function emptyRole(name: string): DumpedRole {
  return {
    name,
    attributes: new Set(["INHERIT"]),
    powers: [],
    connectionLimit: undefined,
    password: undefined,
    validUntil: undefined,
    comment: undefined,
    settings: [],
  };
}
