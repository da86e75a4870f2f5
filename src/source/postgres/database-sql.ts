import { Database, type DatabaseFacts } from "./facts.ts";
import { quoteIdentifier, quoteLiteral } from "./quote.ts";

/**
 * Statements for psql that make the same, empty database: encoding and locale (from template0, the only template that
 * takes any), owner, privileges, settings. `name` makes it under another name, to be renamed when it is complete. The
 * roles must exist; where something lay in tablespaces is left to the server. It runs as a superuser, or as a role
 * that may create databases and become the owner. Throws a ZodError for facts that did not come through a parser.
 */
export function databaseSql(given: DatabaseFacts, name: string = given.database): string {
  const facts = Database.parse(given);
  return [
    `-- database ${JSON.stringify(facts.database)} of PostgreSQL ${facts.server.version}`,
    createDatabaseSql(facts, name),
    describeDatabaseSql(facts, name),
  ].join("\n");
}

/** All but the creation: owner, connection limit, privileges, comment, settings but those that load code. */
export function describeDatabaseSql(facts: DatabaseFacts, name: string): string {
  const database = quoteIdentifier(name);
  return [
    `ALTER DATABASE ${database} OWNER TO ${quoteIdentifier(facts.owner)};`,
    ...(facts.connection_limit === -1
      ? []
      : [`ALTER DATABASE ${database} CONNECTION LIMIT ${facts.connection_limit};`]),
    ...(facts.is_template ? [`ALTER DATABASE ${database} IS_TEMPLATE true;`] : []),
    ...(facts.comment === null ? [] : [`COMMENT ON DATABASE ${database} IS ${quoteLiteral(facts.comment)};`]),
    ...privileges(facts, database),
    ...settings(facts, database),
    "",
  ].join("\n");
}

/** The creation alone. `more` are further options of CREATE DATABASE, as SQL. */
export function createDatabaseSql(facts: DatabaseFacts, name: string, more: readonly string[] = []): string {
  const options = [
    "TEMPLATE = template0",
    `ENCODING = ${quoteLiteral(facts.encoding)}`,
    // servers before 15 know one provider and not the word
    ...(facts.provider === "libc" ? [] : [`LOCALE_PROVIDER = ${facts.provider}`]),
    `LC_COLLATE = ${quoteLiteral(facts.collate)}`,
    `LC_CTYPE = ${quoteLiteral(facts.ctype)}`,
    ...localeOption(facts),
    ...(facts.icu_rules === null ? [] : [`ICU_RULES = ${quoteLiteral(facts.icu_rules)}`]),
  ];
  // without the word a server whose template0 has another provider would take that one
  if (facts.provider === "libc" && Number(facts.server.version_num) >= 150000) {
    options.splice(2, 0, "LOCALE_PROVIDER = libc");
  }
  return `CREATE DATABASE ${quoteIdentifier(name)} WITH ${[...options, ...more].join(" ")};`;
}

function localeOption(facts: DatabaseFacts): readonly string[] {
  if (facts.locale === null || facts.provider === "libc") return [];
  const word = facts.provider === "icu" ? "ICU_LOCALE" : "BUILTIN_LOCALE";
  return [`${word} = ${quoteLiteral(facts.locale)}`];
}

/** Whoever granted them, they are granted by the owner here: the same may do the same. */
function privileges(facts: DatabaseFacts, database: string): readonly string[] {
  if (facts.acl === null) return [];
  const grants = facts.acl.map((grant) => {
    const grantee = grant.grantee === null ? "PUBLIC" : quoteIdentifier(grant.grantee);
    const option = grant.grantable ? " WITH GRANT OPTION" : "";
    return `GRANT ${grant.privilege} ON DATABASE ${database} TO ${grantee}${option};`;
  });
  return [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC;`,
    `REVOKE ALL ON DATABASE ${database} FROM ${quoteIdentifier(facts.owner)};`,
    ...grants,
  ];
}

/** Parameters by which the server is told to load code into its sessions, a superuser's too. A restore never sets them. */
export function loadsCode(parameter: string): boolean {
  return /^(session_preload_libraries|local_preload_libraries|shared_preload_libraries|dynamic_library_path|jit_provider)$/i.test(
    parameter,
  );
}

function settings(facts: DatabaseFacts, database: string): readonly string[] {
  return facts.settings.flatMap(({ role, name, value }) => {
    if (loadsCode(name)) return [`-- left out, since it loads code into the server: ${name}`];
    const target =
      role === null
        ? `ALTER DATABASE ${database}`
        : `ALTER ROLE ${quoteIdentifier(role)} IN DATABASE ${database}`;
    // an extension's parameter has a dot; each part is a word of its own
    const parameter = name.split(".").map(quoteIdentifier).join(".");
    return `${target} SET ${parameter} TO ${settingValue(name, value)};`;
  });
}

/** Parameters whose stored value is a list of names in double quotes (GUC_LIST_QUOTE in PostgreSQL's guc_tables.c). */
const NAME_LISTS: ReadonlySet<string> = new Set([
  "search_path",
  "temp_tablespaces",
  "unix_socket_directories",
]);

function settingValue(name: string, value: string): string {
  if (!NAME_LISTS.has(name.toLowerCase())) return quoteLiteral(value);
  const names = splitNames(value);
  return names.length === 0 ? "''" : names.map(quoteLiteral).join(", ");
}

/** `"$user", public, "a""b"` as its names; case is kept, as pg_dump's SplitGUCList does. */
export function splitNames(list: string): readonly string[] {
  return Array.from(list.matchAll(/"((?:[^"]|"")*)"|[^\s,"]+/g), (match) =>
    match[1] === undefined ? match[0] : match[1].replaceAll('""', '"'),
  );
}
