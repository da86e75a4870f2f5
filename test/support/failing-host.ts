import type { Host } from "../../src/host/host.ts";
import { DropsError } from "../../src/lib/errors.ts";

/** How a connection is lost at a command: before it began, or after it did its work and before anybody heard of it. */
export type Moment = "before" | "after";

export interface FailingHost extends Host {
  /** Commands so far. */
  readonly commands: number;
  /** Words of the command at which it was lost. */
  readonly lostAt: readonly string[] | undefined;
}

/** A host whose connection is lost at its n-th command (from 1) for good; Infinity: never. Closing it leaves the real one open. */
export function failingHost(real: Host, n: number, moment: Moment): FailingHost {
  let commands = 0;
  let lostAt: readonly string[] | undefined;
  const lose = (argv: readonly string[]): never => {
    lostAt ??= argv;
    throw new DropsError("host/unreachable", "the connection was lost, as the test wants it");
  };
  return {
    label: real.label,
    user: real.user,
    get commands() {
      return commands;
    },
    get lostAt() {
      return lostAt;
    },
    run: async (argv, how) => {
      if (++commands > n || (commands === n && moment === "before")) return lose(argv);
      const result = await real.run(argv, how);
      return commands === n ? lose(argv) : result;
    },
    start: async (argv, how) => {
      if (++commands > n || (commands === n && moment === "before")) return lose(argv);
      const command = await real.start(argv, how);
      if (commands < n) return command;
      await command[Symbol.asyncDispose]();
      return lose(argv);
    },
    async [Symbol.asyncDispose]() {},
  };
}
