import { loadsCode } from "../database-sql.ts";
import { quoteIdentifier, quoteLiteral } from "../quote.ts";
import type { DumpedRole, Membership, RolesFile } from "./roles-file.ts";

/** Serialises restores of several databases that make the same roles. A number of our own. */
const ROLES_LOCK = "7236827340910541";

export interface RolesPlan {
  /** One transaction; answers the names and object ids of the roles that it made, as JSON. */
  readonly sql: string;
  readonly wanted: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Statements that make the roles of a `roles.sql` that do not exist, with attributes, password, settings and the
 * memberships among the roles that are made. Roles that exist are left as they are, and what they may do is handed to nobody: nor
 * is a superuser's power, or that over other roles. Notes say to whom what is lacking.
 *
 * @param existing names of the server's roles
 */
export function planRoles(file: RolesFile, existing: { has(name: string): boolean }): RolesPlan {
  const made = file.roles.filter(({ name }) => !existing.has(name) && !name.startsWith("pg_"));
  const names = new Set(made.map(({ name }) => name));
  const notes = made.flatMap(roleNotes);
  const memberships: Membership[] = [];
  for (const each of file.memberships) {
    if (!names.has(each.member)) continue;
    if (names.has(each.role)) memberships.push(each);
    else
      notes.push(
        `role ${each.member} was made, but not a member of ${each.role}: GRANT it by hand if it must be`,
      );
  }
  return { sql: rolesSql(made, memberships), wanted: [...names], notes };
}

function roleNotes({ name, powers, settings }: DumpedRole): readonly string[] {
  const risky = settings.filter((setting) => loadsCode(setting.name)).map((setting) => setting.name);
  return [
    ...(powers.length === 0
      ? []
      : [
          `role ${name} was made without ${powers.join(", ")}, which it had: ALTER ROLE it if it must have that`,
        ]),
    ...risky.map((setting) => `the setting ${setting} of role ${name}, which loads code, was not restored`),
  ];
}

function rolesSql(roles: readonly DumpedRole[], memberships: readonly Membership[]): string {
  const made = roles.map((role) => ({ name: role.name, sql: roleStatements(role) }));
  const grants = memberships.map((each) => ({ member: each.member, sql: grantStatement(each) }));
  // what another restore made in between is left as it is: checked under the lock
  return `BEGIN;
SELECT pg_advisory_xact_lock(${ROLES_LOCK});
DO $drops$
DECLARE
  each json;
  made text[] := '{}';
BEGIN
  FOR each IN SELECT * FROM json_array_elements(convert_from(decode('${hex(made)}', 'hex'), 'UTF8')::json) LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = each->>'name');
    EXECUTE each->>'sql';
    made := made || (each->>'name');
  END LOOP;
  FOR each IN SELECT * FROM json_array_elements(convert_from(decode('${hex(grants)}', 'hex'), 'UTF8')::json) LOOP
    CONTINUE WHEN NOT (each->>'member') = ANY (made);
    EXECUTE each->>'sql';
  END LOOP;
  PERFORM set_config('drops.made', array_to_json(made)::text, false);
END $drops$;
COMMIT;
SELECT coalesce(json_agg(json_build_object('name', rolname, 'oid', oid::text)), '[]') FROM pg_roles
WHERE rolname IN (SELECT json_array_elements_text(current_setting('drops.made')::json));
`;
}

/** In hex, no text of it can end the quotes it stands in, and no error of the server quotes a password. */
function hex(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("hex");
}

function roleStatements(role: DumpedRole): string {
  const name = quoteIdentifier(role.name);
  const has = (attribute: string) => (role.attributes.has(attribute) ? attribute : `NO${attribute}`);
  const words = [
    "NOSUPERUSER",
    "NOCREATEROLE",
    "NOREPLICATION",
    "NOBYPASSRLS",
    has("LOGIN"),
    has("INHERIT"),
    has("CREATEDB"),
  ];
  if (role.connectionLimit !== undefined) words.push(`CONNECTION LIMIT ${role.connectionLimit}`);
  if (role.password !== undefined) words.push(`PASSWORD ${quoteLiteral(role.password)}`);
  if (role.validUntil !== undefined) words.push(`VALID UNTIL ${quoteLiteral(role.validUntil)}`);
  const settings = role.settings
    .filter((setting) => !loadsCode(setting.name))
    .map(({ name: parameter, values }) => {
      const quoted = parameter.split(".").map(quoteIdentifier).join(".");
      return `ALTER ROLE ${name} SET ${quoted} TO ${values.map(quoteLiteral).join(", ")};`;
    });
  const comment =
    role.comment === undefined ? [] : [`COMMENT ON ROLE ${name} IS ${quoteLiteral(role.comment)};`];
  return [`CREATE ROLE ${name} WITH ${words.join(" ")};`, ...comment, ...settings].join("\n");
}

/** ADMIN OPTION is understood by every version, the other options by those that wrote them. */
function grantStatement({ role, member, options }: Membership): string {
  const words = options.flatMap(({ name, value }) => {
    if (name !== "ADMIN") return [`${name} ${value}`];
    return value ? ["ADMIN OPTION"] : [];
  });
  const more = words.length === 0 ? "" : ` WITH ${words.join(", ")}`;
  return `GRANT ${quoteIdentifier(role)} TO ${quoteIdentifier(member)}${more};`;
}
