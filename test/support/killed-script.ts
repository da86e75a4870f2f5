import type { Host } from "../../src/host/host.ts";

/**
 * The same host, where a script that is given to `sh -c` dies, with all that it started, before its n-th command (from 1).
 * bash stands in for sh, since it can be told to run something before every command.
 */
export function killingBefore(command: number, host: Host): Host {
  const instrument = (argv: readonly string[]): readonly string[] => {
    const [sh, flag, script, ...rest] = argv;
    if (sh !== "sh" || flag !== "-c" || script === undefined) return argv;
    return ["bash", "-c", preamble(command) + script, ...rest];
  };
  return {
    label: host.label,
    user: host.user,
    run: (argv, how) => host.run(instrument(argv), how),
    start: (argv, how) => host.start(instrument(argv), how),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

/** Counted in a file: subshells and pipelines count too. */
function preamble(command: number): string {
  return [
    "drops_count=$(mktemp)",
    "drops_before() {",
    '  echo >>"$drops_count"',
    `  if [ "$(wc -l <"$drops_count")" -ge ${command} ]; then rm -f "$drops_count"; kill -KILL 0; fi`,
    "}",
    "set -T",
    "trap drops_before DEBUG",
    "",
  ].join("\n");
}
