import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { BlobReader, VersionReader } from "../store/blob-store.ts";

export interface HeldBytes {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * What was removed or put over and is there still, as versions or Object Lock hold it: a delete marker frees nothing. Nothing
 * where the store keeps no versions; undefined where this credential may not look or the server
 * cannot tell.
 */
export async function heldBytes(
  store: BlobReader | (BlobReader & VersionReader),
  policyName: string,
  how: Cancel,
): Promise<HeldBytes | undefined> {
  if (!("listVersions" in store)) return { objects: 0, bytes: 0 };
  let [objects, bytes] = [0, 0];
  try {
    for await (const { isMarker, isLatest, size } of store.listVersions(`${policyName}/`, how)) {
      if (isMarker || isLatest) continue;
      objects++;
      bytes += size;
    }
    return { objects, bytes };
  } catch (error) {
    how.signal.throwIfAborted();
    if (isFailure(error)) return undefined; // it is told beside what was planned or removed, which has to be told
    throw error;
  }
}
