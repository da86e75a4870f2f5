import { splitNames } from "../database-sql.ts";
import type { DatabaseFacts } from "../facts.ts";
import { quoteIdentifier, quoteLiteral } from "../quote.ts";

/** PostgreSQL's own, where a database has no setting. */
const USUAL = '"$user", public';

/**
 * The functions that the session may alter and that have no search_path of their own: their object ids, as JSON. A dump is
 * loaded with an empty search_path, so those of them that name something without a schema fail where an index, a check, a
 * generated column or a materialized view calls them.
 */
export const PATHLESS_SQL = `SELECT coalesce(pg_catalog.json_agg(p.oid::pg_catalog.text), '[]')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE p.prokind IN ('f', 'w') AND l.lanname NOT IN ('internal', 'c')
  AND pg_catalog.pg_has_role(p.proowner, 'MEMBER')
  AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS setting WHERE setting LIKE 'search\\_path=%')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
    WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid AND e.deptype = 'e')`;

/** Give them the search_path that the database has, and their own schema at its end. */
export function givePathSql(oids: readonly string[], facts: Pick<DatabaseFacts, "settings">): string {
  const set = facts.settings.find(({ role, name }) => role === null && name === "search_path")?.value;
  const names = splitNames(set === undefined || set === "" ? USUAL : set).map(quoteIdentifier);
  const path = quoteLiteral(`${names.join(", ")}, `);
  return alterEach(
    oids,
    `pg_catalog.format('ALTER FUNCTION %s SET search_path = ', f) || ${path} || pg_catalog.quote_ident(space)`,
  );
}

/** As they were. */
export function takePathSql(oids: readonly string[]): string {
  return alterEach(oids, "pg_catalog.format('ALTER FUNCTION %s RESET search_path', f)");
}

function alterEach(oids: readonly string[], statement: string): string {
  if (oids.some((oid) => !/^\d{1,10}$/.test(oid))) throw new RangeError("an object id is a number");
  const body = `DECLARE f pg_catalog.regprocedure; space pg_catalog.name;
BEGIN
  FOR f, space IN SELECT p.oid::pg_catalog.regprocedure, n.nspname
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid = ANY ('{${oids.join(",")}}'::pg_catalog.oid[])
  LOOP EXECUTE ${statement}; END LOOP;
END`;
  return `SET search_path = pg_catalog;\nDO ${quoteLiteral(body)};\n`;
}
