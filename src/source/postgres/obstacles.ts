import * as z from "zod";
import { someOf } from "../../lib/words.ts";
import type { PsqlSession } from "./session.ts";

/**
 * What of a database does not come back as it is when it is loaded by a role that is no superuser, which is the only safe way to
 * load a dump. Found where it is captured, so that it is told long before anybody restores.
 */
export const Obstacle = z.object({
  /** One of `WORDS`, or one of a newer program's. */
  kind: z.string().max(64),
  /** At most `MOST_NAMES` of them. */
  names: z.array(z.string().max(1024)).max(32),
  count: z.int(),
});
export type Obstacle = z.infer<typeof Obstacle>;

const MOST_NAMES = 10;

/** Look for all of them but those that only rows can tell. Reads catalogues, and runs nothing that the database defines. */
export async function readObstacles(session: PsqlSession): Promise<readonly Obstacle[]> {
  const [has] = z
    .tuple([z.boolean()])
    .parse(
      await session.json("SELECT to_json(to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL)"),
    );
  return z.array(Obstacle).parse(await session.json(obstaclesSql(has ? [OF_SCHEMAS] : [])));
}

/** A note for each; the words are for whoever runs the backed-up database. */
export function obstacleNotes(obstacles: readonly Obstacle[]): readonly string[] {
  return obstacles.flatMap(({ kind, names, count }) => {
    const words = WORDS[kind];
    if (words === undefined) return [];
    return [words(someOf(names, { most: names.length, total: count }))];
  });
}

const ONLY_SUPERUSER =
  "only a superuser may make them, so a restore leaves them out, and fails where a table needs them";

const WORDS: Readonly<Record<string, (names: string) => string>> = {
  "event-trigger": (names) =>
    `event triggers ${names}: a restore leaves them out, since only a superuser may make them`,
  publication: (names) =>
    `publications ${names} of all tables or of a schema: a restore leaves them out, since only a superuser may make them`,
  subscription: (names) =>
    `subscriptions ${names}: a restore leaves them out, so that it does not take what is published for this database`,
  superuser: (names) => `${names}: a superuser's here, and of the database's owner after a restore`,
  cast: (names) => `casts ${names}: ${ONLY_SUPERUSER}`,
  function: (names) => `functions ${names} in a language that is not trusted: ${ONLY_SUPERUSER}`,
  definition: (names) => `${names}: ${ONLY_SUPERUSER}`,
  foreign: (names) => `foreign servers and wrappers ${names}: ${ONLY_SUPERUSER}`,
  grant: (names) =>
    `privileges on ${names} were granted by another role than the owner, which a restore cannot do: grant them as the owner`,
  label: (names) => `security labels of ${names}: a restore sets them only where that provider is loaded`,
  "extension-rows": (names) =>
    `extensions ${names} keep rows in tables of their own: a restore leaves these rows out where the owner may not write them`,
  pathless: (names) =>
    `functions ${names} name things without a schema and are called by an index, a check, a generated column or a materialized view: drops restores them, pg_restore by hand fails (ALTER FUNCTION … SET search_path mends it)`,
  "role-name": (names) =>
    `roles ${names}: their names are not ASCII and the database is not UTF8, so a restore makes roles of other names: ALTER ROLE … RENAME TO`,
  "foreign-key": (names) =>
    `rows break the foreign keys ${names}: a restore brings the rows and cannot make these keys. Correct the rows, or drop the keys`,
};

