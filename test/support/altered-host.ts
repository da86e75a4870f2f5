import type { Host, RunOptions } from "../../src/host/host.ts";

/** A host whose commands are seen, and changed before they start; closing it leaves the real one open. */
export function alteredHost(
  real: Host,
  alter: (argv: readonly string[]) => readonly string[] = (argv) => argv,
  more: Partial<Pick<RunOptions, "as">> = {},
): Host & { readonly commands: (readonly string[])[] } {
  const commands: (readonly string[])[] = [];
  const seen = (argv: readonly string[]) => {
    commands.push(argv);
    return alter(argv);
  };
  return {
    commands,
    label: real.label,
    user: real.user,
    run: (argv, how) => real.run(seen(argv), { ...how, ...more }),
    start: (argv, how) => real.start(seen(argv), { ...how, ...more }),
    async [Symbol.asyncDispose]() {},
  };
}
