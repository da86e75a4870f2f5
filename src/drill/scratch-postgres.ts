import { randomBytes } from "node:crypto";
import type { RunningCommand } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { PostgresClient } from "../source/postgres/client.ts";
import { type Lines, linesOf } from "../source/postgres/lines.ts";
import type { PostgresPrograms } from "./postgres-programs.ts";
import type { Sandbox } from "./sandbox.ts";

/**
 * A throwaway PostgreSQL server in the sandbox: a socket that its own user alone can reach, no TCP, nothing of the
 * machine's own clusters. It ends with the program that started it, however that ends, and leaves nothing behind.
 */
export class ScratchPostgres implements AsyncDisposable {
  readonly programs: PostgresPrograms;
  readonly #sandbox: Sandbox;
  readonly #keeper: RunningCommand;
  readonly #sockets: string;
  /** No name that a dump could have: whoever is a superuser where it came from is none here. */
  readonly #superuser: string;

  private constructor(
    programs: PostgresPrograms,
    sandbox: Sandbox,
    keeper: RunningCommand,
    place: { sockets: string; superuser: string },
  ) {
    this.programs = programs;
    this.#sandbox = sandbox;
    this.#keeper = keeper;
    this.#sockets = place.sockets;
    this.#superuser = place.superuser;
  }

  /**
   * Make a cluster in `directory` and start it.
   *
   * @param directory `directory` and `sockets` are empty and belong to the sandbox's user
   * @throws DropsError host/command-failed with what initdb or the server said
   */
  static async start(
    programs: PostgresPrograms,
    sandbox: Sandbox,
    place: { readonly directory: string; readonly sockets: string },
    how: Cancel,
  ): Promise<ScratchPostgres> {
    const superuser = `drops_drill_${randomBytes(8).toString("hex")}`;
    const settings = SETTINGS.map(([name, value]) => `${name} = ${value}\n`).join("");
    const sockets = `unix_socket_directories = '${place.sockets.replaceAll("'", "''")}'\n`;
    const argv = [
      "sh",
      "-c",
      KEEPER,
      "drops-drill",
      programs.directory,
      place.directory,
      place.sockets,
      superuser,
    ];
    const keeper = await sandbox.start([...argv, settings + sockets], how);
    const server = new ScratchPostgres(programs, sandbox, keeper, { sockets: place.sockets, superuser });
    try {
      await server.#untilReady(linesOf(keeper.stdout), how);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Clients of a database here, as the superuser or as `user`. */
  client(database: string, user: string = this.#superuser): PostgresClient {
    return new PostgresClient(this.#sandbox, {
      database,
      user,
      host: this.#sockets,
      port: PORT,
      run_as: this.#sandbox.user.name,
      bin: this.programs.directory,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper.stdin.end(); // it stops the server and ends
    await Promise.race([this.#keeper.ended.catch(() => {}), timeout(STOP_WITHIN_MS)]);
    await this.#keeper[Symbol.asyncDispose]();
  }

  async #untilReady(lines: Lines, how: Cancel): Promise<void> {
    const said = await lines.next();
    how.signal.throwIfAborted();
    if (said === "ready") return;
    const ended = await this.#keeper.ended;
    const why = ended.stderr.trim().split("\n").slice(-5).join("; ").slice(0, 600);
    throw new DropsError("host/command-failed", `the scratch PostgreSQL server did not start: ${why}`, {
      hint: "drops drill --keep  keeps its log in the work directory",
    });
  }
}

const PORT = 5432;
const STOP_WITHIN_MS = 30_000;

const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ["listen_addresses", "''"],
  ["port", String(PORT)],
  ["unix_socket_permissions", "0700"],
  ["max_connections", "20"],
  ["shared_buffers", "128MB"],
  ["maintenance_work_mem", "128MB"],
  ["dynamic_shared_memory_type", "mmap"], // in the cluster's own directory, so that nothing is left in /dev/shm
  ["fsync", "off"], // nothing of it is to outlive the drill
  ["synchronous_commit", "off"],
  ["full_page_writes", "off"],
  ["wal_level", "minimal"],
  ["max_wal_senders", "0"],
  ["max_wal_size", "4GB"],
  ["autovacuum", "off"],
  ["logging_collector", "off"],
];

/**
 * Owns the server: lives as long as its standard input is open, then stops it and removes the cluster. Arguments:
 * programs, directory, sockets, superuser, settings. Says `ready`, or why not on standard error.
 */
const KEEPER = `
umask 077
export LC_ALL=C
bin=$1 dir=$2 sockets=$3 superuser=$4 settings=$5
server=
cleanup() {
  trap '' HUP INT TERM PIPE
  # again and again: a signal is lost on a server that has only begun to start
  while [ -n "$server" ] && kill -QUIT "$server" 2>/dev/null; do sleep 0.1; done
  rm -rf -- "$dir/data"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM PIPE
cd "$dir" || exit 1
"$bin/initdb" -D "$dir/data" -U "$superuser" -A trust -E UTF8 --locale=C -N >"$dir/initdb.log" 2>&1 || {
  tail -n 5 "$dir/initdb.log" >&2
  exit 1
}
printf '%s' "$settings" >>"$dir/data/postgresql.conf"
"$bin/postgres" -D "$dir/data" >"$dir/server.log" 2>&1 </dev/null &
server=$!
tries=0
until "$bin/psql" -X -q -h "$sockets" -p ${PORT} -U "$superuser" -d postgres -c 'SELECT 1' >/dev/null 2>&1; do
  tries=$((tries + 1))
  if ! kill -0 "$server" 2>/dev/null || [ "$tries" -gt 300 ]; then
    tail -n 5 "$dir/server.log" >&2
    exit 1
  fi
  sleep 0.2
done
echo ready
read -r _
exit 0
`;

function timeout(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
