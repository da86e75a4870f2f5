/** The machine that a guided restore is drilled on: never the one that is backed up, nor one that reaches it. */
import { lookup } from "node:dns/promises";
import type { DrillResult } from "../drill/drill.ts";
import type { OutsidePlace } from "../drill/egress.ts";
import { runHostDrill } from "../drill/on-host.ts";
import type { DrillOptions } from "../drill/report.ts";
import { hostOf, targetOf } from "../guided/target.ts";
import type { ReadAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError } from "../lib/errors.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import type { ReadParts } from "../restore/choose.ts";
import { addressed, openHost } from "./host.ts";

interface OnHostAccess {
  readonly parts: ReadParts;
  readonly policy: LoadedPolicy | undefined;
  /** As the command line gave it, for the guided restore. */
  readonly access: ReadAccess;
}

/** Throws safety/refused for the machine that is backed up. */
export async function drillOnHost(
  { parts, policy: loaded, access }: OnHostAccess,
  on: string,
  context: AppContext,
  options: DrillOptions & Cancel,
): Promise<DrillResult> {
  const policy = loaded && { policy: loaded.policy, sha256: loaded.sha256, fromSnapshot: false };
  const place = { host: on, sshKey: options.sshKey, hostKey: options.hostKey };
  const target = await targetOf(place, loaded?.policy.host);
  const production = loaded && (await addressed(loaded.policy.host, context, options));
  const outside = await productionPlaces(production);
  refuseProduction(await addressed(hostOf(target), context, options), production);
  await using host = await openHost(hostOf(target), context, options);
  const restore = async (id: string, how: Cancel) => {
    const { openGuided } = await import("./guided.ts");
    await using guided = await openGuided({ ...access, ...place }, context);
    const consent = { fenced: true, yes: true, prompt: undefined, onPlanned: options.onPlanned };
    const what = { choice: { id }, only: options.only, steps: [], dryRun: false, resume: undefined };
    return await guided.restore({ ...how, ...consent, ...what });
  };
  return await runHostDrill({ ...parts, host, policy, outside, restore }, options, options);
}

/** The backed-up machine is where nothing may be drilled. Throws safety/refused. */
function refuseProduction(target: Policy["host"], host: Policy["host"] | undefined): void {
  const isSame =
    target === "local" || (host !== undefined && host !== "local" && host.ssh.address === target.ssh.address);
  if (!isSame) return;
  throw new DropsError(
    "safety/refused",
    "a drill replaces all data on its machine, and this machine is not a throwaway one",
    {
      hint: "use --on with the address of a throwaway machine without network access",
    },
  );
}

/** Where the backed-up machine is, by address: what is restored must not reach it. */
async function productionPlaces(host: Policy["host"] | undefined): Promise<OutsidePlace[]> {
  if (host === undefined || host === "local") return [];
  const { address, port = 22 } = host.ssh;
  const found = await lookup(address, { all: true }).catch(() => []); // gone from the DNS: then there is no way to it
  return found.map((each) => ({ address: each.address, port }));
}
