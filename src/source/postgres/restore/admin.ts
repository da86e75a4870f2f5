import * as z from "zod";
import type { Host } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import { PostgresClient, type PostgresPlace } from "../client.ts";
import { toolFailure } from "../failure.ts";
import { quoteLiteral } from "../quote.ts";
import { terminateSql } from "./acts.ts";

/** One row of pg_database. Object ids are text. */
const DatabaseRow = z.object({
  oid: z.string(),
  name: z.string(),
  allow: z.boolean(),
  /** -2: PostgreSQL's mark of a database whose DROP was broken off. */
  limit: z.number(),
  template: z.boolean(),
});
export type DatabaseRow = z.infer<typeof DatabaseRow>;

/** `superuser`: one, or a role that can take a superuser's powers (`POWER_SQL`). */
const RoleRow = z.object({ name: z.string(), oid: z.string(), superuser: z.boolean() });
export type RoleRow = z.infer<typeof RoleRow>;

/**
 * A server's databases and roles, seen and changed by a superuser from a database that is not replaced. Every act is one run
 * of psql: it has happened or not, or leaves what the next look tells. Names and ids reach the server by standard input.
 */
export class ServerAdmin {
  readonly client: PostgresClient;
  readonly #tag: string;

  /** `tag` names the sessions of this replacement on the server (application_name), so that one that was cut off can be ended. */
  constructor(host: Host, place: PostgresPlace, tag: string) {
    const maintenance = place.database === "postgres" ? "template1" : "postgres";
    this.client = new PostgresClient(host, { ...place, database: maintenance });
    this.#tag = tag;
  }

  /** All databases. Throws source/failed when the server is not reached. */
  async databases(how: Cancel): Promise<readonly DatabaseRow[]> {
    const sql = `SELECT json_agg(json_build_object('oid', oid::text, 'name', datname, 'allow', datallowconn,
      'limit', datconnlimit, 'template', datistemplate)) FROM pg_database`;
    return z.array(DatabaseRow).parse(await this.#json(sql, "looking at the databases", how));
  }

  async roles(how: Cancel): Promise<ReadonlyMap<string, RoleRow>> {
    const sql = `SELECT json_agg(json_build_object('oid', oid::text, 'name', rolname, 'superuser', ${POWER_SQL})) FROM pg_roles r`;
    const rows = z.array(RoleRow).parse(await this.#json(sql, "looking at the roles", how));
    return new Map(rows.map((row) => [row.name, row]));
  }

  /** Carry out statements; what they answered last, as a line. `what` begins the sentence of a failure. */
  async act(
    sql: string,
    how: Cancel & { readonly what: string; readonly database?: string },
  ): Promise<string> {
    const client = how.database === undefined ? this.client : this.client.at(how.database);
    const text = `SET application_name = ${quoteLiteral(this.#tag)};\n${PREAMBLE}\n${sql}\n`;
    const what = `${how.what} on ${client.host.label}`;
    const ended = await client.runAny(client.argv("psql", PSQL), {
      signal: how.signal,
      stdin: text,
      psql: true,
    });
    if (ended.exit !== 0) throw actFailure(what, ended);
    return ended.stdout.toString("utf8").trim().split("\n").at(-1) ?? "";
  }

  /** End what an earlier try left running on the server: nothing of it happens after what comes next. */
  async endEarlierSessions(how: Cancel): Promise<void> {
    const sql = terminateSql(`application_name = ${quoteLiteral(this.#tag)}`);
    await this.act(sql, { ...how, what: "ending what an earlier try left running" });
  }

  async #json(sql: string, what: string, how: Cancel): Promise<unknown> {
    const ended = await this.client.run("psql", PSQL, {
      what: `${what} on ${this.client.host.label}`,
      stdin: `${PREAMBLE}\n${sql};\n`,
      signal: how.signal,
    });
    return JSON.parse(ended.stdout.toString("utf8"));
  }
}

/**
 * Whether role `r` of pg_roles has power over the server, or over roles, or can take it as a member: who works as it could
 * become a superuser, or reach what is another's.
 */
export const POWER_SQL = `EXISTS (SELECT FROM pg_roles p WHERE pg_has_role(r.oid, p.oid, 'MEMBER')
  AND (p.rolsuper OR p.rolcreaterole OR p.rolreplication OR p.rolbypassrls OR p.rolname ~ '^pg_' AND p.rolname NOT IN
    ('pg_database_owner', 'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables')))`;

/** Terse: an error shall not quote the statement, which may hold a password's hash. */
const PSQL = ["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"];

const PREAMBLE = `SET client_min_messages = warning;
SET statement_timeout = 0;
SET lock_timeout = '60s';
SET default_transaction_read_only = off;
SET default_transaction_isolation = 'read committed';
SET standard_conforming_strings = on;
SET search_path = pg_catalog, pg_temp;`;

function actFailure(what: string, ended: Parameters<typeof toolFailure>[2]): DropsError {
  if (isFull(ended.stderr)) {
    return new DropsError("space/low", `${what} failed: the server's disk is full`, {
      hint: "make room on the host, then drops restore --resume",
    });
  }
  return toolFailure("psql", what, ended);
}

/** Whether a tool of PostgreSQL, or the server, says that there is no space left. */
export function isFull(stderr: string): boolean {
  return /No space left on device|Disk quota exceeded|could not extend file/.test(stderr);
}
