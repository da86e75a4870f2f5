import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";

/** What is said of a host by one short script on it. */
export interface HostLook {
  /** First line of `--version` of each tool that is there; empty where it says none. */
  readonly tools: ReadonlyMap<string, string>;
  /** `fs.protected_hardlinks`; undefined where the kernel has none. */
  readonly protectedHardlinks: boolean | undefined;
}

const SCRIPT = `
LC_ALL=C; export LC_ALL
for tool; do
  command -v "$tool" >/dev/null 2>&1 || continue
  case $tool in
    tar|find) said=$("$tool" --version 2>/dev/null </dev/null | head -n 1) ;;
    *) said= ;;
  esac
  printf 'tool=%s=%s\\n' "$tool" "$said"
done
[ -r /proc/sys/fs/protected_hardlinks ] && echo "hardlinks=$(cat /proc/sys/fs/protected_hardlinks)"
exit 0
`;

/** Ask for `tools` by name. Changes nothing. */
export async function lookAtHost(host: Host, tools: readonly string[], how: Cancel): Promise<HostLook> {
  const { stdout } = await host.run(["sh", "-c", SCRIPT, "drops-doctor", ...tools], {
    ...how,
    maxStdout: 256 * 1024,
  });
  return parseLook(stdout.toString());
}

/** Exported for its tests: whatever a host says, only whole lines of ours count. */
export function parseLook(text: string): HostLook {
  const tools = new Map<string, string>();
  let protectedHardlinks: boolean | undefined;
  for (const line of text.split("\n")) {
    const [, tool, version = ""] = /^tool=([a-z0-9_-]{1,40})=(.{0,200})$/.exec(line) ?? [];
    if (tool !== undefined) tools.set(tool, version);
    const hardlinks = /^hardlinks=([01])$/.exec(line)?.[1];
    if (hardlinks !== undefined) protectedHardlinks = hardlinks === "1";
  }
  return { tools, protectedHardlinks };
}
