/** Names of snapshots for completions: two listings, nothing read and nothing trusted. */

import type { ReadAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { listPolicies } from "../snapshot/catalog.ts";
import { type RecalledSnapshot, recallPolicy } from "../snapshot/recall.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import { policyOf } from "./access.ts";
import { openStore } from "./store.ts";

export async function recallSnapshots(
  access: Pick<ReadAccess, "policy" | "store"> & Cancel,
  context: AppContext,
): Promise<readonly RecalledSnapshot[]> {
  const loaded = await policyOf(
    { ...access, identities: [], trustedSigners: [], trustUnsigned: false },
    context,
  );
  const place = loaded?.policy.store ?? parseStoreUrl(access.store ?? "");
  await using store = await openStore(place, context);
  const names = loaded
    ? [loaded.policy.name]
    : access.policy
      ? [access.policy]
      : await listPolicies(store, access);
  const found: RecalledSnapshot[] = [];
  for (const name of names) found.push(...(await recallPolicy(store, name, access)));
  return found.sort((a, b) => (a.ended < b.ended ? 1 : -1));
}
