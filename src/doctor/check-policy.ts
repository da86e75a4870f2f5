import type { Check } from "./types.ts";
import { ok } from "./types.ts";
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
      ];
    },
  };
}
