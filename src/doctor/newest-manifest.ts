import type { Cancel } from "../lib/cancel.ts";
import { open } from "../seal/age-stream.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import { getExactly } from "../snapshot/source-manifest.ts";
import { manifestKey } from "../store/keys.ts";
import type { World } from "./world.ts";

/** Larger manifests are passed over: one that opens is proof enough. Bytes. */
const LARGEST = 256 * 1024 * 1024;

/** A sealed manifest of the newest snapshot that has one. */
export interface SealedManifest {
  readonly snapshot: SnapshotRecord;
  readonly source: string;
  readonly bytes: Uint8Array;
}

/** The smallest manifest of the newest snapshot; undefined when there is no snapshot yet. Throws failures of the store. */
export async function newestManifest(world: World, how: Cancel): Promise<SealedManifest | undefined> {
  const { catalog } = await world.records;
  const store = await world.store;
  const newest = catalog.snapshots.findLast(({ record }) => record.sources.some(({ manifest }) => manifest));
  if (!newest) return undefined;
  const { record } = newest;
  const [smallest] = record.sources
    .flatMap(({ name, manifest }) => (manifest ? [{ name, manifest }] : []))
    .sort((a, b) => a.manifest.size - b.manifest.size);
  if (!smallest) return undefined;
  const { name, manifest } = smallest;
  const key = manifestKey(record.policy, manifest.sha256);
  const bytes = await getExactly(store, key, manifest, LARGEST, how);
  return { snapshot: record, source: name, bytes };
}

/** Throws key/wrong when none of `identities` opens it, data/damaged. */
export async function opens(sealed: SealedManifest, identities: readonly string[]): Promise<void> {
  await open(identities, sealed.bytes);
}
