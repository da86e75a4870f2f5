import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { showUnits } from "./units-show.ts";

const GONE_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 200;

/** Process ids and names below a unit's control group, wherever the host mounts its hierarchies; nothing when it is gone. */
const PROCESSES = `
for base in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
  [ -d "$base$1" ] && find "$base$1" -name cgroup.procs -exec cat {} + 2>/dev/null
done | sort -un | while IFS= read -r pid; do
  printf '%s %s\\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)"
done
`;

/** The unit's control group; empty when it has none. systemd forgets it once no process is in it. */
export async function controlGroup(host: Host, unit: string, how: Cancel): Promise<string> {
  const [shown] = await showUnits(host, [unit], ["ControlGroup"], how);
  return shown?.get("ControlGroup") ?? "";
}

/**
 * Wait until no process is left in a unit's control group. A unit may be set up to leave some behind (KillMode=process), which would
 * still write. Throws safety/refused when one stays.
 */
export async function untilEmpty(host: Host, unit: string, group: string, how: Cancel): Promise<void> {
  if (group === "" || group === "/") return;
  for (const until = performance.now() + GONE_WITHIN_MS; ; await sleep(LOOK_EVERY_MS, undefined, how)) {
    const { stdout } = await host.run(["sh", "-c", PROCESSES, "drops-processes", group], how);
    const left = stdout.toString("utf8").trim().split("\n").filter(Boolean);
    if (left.length === 0) return;
    if (performance.now() < until) continue;
    const some = left.slice(0, 5).join(", ");
    throw new DropsError(
      "safety/refused",
      `${unit} was stopped, but some of its processes still run: ${some}`,
      {
        hint: `systemctl kill --signal=SIGKILL ${unit}`,
      },
    );
  }
}
