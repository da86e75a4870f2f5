import type { CommandExit } from "../../host/host.ts";
import { DropsError } from "../../lib/errors.ts";

/** What the tools of PostgreSQL say (in the C locale), and what to do about it. Nothing of these lines is secret. */
const HINTS: readonly (readonly [said: RegExp, hint: string])[] = [
  [
    /server version mismatch/,
    "install the postgresql-client package of the server's version, or set bin in the policy to its directory",
  ],
  [
    /container state improper|container \S+ is not running|[Nn]o such container|no container with name/,
    "docker ps -a, or podman ps -a, shows it; docker start, or podman start, starts it",
  ],
  [
    /unable to find user|no matching entries in passwd/,
    "set run_as in the policy to a user of the container",
  ],
  [/database ".*" does not exist/, "list the databases: psql -l"],
  [
    /Peer authentication failed|Ident authentication failed|no password supplied|password authentication failed|role ".*" does not exist|no pg_hba\.conf entry/,
    "set run_as (and user) in the policy to a user that pg_hba.conf lets in without asking; a password belongs in that user's ~/.pgpass",
  ],
  [
    /permission denied for|must be owner of|row-level security|permission denied to/,
    "use a role that may read everything, such as postgres",
  ],
  [
    /Connection refused|No such file or directory\s+Is the server running|Is the server running/,
    "check that it runs: systemctl status postgresql",
  ],
  [/lock timeout/, "another session holds a table for itself: look at pg_stat_activity, then try again"],
  [/^sudo:/m, "log in as root, or allow this user to become run_as with NOPASSWD in sudoers"],
];

/** Why a tool of PostgreSQL failed, as source/failed. `what` begins the sentence: `pg_dump of bridge on this machine`. */
export function toolFailure(program: string, what: string, ended: CommandExit): DropsError {
  if (ended.exit === 127) {
    return new DropsError("source/failed", `${what} failed: ${program} is not installed there`, {
      hint: "apt-get install postgresql-client, or set bin in the policy to the directory that has it",
    });
  }
  const status =
    ended.exit === undefined ? `was ended by ${ended.signal ?? "a signal"}` : `failed (exit ${ended.exit})`;
  const said = lastError(ended.stderr);
  return new DropsError("source/failed", `${what} ${status}${said === "" ? "" : `: ${said}`}`, {
    hint: HINTS.find(([pattern]) => pattern.test(ended.stderr))?.[1],
  });
}

/** From the first line that tells of an error on (details follow it), else the last line; in one line. */
export function lastError(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const from = lines.findIndex((line) => /\b(error|fatal|panic):/i.test(line));
  return lines
    .slice(from === -1 ? -1 : from)
    .join("; ")
    .replace(/\s+/g, " ")
    .slice(0, 500);
}

/** Lines of a tool that succeeded all the same: at most 20, for the notes. */
export function warningsIn(stderr: string): readonly string[] {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.length <= 20 ? lines : [...lines.slice(0, 20), `and ${lines.length - 20} lines more`];
}