/** Whether an object is a member of an extension, which brings it. */
function ofExtension(catalogue: string, oid: string): string {
  return `EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_catalog.${catalogue}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;
}

/** Made by no initdb, and by no extension. */
function own(catalogue: string): string {
  return `o.oid >= 16384 AND NOT ${ofExtension(catalogue, "o.oid")}`;
}

const SUPERUSERS = "(SELECT oid FROM pg_roles WHERE rolsuper)";
const OWNER_IS_PLAIN = `(SELECT NOT r.rolsuper FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database())`;
const USERS_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/** Since PostgreSQL 15. */
const OF_SCHEMAS = `SELECT 'publication', p.pubname::text FROM pg_publication p
  WHERE EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid)`;

const PARTS: readonly string[] = [
  `SELECT 'event-trigger', o.evtname::text FROM pg_event_trigger o WHERE NOT ${ofExtension("pg_event_trigger", "o.oid")}`,
  "SELECT 'publication', pubname::text FROM pg_publication WHERE puballtables",
  "SELECT 'subscription', subname::text FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
  `SELECT 'superuser', n.nspname || '.' || o.relname FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
    WHERE o.relkind IN ('r', 'p', 'v', 'm', 'f') AND o.relowner IN ${SUPERUSERS} AND ${OWNER_IS_PLAIN} AND ${USERS_SCHEMA} AND ${own("pg_class")}`,
  `SELECT 'superuser', o.oid::regprocedure::text FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace
    WHERE o.proowner IN ${SUPERUSERS} AND ${OWNER_IS_PLAIN} AND ${USERS_SCHEMA} AND ${own("pg_proc")}`,
  `SELECT 'cast', format('%s AS %s', format_type(o.castsource, NULL), format_type(o.casttarget, NULL)) FROM pg_cast o
    JOIN pg_type s ON s.oid = o.castsource JOIN pg_type t ON t.oid = o.casttarget
    WHERE (o.castmethod = 'b' OR (s.typowner IN ${SUPERUSERS} AND t.typowner IN ${SUPERUSERS})) AND ${own("pg_cast")}`,
  `SELECT 'function', o.oid::regprocedure::text FROM pg_proc o JOIN pg_language l ON l.oid = o.prolang
    WHERE NOT l.lanpltrusted AND ${own("pg_proc")}`,
  `SELECT 'definition', 'the language ' || o.lanname FROM pg_language o WHERE ${own("pg_language")}`,
  `SELECT 'definition', 'the base type ' || format_type(o.oid, NULL) FROM pg_type o
    WHERE o.typtype = 'b' AND o.typcategory <> 'A' AND ${own("pg_type")}`,
  `SELECT 'definition', 'the operator class ' || o.opcname FROM pg_opclass o WHERE ${own("pg_opclass")}`,
  `SELECT 'definition', 'the operator family ' || o.opfname FROM pg_opfamily o WHERE ${own("pg_opfamily")}`,
  `SELECT 'definition', 'the access method ' || o.amname FROM pg_am o WHERE ${own("pg_am")}`,
  `SELECT 'definition', 'the text search parser ' || o.prsname FROM pg_ts_parser o WHERE ${own("pg_ts_parser")}`,
  `SELECT 'definition', 'the text search template ' || o.tmplname FROM pg_ts_template o WHERE ${own("pg_ts_template")}`,
  `SELECT 'foreign', o.fdwname::text FROM pg_foreign_data_wrapper o WHERE ${own("pg_foreign_data_wrapper")}`,
  `SELECT 'foreign', o.srvname::text FROM pg_foreign_server o WHERE ${own("pg_foreign_server")}`,
  `SELECT DISTINCT 'grant', n.nspname || '.' || o.relname FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
    CROSS JOIN aclexplode(o.relacl) a WHERE a.grantor <> o.relowner AND ${USERS_SCHEMA} AND ${own("pg_class")}`,
  `SELECT DISTINCT 'grant', o.oid::regprocedure::text FROM pg_proc o CROSS JOIN aclexplode(o.proacl) a
    WHERE a.grantor <> o.proowner AND ${own("pg_proc")}`,
  `SELECT DISTINCT 'grant', 'the schema ' || o.nspname FROM pg_namespace o CROSS JOIN aclexplode(o.nspacl) a
    WHERE a.grantor <> o.nspowner AND ${own("pg_namespace")}`,
  "SELECT DISTINCT 'label', provider FROM pg_seclabel",
  // the cluster keeps the bytes of names alone; every database reads them in its own encoding
  `SELECT 'role-name', rolname::text FROM pg_roles WHERE rolname ~ '[^\\x01-\\x7f]' AND getdatabaseencoding() NOT IN ('UTF8', 'SQL_ASCII')`,
  `SELECT 'extension-rows', extname::text FROM pg_extension WHERE extconfig IS NOT NULL AND extowner IN ${SUPERUSERS} AND ${OWNER_IS_PLAIN}`,
  // what it names without a schema is looked for by its words: its text alone, since nothing of it may run here
  `SELECT 'pathless', o.oid::regprocedure::text FROM pg_proc o JOIN pg_language l ON l.oid = o.prolang
    WHERE l.lanname NOT IN ('internal', 'c') AND ${own("pg_proc")}
    AND NOT EXISTS (SELECT FROM unnest(o.proconfig) AS setting WHERE setting LIKE 'search\\_path=%')
    AND EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = o.oid AND (
      d.classid = 'pg_catalog.pg_class'::regclass
      OR d.classid = 'pg_catalog.pg_constraint'::regclass
      OR (d.classid = 'pg_catalog.pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef f JOIN pg_attribute a
        ON a.attrelid = f.adrelid AND a.attnum = f.adnum WHERE f.oid = d.objid AND a.attgenerated <> ''))
      OR (d.classid = 'pg_catalog.pg_rewrite'::regclass AND EXISTS (SELECT FROM pg_rewrite w JOIN pg_class v
        ON v.oid = w.ev_class WHERE w.oid = d.objid AND v.relkind = 'm'))))
    AND EXISTS (SELECT FROM regexp_matches(left(o.prosrc, 65536), '(?:^|[^.[:alnum:]_"$])([[:alpha:]_][[:alnum:]_$]*)', 'g') AS m (word)
      WHERE lower(m.word[1]) IN (
        SELECT p.proname FROM pg_proc p WHERE p.oid >= 16384
        UNION ALL SELECT c.relname FROM pg_class c WHERE c.oid >= 16384
        UNION ALL SELECT t.typname FROM pg_type t WHERE t.oid >= 16384))`,
];

function obstaclesSql(more: readonly string[]): string {
  const parts = [...PARTS, ...more];
  return `SELECT json_build_object('kind', kind, 'count', count(*), 'names', to_json((array_agg(left(name, 200) ORDER BY name COLLATE "C"))[1:${MOST_NAMES}]))
FROM (${parts.join("\nUNION ALL\n")}) AS found (kind, name) GROUP BY kind ORDER BY kind COLLATE "C"`;
}
