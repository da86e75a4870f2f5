import * as z from "zod";
import type { Cancel } from "../../lib/cancel.ts";
import type { PostgresClient } from "./client.ts";
import { PsqlSession } from "./session.ts";

/**
 * Privileges of one thing in a database that are not the default ones of what it is. `lacks` tells of the default privileges that
 * were taken away. Null: a restore does not bring them as they are, and `backup` says so (see `obstacles.ts`).
 */
export const Privileges = z.object({
  kind: z.string().max(64),
  name: z.string().max(1024),
  has: z.array(z.string().max(512)).nullable(),
  lacks: z.array(z.string().max(512)),
});
export type Privileges = z.infer<typeof Privileges>;

/** What of the database has other privileges than the default ones. Reads catalogues alone. */
export async function readPrivileges(session: PsqlSession): Promise<readonly Privileges[]> {
  return (await readAll(session)).filter(({ has, lacks }) => has?.length !== 0 || lacks.length > 0);
}

/** What was lost or added in a restored database, a line each; a thing that is not there at all is told elsewhere. */
export async function privilegeDifferences(
  client: PostgresClient,
  captured: readonly Privileges[],
  how: Cancel,
): Promise<readonly string[]> {
  await using session = await PsqlSession.open(client, how);
  const restored = await readAll(session);
  const was = new Map(captured.map((each) => [keyOf(each), each]));
  const there = new Set(restored.map(keyOf));
  const gone = captured.filter((each) => VANISHING.has(each.kind) && !there.has(keyOf(each)));
  return [
    ...restored.flatMap((now) => changed(was.get(keyOf(now)) ?? usual(now), now)),
    ...gone.flatMap((each) => changed(each, usual(each))),
  ];
}

/** Nothing is listed of these when they are the default ones. */
const VANISHING = new Set(["column", "default privileges"]);

async function readAll(session: PsqlSession): Promise<readonly Privileges[]> {
  return z.array(Privileges).parse(await session.json(PRIVILEGES_SQL));
}

function keyOf({ kind, name }: Privileges): string {
  return `${kind} ${name}`.trimEnd();
}

function usual({ kind, name }: Privileges): Privileges {
  return { kind, name, has: [], lacks: [] };
}

function changed(was: Privileges, now: Privileges): readonly string[] {
  if (was.has === null || now.has === null) return [];
  const lost = [...less(was.has, now.has), ...less(now.lacks, was.lacks)].map((each) => `lost ${each}`);
  const added = [...less(now.has, was.has), ...less(was.lacks, now.lacks)].map((each) => `got ${each}`);
  const words = [...lost, ...added];
  return words.length === 0 ? [] : [`privileges on ${keyOf(was)}: ${words.join(", ")}`];
}

function less(some: readonly string[], others: readonly string[]): readonly string[] {
  return some.filter((each) => !others.includes(each));
}

/** Of what initdb or an extension made, the default privileges are those that it gave. */
function part(
  kind: string,
  catalogue: string,
  what: { name: string; owner: string; acl: string; type: string; from: string },
): string {
  const { name, owner, acl, type, from } = what;
  return `SELECT '${kind}', ${name}, ${owner}, ${acl}, coalesce((SELECT i.initprivs FROM pg_init_privs i
    WHERE i.objoid = o.oid AND i.classoid = 'pg_catalog.${catalogue}'::regclass AND i.objsubid = 0), acldefault(${type}, ${owner})) FROM ${from}`;
}

const USERS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
const PARTS: readonly string[] = [
  part("database", "pg_database", {
    name: "''",
    owner: "o.datdba",
    acl: "o.datacl",
    type: "'d'",
    from: "pg_database o WHERE o.datname = current_database()",
  }),
  part("schema", "pg_namespace", {
    name: "n.nspname",
    owner: "n.nspowner",
    acl: "n.nspacl",
    type: "'n'",
    from: `pg_namespace n CROSS JOIN LATERAL (SELECT n.oid) AS o (oid) WHERE ${USERS}`,
  }),
  part("relation", "pg_class", {
    name: "format('%I.%I', n.nspname, o.relname)",
    owner: "o.relowner",
    acl: "o.relacl",
    type: "CASE o.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END",
    from: `pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace WHERE o.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${USERS}`,
  }),
  `SELECT 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), c.relowner, a.attacl, NULL::aclitem[]
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND ${USERS}`,
  part("function", "pg_proc", {
    name: "o.oid::regprocedure::text",
    owner: "o.proowner",
    acl: "o.proacl",
    type: "'f'",
    from: `pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace WHERE ${USERS}`,
  }),
  part("type", "pg_type", {
    name: "format_type(o.oid, NULL)",
    owner: "o.typowner",
    acl: "o.typacl",
    type: "'T'",
    from: `pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace WHERE o.typcategory <> 'A' AND o.typrelid = 0 AND ${USERS}`,
  }),
  `SELECT 'default privileges', format('of %s for %s%s', pg_get_userbyid(o.defaclrole), o.defaclobjtype, ' in ' || n.nspname), o.defaclrole, o.defaclacl,
    CASE WHEN n.oid IS NULL THEN acldefault(CASE o.defaclobjtype WHEN 'S' THEN 's'::"char" ELSE o.defaclobjtype END, o.defaclrole) END
    FROM pg_default_acl o LEFT JOIN pg_namespace n ON n.oid = o.defaclnamespace`,
];

/** MAINTAIN is left out: servers before 17 do not know it. */
function onlyIn(some: string, others: string): string {
  const words = (
    acl: string,
  ) => `SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN owner THEN 'the owner' ELSE pg_get_userbyid(a.grantee)::text END
    || ' ' || a.privilege_type || CASE WHEN a.is_grantable AND a.grantee <> owner THEN ' WITH GRANT OPTION' ELSE '' END
    FROM aclexplode(${acl}) a WHERE a.privilege_type <> 'MAINTAIN'`;
  return `(SELECT coalesce(json_agg(word ORDER BY word COLLATE "C"), '[]') FROM (${words(some)} EXCEPT ${words(others)}) AS words (word))`;
}

const PRIVILEGES_SQL = `SELECT json_build_object('kind', kind, 'name', left(name, 1000), 'has', CASE WHEN acl IS NULL THEN '[]'::json
    WHEN owner <> d.datdba AND EXISTS (SELECT FROM pg_roles WHERE oid = owner AND rolsuper) OR EXISTS (SELECT FROM aclexplode(acl) a WHERE a.grantor <> owner) THEN NULL
    ELSE ${onlyIn("acl", "base")} END, 'lacks', CASE WHEN acl IS NULL THEN '[]'::json ELSE ${onlyIn("base", "acl")} END)
  FROM (${PARTS.join("\n  UNION ALL ")}) AS thing (kind, name, owner, acl, base)
  JOIN pg_database d ON d.datname = current_database() ORDER BY kind, name COLLATE "C"`;
