import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";

/** Every answer on a line of its own; whatever is not there stays away. */
const SCRIPT = `
say() { [ -n "$2" ] && printf '%s=%s\\n' "$1" "$2"; }
say hostname "$(uname -n)"
say kernel "$(uname -sr)"
say os "$( (. /etc/os-release && printf %s "$PRETTY_NAME") 2>/dev/null)"
say nixos_version "$(cat /run/current-system/nixos-version 2>/dev/null)"
say nixos_system "$(readlink -e /run/current-system 2>/dev/null)"
say flake_revision "$(cat /run/current-system/etc/flake-revision 2>/dev/null ||
  /run/current-system/sw/bin/nixos-version --configuration-revision 2>/dev/null)"
for unit; do
  say "program $unit" "$(systemctl show -p ExecStart --value -- "$unit" 2>/dev/null | sed -n 's/^{ path=\\([^ ;]*\\) .*/\\1/p' | head -n 1)"
done
exit 0
`;

/** What machine this was, and what its units ran, for the one who must build another. `units`: names of systemd. */
export async function hostFacts(
  host: Host,
  units: readonly string[],
  how: Cancel,
): Promise<Record<string, string>> {
  const { stdout } = await host.run(["sh", "-c", SCRIPT, "drops-facts", ...units], {
    ...how,
    maxStdout: 64 * 1024,
  });
  const facts: Record<string, string> = {};
  for (const line of stdout.toString().split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) facts[line.slice(0, at)] = line.slice(at + 1, at + 1000);
  }
  return facts;
}
