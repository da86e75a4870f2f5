/** The user that commands run as when nothing else is asked for. */
export interface OwnUser {
  readonly name: string;
  readonly uid: number;
}

/** The user that a command shall run as. */
export interface WantedUser {
  readonly name: string;
  /** Its primary group, as `id -g` prints it: `setpriv` asks for a group beside the user. */
  readonly gid: number;
  /** Its home directory when known; without it root's HOME would be inherited and be unreadable. */
  readonly home?: string | undefined;
}

/**
 * The same command, run as `wanted` by `own`: unchanged when they are the same, by `setpriv` when `own` is root (no
 * policy, PAM or password is involved, and it exists where sudo does not), else by `sudo` that never asks.
 */
export function asUser(argv: readonly string[], wanted: WantedUser, own: OwnUser): readonly string[] {
  if (isSame(wanted.name, own)) return argv;
  if (own.uid !== 0) return ["sudo", "-n", "-u", wanted.name, "--", ...argv];
  const privileges = [
    "setpriv",
    "--reuid",
    wanted.name,
    "--regid",
    String(wanted.gid),
    "--init-groups",
    "--",
  ];
  const home = wanted.home === undefined ? [] : [`HOME=${wanted.home}`];
  return [...privileges, "env", ...home, `USER=${wanted.name}`, `LOGNAME=${wanted.name}`, ...argv];
}

/** Whether `name` is the user that is already logged in. */
export function isSame(name: string, own: OwnUser): boolean {
  return name === own.name || (name === "root" && own.uid === 0);
}
