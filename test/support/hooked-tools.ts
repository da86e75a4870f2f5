import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../src/host/host.ts";
import { alteredHost } from "./altered-host.ts";

/** Shell, before or after a program of the host runs; `$TOOL` is the real one, `$@` its arguments. */
export type Hooks = Readonly<Record<string, { readonly before?: string; readonly after?: string }>>;

/**
 * The same host, on which programs of PATH do something else as well: what another user does at the very moment between two
 * steps of a script. Closing it leaves the real one open.
 */
export function hookedTools(host: Host, directory: string, hooks: Hooks): Host {
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  for (const [tool, { before = "", after = "" }] of Object.entries(hooks)) {
    const script = `#!/bin/sh
PATH=\${PATH#*:}
export PATH
TOOL=${tool}
{
${before}
:
} >/dev/null 2>&1 </dev/null
"$TOOL" "$@"
status=$?
{
${after}
:
} >/dev/null 2>&1 </dev/null
exit $status
`;
    writeFileSync(join(directory, tool), script, { mode: 0o755 });
  }
  const path = `PATH=${directory}:${process.env["PATH"]}`;
  return alteredHost(host, (argv) => ["env", path, ...argv]);
}
