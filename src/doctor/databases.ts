import { inBytes } from "../lib/units.ts";
import type { PostgresPlace } from "../source/postgres/client.ts";
import { type Line, ok, warn } from "./types.ts";

export interface DatabaseThere {
  readonly name: string;
  readonly bytes: number;
}

/** The database that every server has; an empty one has about half as much. Bytes. */
const MAINTENANCE = { name: "postgres", mostEmpty: 16 * 1024 * 1024 };

/** Pure: databases of one server that are in no source. */
export function judgeDatabases(
  there: readonly DatabaseThere[],
  covered: readonly string[],
  { container, user }: Partial<PostgresPlace> = {},
): Line[] {
  const missing = there.filter(({ name, bytes }) => {
    const isEmpty = name === MAINTENANCE.name && bytes < MAINTENANCE.mostEmpty;
    return !covered.includes(name) && !isEmpty;
  });
  if (missing.length === 0 && covered.length === 0 && container !== undefined) return [];
  if (missing.length === 0) {
    const count = covered.length === 1 ? "1 database" : `${covered.length} databases`;
    return [ok(`every database of the server is in a source (${count})`)];
  }
  const inside = container === undefined ? "" : `, container: ${container}, user: ${user}`;
  return missing.map(({ name, bytes }) =>
    warn(
      `the database ${name}${container === undefined ? "" : ` of container ${container}`} (${inBytes(bytes)}) is in no source`,
      `add to the policy's sources: { name: …-db, kind: postgres, database: ${name}${inside} }`,
    ),
  );
}
