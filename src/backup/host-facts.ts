import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";

/** Every answer on a line of its own; whatever is not there stays away. */
const SCRIPT = `
say() { [ -n "$2" ] && printf '%s=%s\\n' "$1" "$2"; }
say hostname "$(uname -n)"
say kernel "$(uname -sr)"
say os "$( (. /etc/os-release && printf %s "$PRETTY_NAME") 2>/dev/null)"
say nixos_version "$(cat /run/current-system/nixos-version 2>/dev/null)"
say nixos_system "$(readlink -f /run/current-system 2>/dev/null)"
say flake_revision "$(cat /run/current-system/etc/flake-revision 2>/dev/null)"
exit 0
`;

/** What machine this was, for the one who must build another. */
export async function hostFacts(host: Host, how: Cancel): Promise<Record<string, string>> {
  const { stdout } = await host.run(["sh", "-c", SCRIPT], { ...how, maxStdout: 64 * 1024 });
  const facts: Record<string, string> = {};
  for (const line of stdout.toString().split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) facts[line.slice(0, at)] = line.slice(at + 1, at + 1000);
  }
  return facts;
}
