import { atMost } from "../lib/at-most.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { MOST_DOCUMENTS } from "../lib/limits.ts";
import { mapLimit } from "../lib/map-limit.ts";
import type { BlobInfo, BlobReader } from "../store/blob-store.ts";
import { keyTime, parseRecordKey, signatureKey, snapshotsPrefix } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { trustedSigner } from "../trust/trusted-signer.ts";
import { decodeRecord, MAX_RECORD, recordDigest, type SnapshotRecord } from "./record.ts";
import type { Repository } from "./repository.ts";
import { signatureOf } from "./signature.ts";

export interface ListedSnapshot {
  readonly record: SnapshotRecord;
  readonly key: string;
  /** SHA-256 of the record's bytes. */
  readonly sha256: string;
  /** When it landed, by the store's clock. */
  readonly landed: Date;
  /** The trusted key that signed it; undefined when nobody's signature was asked for. */
  readonly signer: string | undefined;
}

export interface UnreadableSnapshot {
  readonly key: string;
  readonly why: DropsError;
}

export interface Catalog {
  /** Oldest first. */
  readonly snapshots: readonly ListedSnapshot[];
  /** Records that are damaged, unsigned or signed by somebody else. They are never used, and never hidden. */
  readonly unreadable: readonly UnreadableSnapshot[];
}

/**
 * Every snapshot of a policy. The signature is checked before a byte is parsed, then name and repository against what is
 * inside: a record copied to another name, policy or repository is unreadable.
 *
 * @param how `isWanted`: whether the record with this key is read; default: all
 */
export async function readCatalog(
  store: BlobReader,
  repository: Pick<Repository, "id">,
  policy: string,
  trust: Trust,
  how: Cancel & { readonly isWanted?: (key: string) => boolean },
): Promise<Catalog> {
  const keys: BlobInfo[] = [];
  const landed = new Map<string, Date>();
  for await (const blob of atMost(
    store.list(snapshotsPrefix(policy), how),
    MOST_DOCUMENTS,
    `records of policy ${policy}`,
  )) {
    landed.set(blob.key, blob.modified);
    if (parseRecordKey(policy, blob.key) && (how.isWanted?.(blob.key) ?? true)) keys.push(blob);
  }
  const snapshots: ListedSnapshot[] = [];
  const unreadable: UnreadableSnapshot[] = [];
  const read = (blob: BlobInfo, signal: AbortSignal) =>
    readOne(
      store,
      repository,
      policy,
      trust,
      { ...blob, signed: landed.get(signatureKey(blob.key)) },
      { signal },
    );
  for await (const one of mapLimit(keys, 8, read, how.signal)) {
    if (one === undefined) continue; // pruned since it was listed
    if ("why" in one) unreadable.push(one);
    else snapshots.push(one);
  }
  return { snapshots: snapshots.sort(byAge), unreadable };
}

/** Names order by second and then by chance; within a second the sequence decides, and a checkpoint comes before its snapshot. */
function byAge({ record: a }: ListedSnapshot, { record: b }: ListedSnapshot): number {
  return a.ended < b.ended ? -1 : a.ended > b.ended ? 1 : a.sequence - b.sequence;
}

/** Policies that have snapshots in this store, by name. */
export async function listPolicies(store: BlobReader, how: Cancel): Promise<string[]> {
  const names = new Set<string>();
  for await (const { key } of store.list("", how)) {
    const [policy = "", folder] = key.split("/");
    if (folder === "snapshots") names.add(policy);
  }
  return [...names].sort();
}

interface ListedRecord extends BlobInfo {
  /** When its signature landed; undefined when none was listed. */
  readonly signed: Date | undefined;
}

/** A record may have waited in the store for a signature by a key that was stolen later: the later of both counts. */
function bothLanded({ modified, signed }: ListedRecord): Date | undefined {
  return signed && signed > modified ? signed : signed && modified;
}

async function readOne(
  store: BlobReader,
  repository: Pick<Repository, "id">,
  policy: string,
  trust: Trust,
  blob: ListedRecord,
  how: Cancel,
): Promise<ListedSnapshot | UnreadableSnapshot | undefined> {
  try {
    const bytes = await store.get(blob.key, { ...how, maxSize: MAX_RECORD });
    const signature = await signatureOf(store, blob.key, how);
    const signed = { what: `snapshot record ${blob.key}`, bytes, signature, landed: bothLanded(blob) };
    const signer = trustedSigner("snapshot", signed, trust);
    const record = decodeRecord(bytes, blob.key);
    checkPlace(record, repository, policy, blob.key);
    return { record, key: blob.key, sha256: recordDigest(bytes), landed: blob.modified, signer };
  } catch (error) {
    if (isFailure(error, "store/missing")) return undefined;
    if (isFailure(error, "signature/untrusted", "data/damaged")) return { key: blob.key, why: error };
    throw error;
  }
}

function checkPlace(
  record: SnapshotRecord,
  repository: Pick<Repository, "id">,
  policy: string,
  key: string,
): void {
  const name = parseRecordKey(policy, key);
  const same =
    record.repository === repository.id &&
    record.policy === policy &&
    record.id === name?.id &&
    keyTime(new Date(record.ended)) === name.time;
  if (!same) {
    throw new DropsError(
      "data/damaged",
      `snapshot record ${key} was made for another place (${record.policy}, ${record.id})`,
    );
  }
}
