import type { Cancel } from "../lib/cancel.ts";
import type { PackPool } from "../pack/pool.ts";
import {
  chooseSnapshot,
  type OpenCatalog,
  openCatalog,
  type ReadParts,
  type SignatureState,
  type SnapshotChoice,
  signatureState,
} from "../restore/choose.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { BlobChecker } from "../store/blob-store.ts";
import { damagedKey, parseRecordKey } from "../store/keys.ts";
import { type CheckedObjects, checkObjects } from "./check-objects.ts";
import { type Damage, DamageBook } from "./damage-book.ts";
import { followReferences, type NeededObjects } from "./needed-objects.ts";
import { readManifests } from "./read-manifests.ts";
import { readPacks } from "./read-packs.ts";
import { type Arc, isOn, nextArc, partOf } from "./rotation.ts";

export interface VerifyParts extends ReadParts {
  readonly pool: PackPool;
  /** Asked for checksums. */
  readonly checker: BlobChecker;
  /** Bytes read so far, of how many. */
  readonly onRead?: (done: number, total: number) => void;
}

/** Which packs are read whole: none, a share (above 0, at most 1) from a place on the ring on, or one of equal parts. */
export type ReadData =
  | undefined
  | { readonly share: number; readonly from: number; readonly part?: undefined }
  | { readonly part: number; readonly of: number; readonly share?: undefined };

export interface VerifyWhat {
  /** Without it all snapshots of the policy. */
  readonly choice: SnapshotChoice | undefined;
  /** Ask the store for checksums. */
  readonly objects: boolean;
  readonly read: ReadData;
  /** Have the packs that are opened read by age, zlib and tar as well, and compare. */
  readonly independent?: boolean;
}

export interface VerifyResult {
  /** The repository's id. */
  readonly repository: string;
  readonly policyName: string;
  readonly snapshots: readonly {
    readonly snapshot: ListedSnapshot;
    readonly signature: SignatureState;
    readonly intact: boolean;
  }[];
  /** Looked for by name and size: manifests, lists, packs. */
  readonly objects: number;
  readonly objectBytes: number;
  readonly checked?: CheckedObjects;
  /** The part of the ring of names whose packs were read, of all snapshots. */
  readonly arc?: Arc;
  readonly packsRead: number;
  readonly bytesRead: number;
  /** Whether an identity opened the packs that were read. */
  readonly opened: boolean;
  /** Whether age, zlib and tar read them as well. */
  readonly independent: boolean;
  readonly damage: readonly Damage[];
  readonly seconds: number;
  readonly notes: readonly string[];
}

/**
 * Prove that what the snapshots promise is in the store: signatures, then manifests, lists and packs by name and size, and
 * with `objects` by the checksums that the store has, all of which needs no key; with `read` a part of the packs is read
 * whole, and with an identity opened, as are all manifests. Damage is in the result, never thrown.
 *
 * @throws DropsError when it cannot be known: store failures; repository/missing, snapshot/missing; signature/untrusted of the repository itself
 */
export async function verifyRepository(
  parts: VerifyParts,
  what: VerifyWhat,
  how: Cancel,
): Promise<VerifyResult> {
  const began = parts.now().getTime();
  const damage = new DamageBook();
  const { repository, policyName, snapshots } = await lookedAt(parts, what.choice, damage, how);
  const refs = await followReferences(parts.store, policyName, snapshots, damage, how);
  const arc = arcOf(what.read, refs);
  const sample = arc ? refs.packs.filter(({ sha256, listed }) => listed && isOn(arc, sha256)) : [];
  const count = progressOf(parts, what, refs, sample);
  const checked = what.objects
    ? await checkObjects(parts.checker, [...refs.indexes, ...refs.packs], damage, {
        ...how,
        ...(parts.checker.checksumsFrom === "bytes" ? { onChecked: count } : {}),
      })
    : undefined;
  const { independent = false } = what;
  const read = await readPacks(sample, { ...parts, independent }, damage, { ...how, onPack: count });
  const isOpened = arc !== undefined && parts.identities.length > 0;
  const manifests = isOpened
    ? await readManifests(refs.states, { ...parts, policyName }, read.chunks, damage, how)
    : [];
  const hurt = damage.hurtSnapshots();
  const judged = [];
  for (const snapshot of snapshots) {
    const signature = await signatureState(parts.store, snapshot, how);
    judged.push({ snapshot, signature, intact: !hurt.has(snapshot.record.id) });
  }
  const { objects, objectBytes } = refs;
  const { packsRead, bytesRead, opened } = read;
  return {
    repository,
    policyName,
    snapshots: judged,
    objects,
    objectBytes,
    ...(checked ? { checked } : {}),
    ...(arc && !what.choice ? { arc } : {}),
    packsRead,
    bytesRead,
    opened,
    independent: independent && opened,
    damage: damage.list(),
    seconds: (parts.now().getTime() - began) / 1000,
    notes: [
      ...(checked?.notes ?? []),
      ...read.notes,
      ...wholeAgain(policyName, sample, refs.marked, read.bad),
      ...manifests,
    ],
  };
}

