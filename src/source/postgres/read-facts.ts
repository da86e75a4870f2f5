import * as z from "zod";
import { DropsError } from "../../lib/errors.ts";
import { Database, type DatabaseFacts, type PostgresFacts } from "./facts.ts";
import type { PsqlSession } from "./session.ts";

/** What the database is, apart from its rows. */
export type ReadFacts = DatabaseFacts &
  Pick<PostgresFacts, "extensions" | "roles" | "role_passwords" | "size_bytes"> & {
    /** Tablespaces beside the default ones that something of this database lies in. */
    readonly tablespaces: readonly string[];
  };

/** Read what the session's database is. `to_jsonb` of the catalog's row hides which columns which version has. */
export async function readFacts(session: PsqlSession): Promise<ReadFacts> {
  const answer = Answer.safeParse(await session.json(FACTS_SQL));
  if (!answer.success) throw unknownForm(answer.error);
  const { row, ...rest } = answer.data[0];
  const provider = PROVIDERS[row.datlocprovider ?? "c"];
  if (provider === undefined) {
    throw new DropsError(
      "source/failed",
      `database ${rest.database} has the unknown locale provider ${row.datlocprovider}`,
    );
  }
  return {
    ...rest,
    provider,
    collate: row.datcollate,
    ctype: row.datctype,
    locale: row.datlocale ?? row.daticulocale ?? null,
    icu_rules: row.daticurules ?? null,
    collation_version: row.datcollversion ?? null,
    connection_limit: row.datconnlimit,
    is_template: row.datistemplate,
  };
}

function unknownForm(cause: z.ZodError): DropsError {
  const fields = cause.issues.map(({ path }) => path.slice(1).join(".")).join(", ");
  return new DropsError("source/failed", `the server reports its ${fields} in an unknown form`, { cause });
}

const PROVIDERS: Readonly<Record<string, DatabaseFacts["provider"]>> = { c: "libc", i: "icu", b: "builtin" };

const Answer = z.tuple([
  z.object({
    database: Database.shape.database,
    server: Database.shape.server,
    encoding: Database.shape.encoding,
    owner: Database.shape.owner,
    tablespace: Database.shape.tablespace,
    tablespaces: z.array(Database.shape.tablespace),
    comment: Database.shape.comment,
    acl: Database.shape.acl,
    settings: Database.shape.settings,
    extensions: z.array(z.object({ name: z.string(), version: z.string(), schema: z.string() })),
    roles: z.array(z.string()),
    role_passwords: z.boolean(),
    size_bytes: z.string(),
    row: z.object({
      datcollate: Database.shape.collate,
      datctype: Database.shape.ctype,
      datconnlimit: z.number(),
      datistemplate: z.boolean(),
      datlocprovider: z.string().optional(), // from 15
      datcollversion: Database.shape.collation_version.optional(), // from 15
      daticulocale: Database.shape.locale.optional(), // 15 and 16
      daticurules: Database.shape.icu_rules.optional(), // from 16
      datlocale: Database.shape.locale.optional(), // from 17
    }),
  }),
]);

const FACTS_SQL = `SELECT json_build_object(
  'database', d.datname,
  'server', json_build_object(
    'version', current_setting('server_version'), 'version_num', current_setting('server_version_num')),
  'encoding', pg_encoding_to_char(d.encoding),
  'owner', pg_get_userbyid(d.datdba),
  'tablespace', (SELECT spcname FROM pg_tablespace s WHERE s.oid = d.dattablespace),
  'tablespaces', (SELECT coalesce(json_agg(DISTINCT s.spcname), '[]')
    FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE s.spcname !~ '^pg_'),
  'comment', shobj_description(d.oid, 'pg_database'),
  'acl', CASE WHEN d.datacl IS NOT NULL THEN (
    SELECT coalesce(json_agg(json_build_object(
      'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
      'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]') FROM aclexplode(d.datacl) a) END,
  'settings', (SELECT coalesce(json_agg(json_build_object(
      'role', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END,
      'name', split_part(pair, '=', 1), 'value', substr(pair, strpos(pair, '=') + 1))
      ORDER BY s.setrole, nr), '[]')
    FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) WITH ORDINALITY AS u (pair, nr)
    WHERE s.setdatabase = d.oid),
  'extensions', (SELECT coalesce(json_agg(json_build_object(
      'name', e.extname, 'version', e.extversion, 'schema', n.nspname) ORDER BY e.extname COLLATE "C"), '[]')
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace),
  'roles', (SELECT json_agg(r.rolname ORDER BY r.rolname COLLATE "C") FROM pg_roles r WHERE r.rolname !~ '^pg_'),
  'role_passwords', has_table_privilege('pg_authid', 'SELECT'),
  'size_bytes', pg_database_size(d.oid)::text,
  'row', to_jsonb(d)
) FROM pg_database d WHERE d.datname = current_database()`;
