import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, chown, mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PostgresPolicy } from "../../src/policy/schema.ts";
import { freePort } from "./free-port.ts";
import { until } from "./until.ts";

const run = promisify(execFile);

/** Made by Debian's package; the server refuses to run as root. */
const SERVER_USER = "postgres";

export interface Postgres extends AsyncDisposable {
  readonly socketDir: string;
  /** Of the socket, and on 127.0.0.1. */
  readonly port: number;
  /** Superuser of the database. */
  readonly user: string;
  /** User of the machine that the server runs as, and that the tools run as. */
  readonly hostUser: string;
  /** Directory of this server's programs. */
  readonly bin: string;
  /** Run statements, each by itself, up to the first that fails; what they answer, unaligned. */
  psql(database: string, sql: string): Promise<string>;
  /** A policy's source for this database. */
  policyFor(database: string, more?: Partial<PostgresPolicy>): PostgresPolicy;
}

/** A throwaway PostgreSQL server: a socket and a port on 127.0.0.1, everyone trusted. It dies with the tests. */
export async function startPostgres(): Promise<Postgres> {
  const bin = await serverPrograms();
  const directory = await mkdtemp(join(tmpdir(), "drops-postgres-test-"));
  const port = await freePort();
  const hostUser = process.getuid?.() === 0 ? SERVER_USER : userInfo().username;
  if (process.getuid?.() === 0) await giveTo(directory, hostUser);
  await chmod(directory, 0o755);
  const server = spawn("sh", ["-c", KEEPER, "keeper", directory, bin, String(port), hostUser], {
    stdio: ["pipe", "ignore", "pipe"],
    detached: true, // an interrupt at the terminal shall reach it as the end of its input, so that it cleans up
    cwd: "/",
  });
  const connect = ["-h", directory, "-p", String(port), "-U", "postgres", "-w"];
  const psql = async (database: string, sql: string): Promise<string> => {
    const args = [...connect, "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", database];
    const child = run(`${bin}/psql`, args, { maxBuffer: 64 * 1024 * 1024 });
    child.child.stdin?.on("error", () => {}).end(sql); // when psql cannot connect it reads nothing
    return (await child).stdout.trimEnd();
  };
  await untilReady(server, () => psql("postgres", "SELECT 1"));
  return {
    socketDir: directory,
    port,
    user: "postgres",
    hostUser,
    bin,
    psql,
    policyFor: (database, more = {}) => ({
      name: "bridge-db",
      kind: "postgres",
      database,
      run_as: hostUser,
      host: directory,
      port,
      user: "postgres",
      digests: true,
      spool: true,
      ...more,
    }),
    async [Symbol.asyncDispose]() {
      const ended = once(server, "close");
      server.stdin?.end();
      if (server.exitCode === null) await ended;
    },
  };
}

/** Runs until its input ends, however the tests ended; then nothing is left. Arguments: directory, programs, port, user. */
const KEEPER = `
dir=$1 bin=$2 port=$3 user=$4
as() { if [ "$(id -u)" = 0 ]; then exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"; fi; exec "$@"; }
cleanup() {
  trap '' INT TERM HUP PIPE
  # again and again: a signal is lost on a server that has only begun to start
  while [ -n "$server" ] && kill -QUIT "$server" 2>/dev/null; do sleep 0.1; done
  rm -rf -- "$dir"
}
server=
trap cleanup EXIT
trap 'exit 1' INT TERM HUP PIPE
( as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null ) || exit 1
( as "$bin/postgres" -D "$dir/data" -p "$port" -k "$dir" -c listen_addresses=127.0.0.1 -c fsync=off \\
  -c shared_buffers=32MB -c max_connections=40 >"$dir/log" 2>&1 ) &
server=$!
read -r _
`;

async function untilReady(server: ChildProcess, ask: () => Promise<unknown>): Promise<void> {
  let said = "";
  server.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  try {
    await until("the PostgreSQL server answers", async () => {
      if (server.exitCode !== null) throw new Error(`the PostgreSQL server did not start: ${said}`);
      return ask().then(
        () => true,
        () => false,
      );
    });
  } catch (error) {
    server.stdin?.end();
    throw error;
  }
}

/** The newest of the machine's. */
async function serverPrograms(): Promise<string> {
  const root = "/usr/lib/postgresql";
  const versions = await readdir(root).catch(() => [] as string[]);
  for (const version of versions.sort((a, b) => Number(b) - Number(a))) {
    const bin = `${root}/${version}/bin`;
    if (
      await access(`${bin}/initdb`).then(
        () => true,
        () => false,
      )
    )
      return bin;
  }
  throw new Error("no PostgreSQL server: apt-get install postgresql");
}

async function giveTo(directory: string, user: string): Promise<void> {
  const line = (await readFile("/etc/passwd", "utf8"))
    .split("\n")
    .find((text) => text.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`no user ${user}: apt-get install postgresql`);
  await chown(directory, Number(uid), Number(gid));
}
