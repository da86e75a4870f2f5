import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { parsePolicy } from "../policy/load.ts";
import type { Policy } from "../policy/schema.ts";
import { newestInTime } from "../snapshot/held-back.ts";
import type { OpenCatalog, ReadParts } from "./choose.ts";
import { openHead } from "./open-source.ts";

/** The policy in the newest manifest whose time the store bears out; undefined when no identity opens it, or it cannot be read. */
export async function policyInside(
  { store, identities }: Pick<ReadParts, "store" | "identities">,
  catalog: OpenCatalog,
  how: Cancel,
): Promise<Policy | undefined> {
  const record = newestInTime(catalog)?.record;
  const source = record?.sources.find(({ manifest }) => manifest);
  if (!record || !source || identities.length === 0) return undefined;
  try {
    const { head } = await openHead({ store, identities }, record, source, how);
    return parsePolicy(head.policy_text, "the policy in the snapshot").policy;
  } catch (error) {
    if (isFailure(error, "key/wrong", "data/damaged", "data/missing", "store/missing", "policy/invalid"))
      return undefined;
    throw error;
  }
}
