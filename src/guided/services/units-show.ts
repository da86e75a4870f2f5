import { commandFailed } from "../../host/expect-success.ts";
import type { Host } from "../../host/host.ts";
import { ANY_EXIT } from "../../host/run-to-end.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";

/** What systemd tells of a unit, by the name of the property. */
export type UnitProperties = ReadonlyMap<string, string>;

const TEMPLATE = /@\.[a-z]+$/;
const NO_SYSTEMD = /not been booted with systemd|Failed to connect to bus/;

/**
 * systemctl on the host, in English and UTC; hands back what it printed. Throws host/command-failed on a host without a
 * running systemd, and when its exit status is not in `okExits` (default: 0 alone).
 */
export async function systemctl(
  host: Host,
  args: readonly string[],
  how: Cancel & { readonly okExits?: readonly number[] },
): Promise<string> {
  const argv = ["systemctl", ...args];
  const ended = await host.run(argv, {
    signal: how.signal,
    env: { LC_ALL: "C", TZ: "UTC", SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" },
    okExits: ANY_EXIT,
  });
  if (ended.exit === 127 || NO_SYSTEMD.test(ended.stderr)) throw withoutSystemd(host);
  if (ended.exit === undefined || !(how.okExits ?? [0]).includes(ended.exit))
    throw commandFailed(`${argv.join(" ")} on ${host.label}`, ended);
  return ended.stdout.toString("utf8");
}

/** Properties of units in the order asked for, also of those that do not exist. Throws policy/invalid for a template. */
export async function showUnits(
  host: Host,
  units: readonly string[],
  properties: readonly string[],
  how: Cancel,
): Promise<readonly UnitProperties[]> {
  refuseTemplates(units);
  if (units.length === 0) return [];
  const args = ["show", `--property=${["Id", ...properties].join(",")}`, "--", ...units];
  const blocks = (await systemctl(host, args, how)).trim().split(/\n{2,}/);
  const shown = blocks.map(propertiesOf).filter((block) => block.has("Id"));
  if (shown.length !== units.length)
    throw new DropsError(
      "host/command-failed",
      `systemd of ${host.label} reported ${shown.length} units instead of ${units.length}: ${units.join(", ")}`,
    );
  return shown;
}

/** A template itself can neither be started nor looked at. */
function refuseTemplates(units: readonly string[]): void {
  const template = units.find((unit) => TEMPLATE.test(unit));
  if (template === undefined) return;
  throw new DropsError("policy/invalid", `${template} is a template, which cannot be started or stopped`, {
    hint: `name the instance in the policy: ${template.replace("@.", "@NAME.")}`,
  });
}

function propertiesOf(block: string): UnitProperties {
  const lines = block.split("\n").map((line): [string, string] => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)];
  });
  return new Map(lines);
}

function withoutSystemd(host: Host): DropsError {
  return new DropsError(
    "host/command-failed",
    `${host.label} does not run systemd, so its services cannot be stopped`,
    { hint: "stop the services by hand, and leave restore.units of the policy empty" },
  );
}
