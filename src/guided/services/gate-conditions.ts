import * as z from "zod";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";

const DESTINATION = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1"];
const Path = z.object({ data: z.tuple([z.string()]) });
/** a(sbbsi) of org.freedesktop.systemd1.Unit: type, trigger, negate, parameter, last result. */
const Conditions = z.object({
  data: z.array(z.tuple([z.string(), z.boolean(), z.boolean(), z.string(), z.number()])),
});

/**
 * Whether systemd, as it has the unit loaded now, refuses to start it while `file` exists. What lies in directories says
 * little: another drop-in may reset conditions, or nothing was reloaded. (`systemctl show` cannot print conditions.)
 * Throws host/command-failed when systemd does not answer.
 */
export async function isGated(host: Host, unit: string, file: string, how: Cancel): Promise<boolean> {
  const load = ["call", ...DESTINATION, "org.freedesktop.systemd1.Manager", "LoadUnit", "s", unit];
  const { data } = await busctl(host, load, Path, how);
  const get = ["get-property", DESTINATION[0] ?? "", data[0], "org.freedesktop.systemd1.Unit", "Conditions"];
  const conditions = await busctl(host, get, Conditions, how);
  return conditions.data.some(
    ([type, isTrigger, isNegated, path]) =>
      // one that is marked with | is enough together with others: it does not hold the unit back alone
      type === "ConditionPathExists" && !isTrigger && isNegated && path === file,
  );
}

async function busctl<T>(host: Host, args: readonly string[], shape: z.ZodType<T>, how: Cancel): Promise<T> {
  const { stdout } = await host.run(["busctl", "--json=short", ...args], how);
  try {
    return shape.parse(JSON.parse(stdout.toString("utf8")));
  } catch (error) {
    throw new DropsError(
      "host/command-failed",
      `systemd of ${host.label} gave an answer that drops does not understand`,
      {
        hint: "systemd 240 or later is needed",
        cause: error,
      },
    );
  }
}
