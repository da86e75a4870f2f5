import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { asUser, isSame, type OwnUser, type WantedUser } from "./as-user.ts";
import type { CommandResult, Host, RunningCommand, RunOptions } from "./host.ts";
import { ANY_EXIT, runToEnd } from "./run-to-end.ts";

/** Runs a command as the logged-in user and hands its exit back, whatever it was. */
type RunPlainly = (argv: readonly string[], how: Cancel) => Promise<CommandResult>;

/** A machine on which one user starts commands. */
interface Machine {
  readonly label: string;
  readonly user: OwnUser;
  start(argv: readonly string[], signal: AbortSignal): Promise<RunningCommand>;
  /** Closes whatever still runs, too. */
  close(): Promise<void>;
}

/** That machine as a host, on which commands run as other users as well. */
export function hostOf({ label, user, start, close }: Machine): Host {
  const lines = new CommandLines(user, (argv, how) =>
    runToEnd(start(argv, how.signal), argv, { ...how, okExits: ANY_EXIT }, label),
  );
  const startAs = async (argv: readonly string[], how: RunOptions) =>
    start(await lines.build(argv, how), how.signal);
  return {
    label,
    user,
    run: (argv, how) => runToEnd(startAs(argv, how), argv, how, label),
    start: startAs,
    [Symbol.asyncDispose]: close,
  };
}

/** Turns `as` and `env` of a command into words of its argument list; what it learns of users it keeps. */
class CommandLines {
  readonly #own: OwnUser;
  readonly #run: RunPlainly;
  readonly #users = new Map<string, WantedUser>();

  constructor(own: OwnUser, run: RunPlainly) {
    this.#own = own;
    this.#run = run;
  }

  /** Throws host/command-failed when the wanted user does not exist on the host. */
  async build(argv: readonly string[], how: RunOptions): Promise<readonly string[]> {
    const settings = Object.entries(how.env ?? {}).map(([name, value]) => `${name}=${value}`);
    const command = settings.length === 0 ? argv : ["env", ...settings, ...argv];
    if (how.as === undefined || isSame(how.as, this.#own)) return command;
    if (this.#own.uid !== 0) return asUser(command, { name: how.as, gid: -1 }, this.#own); // sudo looks the user up
    return asUser(command, await this.#look(how.as, how.signal), this.#own);
  }

  async #look(name: string, signal: AbortSignal): Promise<WantedUser> {
    const known = this.#users.get(name);
    if (known !== undefined) return known;
    const group = await this.#run(["id", "-g", "--", name], { signal });
    const gid = group.stdout.toString("utf8").trim();
    if (group.exit !== 0 || !/^\d+$/.test(gid)) {
      throw new DropsError("host/command-failed", `there is no user ${name} on the host: ${group.stderr}`, {
        hint: `id ${name}`,
      });
    }
    const entry = await this.#run(["getent", "passwd", name], { signal });
    const home = entry.exit === 0 ? entry.stdout.toString("utf8").trim().split(":")[5] : undefined;
    const user: WantedUser = { name, gid: Number(gid), home };
    this.#users.set(name, user);
    return user;
  }
}
