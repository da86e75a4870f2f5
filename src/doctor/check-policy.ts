import { isFailure } from "../lib/errors.ts";
import { ownFile } from "../lib/own-directory.ts";
import type { Check, Line } from "./types.ts";
import { ok, warn } from "./types.ts";
import type { World } from "./world.ts";

/** A policy that is not valid ends drops before it gets here: the problems are named with their lines. */
export function policyCheck(world: World): Check {
  const { policy, origin } = world.loaded;
  return {
    group: "policy",
    name: "policy",
    why: "what it does not name is not backed up, and dates are days of its zone",
    run: async () => {
      const sources = policy.sources.map(({ name, kind }) => `${name} (${kind})`).join(", ");
      return [
        ok(`${policy.name} in ${origin} is valid; dates are days of ${policy.zone}`),
        ok(`its sources: ${sources}`),
        ...(await policyWriters(origin)),
      ];
    },
  };
}

/** Whoever can write a policy, or swap a directory above it, says what drops runs. */
export async function policyWriters(origin: string): Promise<readonly Line[]> {
  try {
    await ownFile(origin, { instead: "keep the policy in /etc/drops" });
    return [];
  } catch (error) {
    if (!isFailure(error, "safety/refused")) return [];
    return [warn(`a policy says what is run: ${error.message}`, error.hint ?? "")];
  }
}