/** What the bucket's owner brought back from an earlier version, say. Whoever may delete takes the mark away. */
function wholeAgain(
  policyName: string,
  sample: readonly { readonly sha256: string }[],
  marked: ReadonlySet<string>,
  bad: ReadonlySet<string>,
): string[] {
  return sample
    .filter(({ sha256 }) => marked.has(sha256) && !bad.has(sha256))
    .map(
      ({ sha256 }) =>
        `pack ${sha256} is whole: remove ${damagedKey(policyName, sha256)}, which says otherwise`,
    );
}

function arcOf(read: ReadData, { packs }: NeededObjects): Arc | undefined {
  if (read === undefined) return undefined;
  if (read.part !== undefined) return partOf(read.part, read.of);
  return nextArc(
    read.share,
    packs.filter(({ listed }) => listed).map(({ sha256 }) => sha256),
    read.from,
  );
}

/** Bytes that are hashed or read, out of all that will be; a server's checksums cost no bytes. */
function progressOf(
  { checker, onRead }: Pick<VerifyParts, "checker" | "onRead">,
  { objects }: VerifyWhat,
  refs: NeededObjects,
  sample: readonly { readonly size: number }[],
): (bytes: number) => void {
  const hashed = objects ? [...refs.indexes, ...refs.packs].filter(({ listed }) => listed) : [];
  const sum = (of: readonly { readonly size: number }[]) => of.reduce((total, { size }) => total + size, 0);
  const total = checker.checksumsFrom === "bytes" ? sum(hashed) + sum(sample) : sum(sample);
  let done = 0;
  return (bytes) => {
    done += bytes;
    onRead?.(Math.min(done, total), total);
  };
}

async function lookedAt(
  parts: VerifyParts,
  choice: SnapshotChoice | undefined,
  damage: DamageBook,
  how: Cancel,
): Promise<{ repository: string; policyName: string; snapshots: readonly ListedSnapshot[] }> {
  if (choice) {
    const { repository, policyName, snapshot } = await chooseSnapshot(parts, choice, how);
    return { repository: repository.id, policyName, snapshots: [snapshot] };
  }
  const catalog = await openCatalog(parts, how);
  for (const { key, why } of catalog.unreadable) {
    const id = parseRecordKey(catalog.policyName, key)?.id;
    damage.add(key, why.message, id === undefined ? [] : [{ snapshot: id }]);
  }
  checkSeen(catalog, damage);
  const { repository, policyName, snapshots } = catalog;
  return { repository: repository.id, policyName, snapshots };
}

/** A record says which others it saw when it was made: one that is another now was replaced. */
function checkSeen({ snapshots }: OpenCatalog, damage: DamageBook): void {
  const now = new Map(snapshots.map((snapshot) => [snapshot.record.id, snapshot]));
  for (const { record } of snapshots) {
    for (const { id, sha256 } of record.seen) {
      const other = now.get(id);
      if (!other || other.sha256 === sha256) continue;
      damage.add(other.key, `is not the record that snapshot ${record.id} saw`, [{ snapshot: id }]);
    }
  }
}
