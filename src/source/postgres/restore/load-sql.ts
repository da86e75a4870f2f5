import type { PostgresFacts } from "../facts.ts";
import { quoteIdentifier, quoteLiteral } from "../quote.ts";

/**
 * Make an extension where it was: as this role when the server lets owners make it, else as the superuser. Its script is run by a
 * superuser in either case, and finds by name what is in its schema: so nothing may be there but what is another extension's.
 */
export function extensionSql({ name, schema }: PostgresFacts["extensions"][number], role: string): string {
  const [extension, at] = [quoteIdentifier(name), quoteIdentifier(schema)];
  const body = `DECLARE
  trusted boolean := EXISTS (SELECT FROM pg_available_extension_versions v JOIN pg_available_extensions a
    ON a.name = v.name AND a.default_version = v.version WHERE v.name = ${quoteLiteral(name)} AND v.trusted);
BEGIN
  IF EXISTS (SELECT FROM (
      SELECT 'pg_proc'::regclass AS kind, oid, pronamespace AS space FROM pg_proc
      UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
      UNION ALL SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')) AS found
    WHERE space = to_regnamespace(${quoteLiteral(at)}) AND space <> 'pg_catalog'::regnamespace AND NOT EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = found.kind AND d.objid = found.oid AND d.deptype = 'e')) THEN
    RAISE EXCEPTION 'drops: the schema % of the extension % is not empty', ${quoteLiteral(at)}, ${quoteLiteral(name)};
  END IF;
  IF trusted THEN SET LOCAL ROLE ${quoteIdentifier(role)}; END IF;
  IF to_regnamespace(${quoteLiteral(at)}) IS NULL THEN
    CREATE EXTENSION IF NOT EXISTS ${extension};
  ELSE
    CREATE EXTENSION IF NOT EXISTS ${extension} WITH SCHEMA ${at};
  END IF;
END`;
  return `DO ${quoteLiteral(body)};`;
}

/** In every schema of the database, for owners who could not be given anything there by who is no superuser. */
export function createGrants(verb: "GRANT" | "REVOKE", to: "TO" | "FROM", roles: readonly string[]): string {
  if (roles.length === 0) return "";
  const list = roles.map(quoteIdentifier).join(", ");
  const body = `DECLARE space text;
BEGIN
  FOR space IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('${verb} CREATE ON SCHEMA %I ${to} ', space) || ${quoteLiteral(list)};
  END LOOP;
END`;
  return `DO ${quoteLiteral(body)};`;
}

export function publicBackSql(loader: string): string {
  return `IF (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public') = ${quoteLiteral(loader)} THEN
    EXECUTE format('ALTER SCHEMA public OWNER TO %I', (SELECT rolname FROM pg_roles WHERE oid = 10)); -- the bootstrap superuser
  END IF;`;
}

export function whenOld(statement: string): string {
  return doIf("current_setting('server_version_num')::int < 150000", statement);
}

export function doIf(condition: string, statement: string): string {
  return `DO ${quoteLiteral(`BEGIN\n  IF ${condition} THEN\n    ${statement}\n  END IF;\nEND`)};`;
}
