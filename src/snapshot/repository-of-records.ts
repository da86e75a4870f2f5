import type { Cancel } from "../lib/cancel.ts";
import { type DropsError, isFailure } from "../lib/errors.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { parseRecordKey, snapshotsPrefix } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { trustedSigner } from "../trust/trusted-signer.ts";
import { decodeRecord, MAX_RECORD } from "./record.ts";
import { newRepository, type Repository } from "./repository.ts";
import { signatureOf } from "./signature.ts";

/** The creation time in a description that was not read but put together. */
export const UNKNOWN_TIME = "1970-01-01T00:00:00.000Z";

export const NO_DESCRIPTION =
  "repository.json is lost or damaged: which repository this is was taken from the signed records";

/**
 * A description for a repository that lost its own, from the records that are signed by a trusted key: they all repeat the
 * repository's id. Throws `lost`, the failure to read the description, when there is no such record or they do not agree,
 * and always when signatures are not asked for.
 */
export async function repositoryOfRecords(
  store: BlobReader,
  policy: string,
  trust: Trust,
  lost: DropsError,
  how: Cancel,
): Promise<Repository> {
  if (trust.allowUnsigned) throw lost;
  const ids = new Set<string>();
  for await (const { key } of store.list(snapshotsPrefix(policy), how)) {
    const id = parseRecordKey(policy, key) && (await signedId(store, policy, key, trust, how));
    if (id !== undefined) ids.add(id);
  }
  const [id, ...others] = ids;
  if (id === undefined || others.length > 0) throw lost;
  return newRepository(id, new Date(UNKNOWN_TIME));
}

async function signedId(
  store: BlobReader,
  policy: string,
  key: string,
  trust: Trust,
  how: Cancel,
): Promise<string | undefined> {
  try {
    const bytes = await store.get(key, { ...how, maxSize: MAX_RECORD });
    const signature = await signatureOf(store, key, how);
    trustedSigner("snapshot", { what: `snapshot record ${key}`, bytes, signature }, trust);
    const record = decodeRecord(bytes, key);
    return record.policy === policy ? record.repository : undefined;
  } catch (error) {
    if (isFailure(error, "store/missing", "signature/untrusted", "data/damaged")) return undefined;
    throw error;
  }
}
