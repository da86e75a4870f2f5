import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { type UnitState, unitStates } from "./units.ts";
import { showUnits, systemctl } from "./units-show.ts";

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

/**
 * Stop units one after the other, in the order given (the caller reverses the order of starting), each after what would
 * start it (sockets, timers). Resolves when no process of them is left, with the names of all that were active before.
 * Units that do not exist are passed over. Throws host/command-failed when one does not stop, safety/refused when a
 * process of it outlives it.
 */
export async function stopUnits(
  host: Host,
  units: readonly string[],
  how: Cancel,
): Promise<readonly string[]> {
  const stopped: string[] = [];
  for (const state of await unitStates(host, units, how)) {
    const triggers = await unitStates(host, state.triggeredBy, how);
    for (const each of [...triggers, state]) {
      if (hasRun(each)) stopped.push(each.unit);
      await stop(host, each, how);
    }
  }
  return stopped;
}

async function stop(host: Host, { unit }: UnitState, how: Cancel): Promise<void> {
  const group = await controlGroup(host, unit, how); // systemd forgets it when it is empty
  const [before] = await unitStates(host, [unit], how); // what starts it may just have started it
  if (before !== undefined && hasRun(before)) {
    await systemctl(host, ["stop", "--", unit], how);
    const [after] = await unitStates(host, [unit], how);
    if (after === undefined || hasRun(after))
      throw new DropsError(
        "host/command-failed",
        `${unit} does not stop: it is ${after?.active} (${after?.sub})`,
        {
          hint: `systemctl status ${unit}; journalctl -u ${unit}`,
        },
      );
  }
  await untilEmpty(host, unit, group, how);
}

async function controlGroup(host: Host, unit: string, how: Cancel): Promise<string> {
  const [shown] = await showUnits(host, [unit], ["ControlGroup"], how);
  return shown?.get("ControlGroup") ?? "";
}

/** A unit may be set up to leave processes behind (KillMode=process): those would still write. */
async function untilEmpty(host: Host, unit: string, group: string, how: Cancel): Promise<void> {
  if (group === "" || group === "/") return;
  for (const until = performance.now() + GONE_WITHIN_MS; ; await sleep(LOOK_EVERY_MS, undefined, how)) {
    const { stdout } = await host.run(["sh", "-c", PROCESSES, "drops-processes", group], how);
    const left = stdout.toString("utf8").trim().split("\n").filter(Boolean);
    if (left.length === 0) return;
    if (performance.now() < until) continue;
    const some = left.slice(0, 5).join(", ");
    throw new DropsError("safety/refused", `${unit} was stopped, and processes of it still run: ${some}`, {
      hint: `systemctl kill --signal=SIGKILL ${unit}`,
    });
  }
}

function hasRun({ active }: UnitState): boolean {
  return active !== "inactive" && active !== "failed" && active !== "";
}
