/** Names of snapshots for completions: one listing of one prefix, nothing read and nothing trusted. */

import type { AppContext, ReadAccess, RecalledSnapshot } from "../cli/app.ts";
import type { Cancel } from "../lib/cancel.ts";
import { listPolicies } from "../snapshot/catalog.ts";
import { parseRecordKey, snapshotsPrefix } from "../store/keys.ts";
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
  for (const name of names) {
    for await (const { key } of store.list(snapshotsPrefix(name), access)) {
      const parsed = parseRecordKey(name, key);
      if (parsed) found.push({ id: parsed.id, ended: parsed.time });
    }
  }
  return found.sort((a, b) => (a.ended < b.ended ? 1 : -1));
}
