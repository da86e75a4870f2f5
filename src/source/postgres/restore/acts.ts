import { quoteIdentifier, quoteLiteral } from "../quote.ts";

/**
 * What is done to whole databases, as SQL. Databases are named by their object id wherever that is possible; where a statement must
 * name them, the name is looked up by the id, or compared with it, in the same transaction.
 */

/** Two databases by their ids, and the names they change between. `old` is undefined when there was none. */
export interface SwapPair {
  readonly newOid: string;
  readonly old: { readonly oid: string; readonly allow: boolean; readonly limit: number } | undefined;
  /** The name that services use. */
  readonly name: string;
  readonly staged: string;
  readonly kept: string;
}

/** Nobody may connect any more; who is connected stays until `disconnectSql`. */
export function closeSql(oids: readonly string[]): string {
  return alterEachSql(oids, "ALLOW_CONNECTIONS false");
}

/** Everybody may connect who may connect at all. */
export function openSql(oid: string): string {
  return alterEachSql([oid], "ALLOW_CONNECTIONS true");
}

/** The old one as it was: who may connect, and how many. */
export function reopenSql(old: NonNullable<SwapPair["old"]>): string {
  return alterEachSql([old.oid], settingsOf(old));
}

/** End every session in these databases, and wait until it is gone. */
export function disconnectSql(oids: readonly string[]): string {
  return terminateSql(`datid IN (${oids.map(oidLiteral).join(", ")})`);
}

/** End the sessions that fit, but this one, and wait until they are gone: 60 seconds at most. */
export function terminateSql(condition: string): string {
  // autovacuum gives way by itself, and comes back when it is ended
  const sessions = `pg_stat_activity WHERE (${condition}) AND pid <> pg_backend_pid() AND backend_type NOT LIKE 'autovacuum%'`;
  return `DO $drops$
BEGIN
  FOR i IN 1..600 LOOP
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM ${sessions});
    PERFORM pg_terminate_backend(pid) FROM ${sessions};
    PERFORM pg_sleep(0.1);
  END LOOP;
END $drops$;`;
}

/** The new one under the name, the old one kept and closed: all of it or nothing. */
export function swapSql({ newOid, old, name, staged, kept }: SwapPair): string {
  return transaction([
    expectSql(staged, newOid),
    expectSql(name, old?.oid),
    ...(old === undefined ? [] : [renameSql(name, kept)]),
    renameSql(staged, name),
    `ALTER DATABASE ${quoteIdentifier(name)} WITH ALLOW_CONNECTIONS true;`,
  ]);
}

/** The old one under the name again, as it was: all of it or nothing. `hasNew`: the new one still exists. */
export function unswapSql({ newOid, old, name, staged, kept }: SwapPair, hasNew: boolean): string {
  return transaction([
    expectSql(name, hasNew ? newOid : undefined),
    ...(hasNew ? [renameSql(name, staged)] : []),
    ...(old === undefined
      ? []
      : [
          expectSql(kept, old.oid),
          renameSql(kept, name),
          `ALTER DATABASE ${quoteIdentifier(name)} WITH ${settingsOf(old)};`,
        ]),
    ...(hasNew ? [`ALTER DATABASE ${quoteIdentifier(staged)} WITH ALLOW_CONNECTIONS true;`] : []),
  ]);
}

/** Remove one database, if the name is still that of the id. One whose DROP was broken off before takes no other change. */
export function dropSql(oid: string, name: string): string {
  const database = quoteIdentifier(name);
  return [
    doSql(`${expectSql(name, oid)}
  IF (SELECT datconnlimit <> -2 FROM pg_database WHERE oid = ${oidLiteral(oid)}) THEN
    ALTER DATABASE ${database} WITH ALLOW_CONNECTIONS false IS_TEMPLATE false;
  END IF;`),
    disconnectSql([oid]),
    `DROP DATABASE ${database};`,
  ].join("\n");
}

/** Remove a role if the name is still that of the id, and if nothing depends on it any more; else it stays. */
export function dropRoleSql(oid: string, name: string): string {
  return doSql(`IF (SELECT oid FROM pg_roles WHERE rolname = ${quoteLiteral(name)}) = ${oidLiteral(oid)} THEN
    DROP ROLE ${quoteIdentifier(name)};
  END IF;
EXCEPTION WHEN dependent_objects_still_exist OR object_in_use THEN NULL;`);
}

/** A number as PostgreSQL's object id; throws a RangeError for what is none. */
export function oidLiteral(oid: string): string {
  if (!/^\d{1,10}$/.test(oid)) throw new RangeError("an object id is a number");
  return `${oid}::oid`;
}

function settingsOf({ allow, limit }: NonNullable<SwapPair["old"]>): string {
  return `ALLOW_CONNECTIONS ${allow} CONNECTION LIMIT ${limit}`;
}

function renameSql(from: string, to: string): string {
  return `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)};`;
}

/** Go on only when the database of this name is this one; undefined: when there is none. */
function expectSql(name: string, oid: string | undefined): string {
  const wanted = oid === undefined ? "NULL" : oidLiteral(oid);
  return `IF (SELECT oid FROM pg_database WHERE datname = ${quoteLiteral(name)}) IS DISTINCT FROM ${wanted} THEN
    RAISE EXCEPTION 'drops: % is another database now', ${quoteLiteral(name)};
  END IF;`;
}

function alterEachSql(oids: readonly string[], settings: string): string {
  const list = oids.map(oidLiteral).join(", ");
  return `DO $drops$
DECLARE name text;
BEGIN
  FOR name IN SELECT datname FROM pg_database WHERE oid IN (${list}) AND datconnlimit <> -2 LOOP
    EXECUTE format('ALTER DATABASE %I WITH ${settings}', name);
  END LOOP;
END $drops$;`;
}

function transaction(statements: readonly string[]): string {
  return doSql(statements.join("\n  "));
}

/** One statement for the server, so that what it does is one transaction. */
function doSql(body: string): string {
  const text = `BEGIN\n  ${body}\nEND`;
  return `DO ${quoteLiteral(text)};`;
}
