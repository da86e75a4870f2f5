import type { Host, RunningCommand, RunOptions } from "../host/host.ts";
import { ANY_EXIT, type RunHow, runToEnd } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";

/** Where programs are looked for when the environment does not say. */
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin";

interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * This machine, as a host whose commands run where they can do little: as an unprivileged user, without new privileges,
 * with an empty environment, and without a network where the kernel lets us take it away. A dump is code, and so are
 * checks: in a drill they meet no credential and no way out.
 */
export class Sandbox implements Host {
  readonly label = "the sandbox";
  readonly user: User;
  /** Undefined: there is none. Otherwise why there is one. */
  readonly network: string | undefined;
  readonly #inner: Host;
  readonly #prefix: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(
    inner: Host,
    user: User,
    how: { prefix: readonly string[]; network: string | undefined; path: string; home: string },
  ) {
    this.#inner = inner;
    this.user = user;
    this.#prefix = how.prefix;
    this.network = how.network;
    this.#environment = {
      PATH: how.path,
      HOME: how.home,
      TMPDIR: how.home,
      USER: user.name,
      LOGNAME: user.name,
      LC_ALL: "C.UTF-8",
    };
  }

  /**
   * @param how `user`: who commands run as when this process is root; otherwise they run as whoever it is. `path`: where
   * programs are looked for. `home`: a directory of that user
   * @throws DropsError usage/invalid when the user does not exist or is root
   */
  static async open(
    inner: Host,
    how: Cancel & {
      readonly user: User;
      readonly path: string | undefined;
      readonly home: string;
    },
  ): Promise<Sandbox> {
    const identity = await identityWords(inner, how.user, how);
    const candidates = inner.user.uid === 0 ? [["--net"]] : [["--net", "--map-current-user"]];
    let network: string | undefined = "this machine does not let drops take the network away (unshare --net)";
    let prefix = identity;
    for (const flags of candidates) {
      const words = ["unshare", ...flags, "--", ...identity];
      const tried = await inner.run([...words, "true"], { signal: how.signal, okExits: ANY_EXIT });
      if (tried.exit !== 0) continue;
      prefix = words;
      network = undefined;
      break;
    }
    await requireReach(inner, prefix, how);
    const path = how.path === undefined || how.path === "" ? DEFAULT_PATH : how.path;
    return new Sandbox(inner, how.user, { prefix, network, path, home: how.home });
  }

  async start(argv: readonly string[], how: RunOptions): Promise<RunningCommand> {
    return this.#inner.start(this.#words(argv, how), { signal: how.signal });
  }

  run(argv: readonly string[], how: RunHow): ReturnType<Host["run"]> {
    return runToEnd(this.start(argv, how), argv, how, this.label);
  }

  /** What it was opened over stays open. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #words(argv: readonly string[], how: RunOptions): readonly string[] {
    if (how.as !== undefined && how.as !== this.user.name) {
      throw new Error(`the sandbox runs everything as ${this.user.name}, not as ${how.as}`);
    }
    const settings = Object.entries({ ...this.#environment, ...how.env });
    return [...this.#prefix, "env", "-i", ...settings.map(([name, value]) => `${name}=${value}`), ...argv];
  }
}

/** The user that a sandbox runs commands as: `wanted` for root, otherwise whoever this process is. Throws usage/invalid. */
export async function sandboxUser(host: Host, wanted: string, how: Cancel): Promise<User> {
  const name = host.user.uid === 0 ? wanted : host.user.name;
  const number = async (flag: string) => {
    const told = await host.run(["id", flag, "--", name], { signal: how.signal, okExits: ANY_EXIT });
    return told.exit === 0 ? Number(told.stdout.toString().trim()) : undefined;
  };
  const uid = host.user.uid === 0 ? await number("-u") : host.user.uid;
  const gid = (await number("-g")) ?? (host.user.uid === 0 ? undefined : 0);
  if (uid === undefined || gid === undefined) {
    throw new DropsError("usage/invalid", `this machine has no user ${name} for the drill's sandbox`, {
      hint: "--user NAME, an unprivileged user",
    });
  }
  if (uid === 0) {
    throw new DropsError("usage/invalid", "the sandbox of a drill cannot run as root", {
      hint: "--user nobody",
    });
  }
  return { name, uid, gid };
}

/** Words before a command that make it another user's, for ever. Empty where setpriv is not there and we are nobody special. */
async function identityWords(inner: Host, user: User, how: Cancel): Promise<readonly string[]> {
  const root = ["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"];
  const words = ["setpriv", ...(inner.user.uid === 0 ? root : []), "--no-new-privs", "--"];
  if (inner.user.uid === 0) return words;
  const tried = await inner.run([...words, "true"], { signal: how.signal, okExits: ANY_EXIT });
  return tried.exit === 0 ? words : [];
}

/** A directory above the sandbox's that is closed to its user would make every check fail for the wrong reason. */
async function requireReach(
  inner: Host,
  prefix: readonly string[],
  how: Cancel & { readonly user: User; readonly home: string },
): Promise<void> {
  const words = [...prefix, "sh", "-c", 'cd -- "$1" && test -w .', "drops-drill", how.home];
  const tried = await inner.run(words, { signal: how.signal, okExits: ANY_EXIT });
  if (tried.exit === 0) return;
  throw new DropsError("usage/invalid", `user ${how.user.name} of the sandbox cannot enter ${how.home}`, {
    hint: "use --work with a directory that every user can enter, such as /var/tmp; or --user NAME",
  });
}
