import { type ContainerPlace, inContainer } from "../../host/container.ts";
import type { CommandResult, Host, RunningCommand } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { PostgresPolicy } from "../../policy/schema.ts";
import { toolFailure } from "./failure.ts";

/** What pg_dump and pg_dumpall leave to the settings of the database and the role, and what their text depends on. */
const DUMP_OPTIONS = [
  "bytea_output=hex",
  "DateStyle=ISO,YMD",
  "quote_all_identifiers=off",
  "standard_conforming_strings=on",
  "statement_timeout=0",
  "TimeZone=UTC",
]
  .map((setting) => `-c ${setting}`)
  .join(" ");

/** Where a database is, and as whom it is reached. */
export type PostgresPlace = ContainerPlace &
  Pick<PostgresPolicy, "database" | "run_as" | "host" | "port" | "user" | "bin">;

export type PostgresProgram = "psql" | "pg_dump" | "pg_dumpall" | "pg_restore" | "pg_isready";

/**
 * The client programs of PostgreSQL on a host. They run as `run_as`, get in by peer authentication or that user's
 * ~/.pgpass, never ask for a password, and are never given one in an argument.
 */
export class PostgresClient {
  /** Where the programs run: the host, or the container of `place`. */
  readonly host: Host;
  readonly place: PostgresPlace;

  constructor(host: Host, place: PostgresPlace) {
    this.host = inContainer(host, place);
    this.place = place;
  }

  /** For sentences: `bridge on this machine`. */
  get label(): string {
    return `${this.place.database} on ${this.host.label}`;
  }

  /** The same server, another database. */
  at(database: string): PostgresClient {
    return new PostgresClient(this.host, { ...this.place, database });
  }

  /** The words of a command for `Host.start`. It runs in `/`, since `run_as` may not enter the directory of who logged in. */
  argv(program: PostgresProgram, args: readonly string[]): readonly string[] {
    return ["sh", "-c", 'cd / && exec "$@"', "drops", ...this.words(program, args)];
  }

  /** The program and its arguments alone, for a shell that is in `/` already. */
  words(program: PostgresProgram, args: readonly string[]): readonly string[] {
    const { bin } = this.place;
    return [bin === undefined ? program : `${bin}/${program}`, ...args];
  }

  start(argv: readonly string[], how: Cancel & { readonly psql?: boolean }): Promise<RunningCommand> {
    return this.host.start(argv, {
      as: this.place.run_as,
      env: this.#environment(how.psql ?? false),
      signal: how.signal,
    });
  }

  /** Run a client program to its end; throws source/failed that begins with `what` when it fails. */
  async run(
    program: PostgresProgram,
    args: readonly string[],
    how: Cancel & { readonly what: string; readonly stdin?: string },
  ): Promise<CommandResult> {
    const result = await this.runAny(this.argv(program, args), {
      ...how,
      psql: program === "psql",
    });
    if (result.exit !== 0) throw toolFailure(program, how.what, result);
    return result;
  }

  /** Run any command as `run_as`, whatever its exit status. */
  runAny(
    argv: readonly string[],
    how: Cancel & { readonly stdin?: string; readonly psql?: boolean; readonly maxStdout?: number },
  ): Promise<CommandResult> {
    return this.host.run(argv, {
      ...(how.maxStdout === undefined ? {} : { maxStdout: how.maxStdout }),
      as: this.place.run_as,
      env: this.#environment(how.psql ?? false),
      signal: how.signal,
      okExits: ANY_EXIT,
      ...(how.stdin === undefined ? {} : { stdin: how.stdin }),
    });
  }

  #environment(psql: boolean): Readonly<Record<string, string>> {
    const { host, port, user, database } = this.place;
    return {
      LC_ALL: "C", // messages are compared
      PGDATABASE: database,
      PGAPPNAME: "drops",
      PGCONNECT_TIMEOUT: "15",
      ...(host === undefined ? {} : { PGHOST: host }),
      ...(port === undefined ? {} : { PGPORT: String(port) }),
      ...(user === undefined ? {} : { PGUSER: user }),
      // not for pg_dump: a dump stays in the encoding of its database
      ...(psql ? { PGCLIENTENCODING: "UTF8" } : { PGOPTIONS: DUMP_OPTIONS }),
    };
  }
}
