import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host } from "../../src/host/host.ts";

export interface FakeSystemd extends Disposable {
  /** The same host, whose commands meet the fake systemctl and systemd-run first. */
  wrap(host: Host): Host;
  /** What was asked of both so far, one call a line. */
  calls(): readonly string[];
  /** Whether the one unit runs. */
  running(): boolean;
}

/** A systemctl and a systemd-run that know one unit, `db.service`, and write down what they are told. */
export function fakeSystemd(how: { running: boolean; failing?: "start" | "stop" | "arm" }): FakeSystemd {
  const directory = mkdtempSync(join(tmpdir(), "drops-systemd-"));
  const script = (name: string, lines: readonly string[]) => {
    writeFileSync(join(directory, name), ["#!/bin/sh", `here='${directory}'`, ...lines, ""].join("\n"));
    chmodSync(join(directory, name), 0o755);
  };
  script("systemctl", [
    'echo "systemctl $*" >>"$here/calls"',
    'case "$*" in',
    '  "show --property LoadState --value -- db.service") echo loaded ;;',
    '  "show --property LoadState"*) echo not-found ;;',
    '  "show --property ActiveState"*) if [ -e "$here/running" ]; then echo active; else echo inactive; fi ;;',
    `  "stop -- db.service") ${how.failing === "stop" ? "exit 1" : 'rm "$here/running"'} ;;`,
    `  "start -- db.service") ${how.failing === "start" ? "exit 1" : ': >"$here/running"'} ;;`,
    "esac",
  ]);
  script("systemd-run", [
    'echo "systemd-run $*" >>"$here/calls"',
    how.failing === "arm" ? "exit 1" : "exit 0",
  ]);
  if (how.running) writeFileSync(join(directory, "running"), "");
  const env = { PATH: `${directory}:${process.env["PATH"]}` };
  return {
    wrap: (host) => ({
      label: host.label,
      user: host.user,
      run: (argv, options) => host.run(argv, { ...options, env: { ...options.env, ...env } }),
      start: (argv, options) => host.start(argv, { ...options, env: { ...options.env, ...env } }),
      [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
    }),
    calls: () =>
      existsSync(join(directory, "calls"))
        ? readFileSync(join(directory, "calls"), "utf8").trim().split("\n")
        : [],
    running: () => existsSync(join(directory, "running")),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
