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
import { parseRecordKey } from "../store/keys.ts";
import { type Damage, DamageBook } from "./damage-book.ts";
import { readManifests } from "./read-manifests.ts";
import { readPacks } from "./read-packs.ts";
import { followReferences, type NeededPack } from "./references.ts";

export interface VerifyParts extends ReadParts {
  readonly pool: PackPool;
  /** 0 to 1, below 1: which packs a share is. */
  readonly random: () => number;
  /** Bytes of packs read so far, of how many. */
  readonly onRead?: (done: number, total: number) => void;
}

export interface VerifyResult {
  readonly policyName: string;
  readonly snapshots: readonly {
    readonly snapshot: ListedSnapshot;
    readonly signature: SignatureState;
    readonly intact: boolean;
  }[];
  /** Looked for by name and size: manifests, lists, packs. */
  readonly objects: number;
  readonly objectBytes: number;
  readonly readShare: number;
  readonly packsRead: number;
  readonly bytesRead: number;
  /** Whether an identity opened the packs that were read. */
  readonly opened: boolean;
  readonly damage: readonly Damage[];
  readonly seconds: number;
  readonly notes: readonly string[];
}

/**
 * Prove that what the snapshots promise is in the store: signatures, then manifests, lists and packs by name and size,
 * which needs no key; with `readShare` above 0 that share of the packs is read whole, and with an identity opened, as
 * are all manifests. Damage is in the result, never thrown.
 *
 * @param what without `choice` all snapshots of the policy
 * @throws DropsError when it cannot be known: store failures; repository/missing, snapshot/missing; signature/untrusted of the repository itself
 */
export async function verifyRepository(
  parts: VerifyParts,
  what: { readonly choice: SnapshotChoice | undefined; readonly readShare: number },
  how: Cancel,
): Promise<VerifyResult> {
  const began = parts.now().getTime();
  const damage = new DamageBook();
  const { policyName, snapshots } = await lookedAt(parts, what.choice, damage, how);
  const refs = await followReferences(parts.store, policyName, snapshots, damage, how);
  const sample = sampleOf(refs.packs, what.readShare, parts.random);
  const total = sample.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const onPack = (bytes: number) => {
    done += bytes;
    parts.onRead?.(done, total);
  };
  const read = await readPacks(sample, parts, damage, { ...how, onPack });
  const isRead = what.readShare > 0 && parts.identities.length > 0;
  const notes = isRead
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
    policyName,
    snapshots: judged,
    objects,
    objectBytes,
    readShare: what.readShare,
    packsRead,
    bytesRead,
    opened,
    damage: damage.list(),
    seconds: (parts.now().getTime() - began) / 1000,
    notes: [...read.notes, ...notes],
  };
}

async function lookedAt(
  parts: VerifyParts,
  choice: SnapshotChoice | undefined,
  damage: DamageBook,
  how: Cancel,
): Promise<{ policyName: string; snapshots: readonly ListedSnapshot[] }> {
  if (choice) {
    const { policyName, snapshot } = await chooseSnapshot(parts, choice, how);
    return { policyName, snapshots: [snapshot] };
  }
  const catalog = await openCatalog(parts, how);
  for (const { key, why } of catalog.unreadable) {
    const id = parseRecordKey(catalog.policyName, key)?.id;
    damage.add(key, why.message, id === undefined ? [] : [{ snapshot: id }]);
  }
  checkSeen(catalog, damage);
  return catalog;
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

/** A random share of the packs that are there, at least one when any is wanted. */
function sampleOf(packs: readonly NeededPack[], share: number, random: () => number): NeededPack[] {
  const there = packs.filter(({ listed }) => listed);
  const count = Math.min(there.length, Math.ceil(there.length * share));
  if (count === there.length) return there;
  for (let at = 0; at < count; at++) {
    const other = at + Math.floor(random() * (there.length - at));
    [there[at], there[other]] = [there[other] as NeededPack, there[at] as NeededPack];
  }
  return there.slice(0, count);
}
