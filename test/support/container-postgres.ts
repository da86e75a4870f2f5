import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PostgresPolicy } from "../../src/policy/schema.ts";
import type { Postgres } from "./postgres.ts";
import { runTool } from "./scratch.ts";
import { until } from "./until.ts";

const shell = promisify(execFile);

export interface ContainerPostgres extends Postgres {
  readonly container: string;
  /** Of the host: what is mounted as the server's data. */
  readonly volume: string;
  /** Another container of the same image, which does nothing. It is gone with the first. */
  idle(name: string, ...settings: readonly string[]): Promise<string>;
  /** podman with the tests' own storage, on the host. */
  podman(...args: readonly string[]): Promise<string>;
}

/**
 * A PostgreSQL server in a real container of podman, started as a compose file would: data in a volume, no way in but `podman exec`.
 * Its image is this machine's /usr below a root directory of its own, so that nothing is downloaded; as in Docker's image the
 * superuser is who POSTGRES_USER names. From then on `podman` of this process's PATH is the tests' own. Root only.
 */
export async function startContainerPostgres(): Promise<ContainerPostgres> {
  await using undo = new AsyncDisposableStack();
  // below /tmp no container keeps data
  const path = await mkdtemp("/var/tmp/drops-test-");
  undo.defer(() => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 }));
  const container = `drops-test-${process.pid}`;
  const [versions, uid, gid] = await Promise.all([
    readdir("/usr/lib/postgresql"),
    runTool("id", "-u", "postgres"),
    runTool("id", "-g", "postgres"),
  ]);
  const bin = `/usr/lib/postgresql/${versions.sort((a, b) => Number(b) - Number(a))[0]}/bin`;
  const owner = { uid: Number(uid), gid: Number(gid) };
  await chmod(path, 0o755);
  const volume = await makeRoot(join(path, "root"), join(path, "volume"), owner);
  const before = process.env["PATH"];
  process.env["PATH"] = `${await ownPodman(path)}:${before}`;
  undo.defer(() => {
    process.env["PATH"] = before;
  });
  const podman = async (...args: readonly string[]) =>
    (await shell("podman", args, { maxBuffer: 64 * 1024 * 1024 })).stdout.trimEnd();
  undo.defer(async () => {
    await podman("rm", "-f", "-t", "0", container);
  });
  const settings = ["-e", `PATH=${bin}:/usr/bin:/bin`, "-e", "POSTGRES_USER=chat", "-e", "LC_ALL=C.UTF-8"];
  const volumes = ["-v", "/usr:/usr:ro", "-v", `${volume}:/var/lib/postgresql/data`];
  const name = ["--name", container, "--user", "postgres", "--network", "none", "--timeout", "1800"];
  await podman(
    "run",
    "-d",
    ...name,
    ...LIMITS,
    ...settings,
    ...volumes,
    "--rootfs",
    join(path, "root"),
    ...SERVER,
  );
  const psql = async (database: string, sql: string): Promise<string> => {
    const argv = ["exec", "-i", "-u", "postgres", container, "psql", "-U", "chat", "-w", "-X", "-qAt"];
    const child = shell("podman", [...argv, "-v", "ON_ERROR_STOP=1", "-d", database], {
      maxBuffer: 64 * 1024 * 1024,
    });
    child.child.stdin?.on("error", () => {}).end(sql);
    return (await child).stdout.trimEnd();
  };
  const answers = () =>
    psql("postgres", "SELECT 1").then(
      () => true,
      () => false,
    );
  await until("the PostgreSQL server in the container answers", answers);
  const open = undo.move();
  const policyFor = (database: string, more: Partial<PostgresPolicy> = {}): PostgresPolicy => ({
    name: "bridge-db",
    kind: "postgres",
    database,
    container,
    run_as: "postgres",
    user: "chat",
    digests: true,
    spool: true,
    ...more,
  });
  const idle = async (name: string, ...more: readonly string[]) => {
    const root = ["-v", "/usr:/usr:ro", "--rootfs", join(path, "root")];
    const called = `${container}-${name}`;
    await podman(
      "run",
      "-d",
      "--name",
      called,
      "--network",
      "none",
      "--timeout",
      "1800",
      ...LIMITS,
      ...more,
      ...root,
      "sleep",
      "1800",
    );
    open.defer(async () => {
      await podman("rm", "-f", "-t", "0", called);
    });
    return called;
  };
  return {
    ...{ container, volume, idle, podman, psql, policyFor, bin },
    ...{ socketDir: "/run/postgresql", port: 5432, user: "chat", hostUser: "postgres" },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** A sandbox has no right to raise limits, nor cgroups that the runtime takes. */
const LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--cgroups", "disabled"];

const SERVER = [
  "sh",
  "-c",
  `cd / && dir=/var/lib/postgresql/data/pgdata
[ -e "$dir/PG_VERSION" ] || initdb -D "$dir" -U "$POSTGRES_USER" -A trust -E UTF8 -N >/dev/null || exit 1
rm -f "$dir/postmaster.pid"
exec postgres -D "$dir" -k /run/postgresql -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=32MB`,
];

/** Answers the volume's directory. */
async function makeRoot(root: string, volume: string, owner: { uid: number; gid: number }): Promise<string> {
  const own = ["run/postgresql", "var/lib/postgresql/data"];
  for (const directory of ["usr", "etc", "var/tmp", "tmp", "proc", "sys", "dev", "root", ...own])
    await mkdir(join(root, directory), { recursive: true });
  for (const link of ["bin", "sbin", "lib", "lib64"]) await symlink(`usr/${link}`, join(root, link));
  await symlink("/run", join(root, "var/run"));
  await mkdir(volume);
  for (const directory of ["tmp", "var/tmp"]) await chmod(join(root, directory), 0o1777);
  const [all, shut] = [0o755, 0o700];
  for (const directory of ["", "run", "var", "var/lib", "etc"]) await chmod(join(root, directory), all);
  const ids = `${owner.uid}:${owner.gid}`;
  await runTool("chown", ids, volume, ...own.map((directory) => join(root, directory)));
  await chmod(volume, shut);
  const home = "/var/lib/postgresql:/bin/sh";
  await writeFile(join(root, "etc/passwd"), `root:x:0:0::/root:/bin/sh\npostgres:x:${ids}::${home}\n`);
  await writeFile(join(root, "etc/group"), `root:x:0:\npostgres:x:${owner.gid}:\n`);
  return volume;
}

/**
 * A directory with a `podman` that keeps its storage below `path`. What starts a container does so where cgroups are mounted as
 * version 2 alone, which crun wants; exec and the rest do not look.
 */
async function ownPodman(path: string): Promise<string> {
  const own = `--root '${path}/storage' --runroot '${path}/running' --cgroup-manager cgroupfs --events-backend file --runtime crun`;
  const script = `#!/bin/sh
case $1 in run | start) ;; *) exec /usr/bin/podman ${own} "$@" ;; esac
exec unshare -m sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"' sh /usr/bin/podman ${own} "$@"
`;
  await mkdir(join(path, "bin"));
  await writeFile(join(path, "bin/podman"), script, { mode: 0o755 });
  return join(path, "bin");
}
