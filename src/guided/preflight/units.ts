import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import { type CheckResult, failed, passed } from "../run/check.ts";
import { Gate } from "../services/gate.ts";
import { showUnits } from "../services/units-show.ts";

export interface UnitsLook {
  readonly checks: readonly CheckResult[];
  /** Users that systemd makes when a unit starts (DynamicUser), with the unit. */
  readonly dynamicUsers: ReadonlyMap<string, string>;
}

/** Whether the policy's units are there and can be gated. */
export async function lookAtUnits(
  host: Host,
  what: { readonly gate: string; readonly units: readonly string[] },
  how: Cancel,
): Promise<UnitsLook> {
  if (what.units.length === 0) return { checks: [], dynamicUsers: new Map() };
  try {
    const shown = await showUnits(host, what.units, ["LoadState", "DynamicUser", "User"], how);
    const states = shown.map((properties, index): [string, string] => [
      what.units[index] ?? "",
      properties.get("LoadState") ?? "",
    ]);
    const missing = states
      .filter(([, load]) => load !== "loaded")
      .map(([unit, load]) => `${unit} is ${load}`);
    const dynamicUsers = new Map(
      shown
        .filter((each) => each.get("DynamicUser") === "yes")
        .map((each) => [userOf(each), each.get("Id") ?? ""]),
    );
    return { checks: [checkUnits(what.units, missing), await checkGate(host, what, how)], dynamicUsers };
  } catch (error) {
    if (!isFailure(error, "host/command-failed", "policy/invalid")) throw error;
    const check = failed("units", error.message, error.hint ?? "systemctl status");
    return { checks: [check], dynamicUsers: new Map() };
  }
}

function checkUnits(units: readonly string[], missing: readonly string[]): CheckResult {
  if (missing.length === 0) return passed("units", `${units.join(", ")} are there`);
  const hint =
    "deploy the configuration that defines them, or name them as they are called on this host in restore.units of the policy";
  return failed("units", missing.join(", "), hint);
}

async function checkGate(
  host: Host,
  what: { readonly gate: string; readonly units: readonly string[] },
  how: Cancel,
): Promise<CheckResult> {
  const name = "gate";
  switch (await new Gate(host, { file: what.gate, units: what.units }).foresee(how)) {
    case "closed":
      return passed(name, "is closed: no unit of the policy can start");
    case "durable":
      return passed(name, "is open, and can be closed so that it survives a reboot");
    case "until-reboot":
      return passed(name, "is open, and can be closed until the next reboot: after one, resume first of all");
    case "impossible":
      return failed(
        name,
        `cannot be closed: neither the directory of ${what.gate} nor those of unit files take a file`,
        `mount; ls -ld /etc/systemd/system /run/systemd/system; touch ${what.gate}`,
      );
  }
}

/** systemd names the user after the unit when none is given. */
function userOf(unit: ReadonlyMap<string, string>): string {
  return unit.get("User") || (unit.get("Id") ?? "").replace(/(@.*)?\.[a-z]+$/, "");
}
