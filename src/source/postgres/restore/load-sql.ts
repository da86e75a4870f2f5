import type { PostgresFacts } from "../facts.ts";
import { quoteIdentifier, quoteLiteral } from "../quote.ts";

/**
 * Make the recorded extensions where they were: as the loading role those that the server lets an owner make. Their scripts are run
 * by a superuser in either case and find by name what is in their schemas. So this comes before anything of the dump, in schemas that
 * nobody else may make anything in, and these are given to `owners` afterwards; undefined: to the loading role.
 */
export function extensionsSql(
  extensions: readonly Pick<PostgresFacts["extensions"][number], "name" | "schema">[],
  owners: ReadonlyMap<string, string | undefined>,
  loader: string,
): string {
  const role = quoteIdentifier(loader);
  const schemas = [...owners].map(([schema, owner]) => [
    quoteIdentifier(schema),
    quoteIdentifier(owner ?? loader),
  ]);
  return [
    whenOld("REVOKE CREATE ON SCHEMA public FROM PUBLIC;"),
    ...schemas.map(([schema]) => `CREATE SCHEMA ${schema};`),
    ...extensions.map((extension) => extensionSql(extension, role)),
    ...schemas.map(([schema, owner]) => `ALTER SCHEMA ${schema} OWNER TO ${owner};`),
    whenOld("GRANT CREATE ON SCHEMA public TO PUBLIC;"),
  ].join("\n");
}

function extensionSql(
  { name, schema }: Pick<PostgresFacts["extensions"][number], "name" | "schema">,
  role: string,
): string {
  const [extension, at] = [quoteIdentifier(name), quoteIdentifier(schema)];
  const body = `DECLARE
  trusted boolean := EXISTS (SELECT FROM pg_available_extension_versions v JOIN pg_available_extensions a
    ON a.name = v.name AND a.default_version = v.version WHERE v.name = ${quoteLiteral(name)} AND v.trusted);
BEGIN
  IF trusted THEN SET LOCAL ROLE ${role}; END IF;
  IF to_regnamespace(${quoteLiteral(at)}) IS NULL THEN
    CREATE EXTENSION IF NOT EXISTS ${extension};
  ELSE
    CREATE EXTENSION IF NOT EXISTS ${extension} WITH SCHEMA ${at};
  END IF;
END`;
  return `DO ${quoteLiteral(body)};`;
}

/**
 * Let roles make things in the schemas that are another's: nobody but a superuser could give them anything there. Once more with
 * REVOKE and FROM, before the dump's own privileges are granted, it is as it was: a schema without privileges of its own too.
 */
export function createGrants(verb: "GRANT" | "REVOKE", to: "TO" | "FROM", roles: readonly string[]): string {
  if (roles.length === 0) return "";
  const body = `DECLARE space text; role text;
BEGIN
  FOR space, role IN SELECT n.nspname, r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid <> n.nspowner
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND r.rolname IN (${roles.map(quoteLiteral).join(", ")}) LOOP
    EXECUTE format('${verb} CREATE ON SCHEMA %I ${to} %I', space, role);
  END LOOP;
END`;
  const back = "UPDATE pg_namespace SET nspacl = NULL WHERE nspacl = acldefault('n', nspowner);";
  return `DO ${quoteLiteral(body)};${verb === "REVOKE" ? `\n${back}` : ""}`;
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
