import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";

/** What paths of the host are when symlinks are followed; those that do not exist stay as they are. */
export async function realPaths(
  host: Host,
  paths: readonly string[],
  how: Cancel,
): Promise<Readonly<Record<string, string>>> {
  if (paths.length === 0) return {};
  // -m: also where the last parts are missing
  const script = 'for p; do readlink -m -- "$p" || printf "%s\\n" "$p"; printf "\\0"; done';
  const { stdout } = await host.run(["sh", "-c", script, "drops-paths", ...paths], how);
  const found = stdout.toString().split("\0");
  return Object.fromEntries(paths.map((path, index) => [path, found[index]?.replace(/\n$/, "") ?? path]));
}
