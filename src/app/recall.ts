/** Names of snapshots for completions: two listings, nothing read and nothing trusted. */

import type { ReadAccess } from "../cli/app.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { isFailure } from "../lib/errors.ts";
import { listPolicies } from "../snapshot/catalog.ts";
import { landedInTime } from "../snapshot/eligibility.ts";
import type { RecalledSnapshot } from "../snapshot/recall.ts";
import { CONSTANTS } from "../snapshot/repository.ts";
import type { BlobInfo, BlobReader } from "../store/blob-store.ts";
import {
  parseRecordKey,
  signatureKey,
  snapshotsPrefix,
  withdrawnKey,
  withdrawnPrefix,
} from "../store/keys.ts";
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

async function recallPolicy(
  store: BlobReader,
  name: string,
  { signal }: Cancel,
): Promise<RecalledSnapshot[]> {
  const blobs = await listAll(store, snapshotsPrefix(name), { signal });
  const withdrawn = await listAll(store, withdrawnPrefix(name), { signal }).catch((error: unknown) => {
    if (isFailure(error, "store/refused")) return []; // not every role may look there
    throw error;
  });
  const listed = new Set([...blobs, ...withdrawn].map(({ key }) => key));
  return blobs.flatMap(({ key, modified }) => {
    const parsed = parseRecordKey(name, key);
    if (!parsed) return [];
    const { id, time } = parsed;
    const ended = new Date(time.replace(/^(....)(..)(..T..)(..)/, "$1-$2-$3:$4:"));
    const isInTime = landedInTime({ ended, landed: modified }, CONSTANTS);
    const isHeld = !isInTime || !listed.has(signatureKey(key)) || listed.has(withdrawnKey(name, id));
    return [{ id, ended: time, isHeld }];
  });
}

async function listAll(store: BlobReader, prefix: string, how: Cancel): Promise<BlobInfo[]> {
  const blobs: BlobInfo[] = [];
  for await (const blob of store.list(prefix, how)) blobs.push(blob);
  return blobs;
}
