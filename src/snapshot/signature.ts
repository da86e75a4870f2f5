import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { signatureKey } from "../store/keys.ts";

const MAX_SIGNATURE = 64 * 1024;

/** The detached signature that lies beside an object; undefined when there is none. */
export async function signatureOf(
  store: BlobReader,
  key: string,
  how: Cancel,
): Promise<Uint8Array | undefined> {
  try {
    return await store.get(signatureKey(key), { ...how, maxSize: MAX_SIGNATURE });
  } catch (error) {
    if (isFailure(error, "store/missing")) return undefined;
    throw error;
  }
}
