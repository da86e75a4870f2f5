/** Names of snapshots for completions: two listings, nothing read and nothing trusted. */
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { BlobInfo, BlobReader } from "../store/blob-store.ts";
import {
  parseRecordKey,
  signatureKey,
  snapshotsPrefix,
  withdrawnKey,
  withdrawnPrefix,
} from "../store/keys.ts";
import { landedInTime } from "./eligibility.ts";
import { CONSTANTS } from "./repository.ts";

/** A snapshot as its name in the store tells it: nothing was read, so nothing is proven. */
export interface RecalledSnapshot {
  readonly id: string;
  /** UTC, as 20261123T023000Z. */
  readonly ended: string;
  /** Its name alone says that it is taken by its id, and not by its date. */
  readonly isHeld: boolean;
}

/** Of one policy, in the order of the listing. */
export async function recallPolicy(
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
