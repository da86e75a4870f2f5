import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { Space } from "../lib/space.ts";
import type { SourcePolicy } from "../policy/schema.ts";

/** Where Debian, NixOS and others keep the data of PostgreSQL; asking the server needs rights that a dump does not. */
const POSTGRES = "/var/lib/postgresql";

/** One line of df for each path that is there. */
const SCRIPT = 'for path; do df -Pk -- "$path" 2>/dev/null | sed 1d; done; exit 0';
const LINE = /\s\d+\s+(?<used>\d{1,12})\s+(?<free>\d{1,12})\s+\d+%\s+(?<where>\/.*)$/;

/** The file systems of the host that hold the sources and what is staged for them, each once. Throws host failures. */
export async function hostSpace(
  host: Host,
  sources: readonly SourcePolicy[],
  how: Cancel,
): Promise<readonly Space[]> {
  const paths = [...new Set(sources.flatMap(pathsOf))];
  const argv = ["sh", "-c", SCRIPT, "drops-space", ...paths];
  const { stdout } = await host.run(argv, { ...how, env: { LC_ALL: "C" }, maxStdout: 64 * 1024 });
  const found = new Map<string, Space>();
  for (const line of stdout.toString().split("\n")) {
    const { used, free, where } = LINE.exec(line)?.groups ?? {};
    if (where === undefined) continue;
    const [freeBytes, usedBytes] = [Number(free) * 1024, Number(used) * 1024];
    // What has no size at all, such as /proc, never fills up.
    if (freeBytes + usedBytes > 0) found.set(where, { where, free: freeBytes, total: freeBytes + usedBytes });
  }
  return [...found.values()];
}

function pathsOf(source: SourcePolicy): readonly string[] {
  switch (source.kind) {
    case "files":
      return source.paths;
    case "rocksdb":
      return source.staging === undefined ? [source.path] : [source.path, source.staging];
    case "postgres":
      // where a dump is spooled
      return source.container === undefined ? [POSTGRES, "/var/tmp"] : [];
    case "command":
      return [];
  }
}
