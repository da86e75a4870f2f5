import { atMost } from "../lib/at-most.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { MOST_DOCUMENTS } from "../lib/limits.ts";
import type { BlobInfo, BlobReader } from "../store/blob-store.ts";
import { keyTime, parseRecordKey, signatureKey, snapshotsPrefix } from "../store/keys.ts";
import type { Trust } from "../trust/trust.ts";
import { trustedSigner } from "../trust/trusted-signer.ts";
import { readEach, type UnreadableDocument } from "./read-each.ts";
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

export interface Catalog {
  /** Oldest first. */
  readonly snapshots: readonly ListedSnapshot[];
  /** Records that are damaged, unsigned or signed by somebody else. They are never used, and never hidden. */
  readonly unreadable: readonly UnreadableDocument[];
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
  const read = async (blob: BlobInfo, signal: AbortSignal): Promise<ListedSnapshot> => {
    const [bytes, signature] = await Promise.all([
      store.get(blob.key, { signal, maxSize: MAX_RECORD }),
      signatureOf(store, blob.key, { signal }),
    ]);
    const both = bothLanded(blob, landed.get(signatureKey(blob.key)));
    const signed = { what: `snapshot record ${blob.key}`, bytes, signature, landed: both };
    const signer = trustedSigner("snapshot", signed, trust);
    const record = decodeRecord(bytes, blob.key);
    checkPlace(record, repository, policy, blob.key);
    return { record, key: blob.key, sha256: recordDigest(bytes), landed: blob.modified, signer };
  };
  const { read: snapshots, unreadable } = await readEach(keys, read, how);
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

/** A record may have waited in the store for a signature by a key that was stolen later: the later of both counts. */
function bothLanded({ modified }: BlobInfo, signed: Date | undefined): Date | undefined {
  return signed && signed > modified ? signed : signed && modified;
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
      `snapshot record ${key} belongs to another place (${record.policy}, ${record.id})`,
    );
  }
}
