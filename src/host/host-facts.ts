import { createHash } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import type { Host } from "./host.ts";

/** Every answer on a line of its own; whatever is not there stays away. */
const SCRIPT = `
say() { [ -n "$2" ] && printf '%s=%s\\n' "$1" "$2"; }
say hostname "$(uname -n)"
say machine_id "$(cat /etc/machine-id 2>/dev/null)"
# Of the interfaces that lead out: those of containers are the same on many machines.
say addresses "$(for dev in $( (ip -o route show default; ip -o -6 route show default) 2>/dev/null |
  sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | sort -u); do
    ip -o addr show dev "$dev" scope global 2>/dev/null | grep -v -e temporary -e deprecated |
      sed -n 's/.* inet6\\{0,1\\} \\([0-9a-f.:]*\\)\\/.*/\\1/p'
  done | head -n 8 | tr '\\n' ' ' | sed 's/ $//')"
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

/**
 * What machine this was, and what its units ran, for the one who must build another. `units`: names of systemd. `addresses` are
 * those by which others reach it, with spaces between; `machine_id` tells machines apart and is not the one that systemd keeps to
 * itself.
 */
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
  const { machine_id: id } = facts;
  if (id !== undefined)
    facts["machine_id"] = createHash("sha256").update(`drops machine-id ${id}`).digest("hex").slice(0, 32);
  return facts;
}
