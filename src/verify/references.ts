import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { PackInfo } from "../pack/pack-table.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import { decodeList, MAX_LIST } from "../snapshot/list.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { getExactly } from "../snapshot/source-manifest.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { listKey, listsPrefix, manifestKey, manifestsPrefix, packKey, packsPrefix } from "../store/keys.ts";
import type { DamageBook } from "./damage-book.ts";

/** One captured state of a source; several snapshots share it when nothing changed. */
export interface SourceState {
  readonly source: SourceRecord;
  readonly snapshots: readonly ListedSnapshot[];
}

export interface NeededPack extends PackInfo {
  readonly key: string;
  readonly states: readonly SourceState[];
  /** Listed with its size. */
  readonly listed: boolean;
}

/** Everything that snapshots refer to, looked for by name and size. */
export interface References {
  readonly states: readonly SourceState[];
  readonly packs: readonly NeededPack[];
  /** Objects that were looked for, and their bytes. */
  readonly objects: number;
  readonly objectBytes: number;
}

/**
 * Follow records to manifests, lists and packs without a key: all must be listed with the right size, and lists must hold
 * what their names promise. What is not goes into `damage`.
 */
export async function followReferences(
  store: BlobReader,
  policyName: string,
  snapshots: readonly ListedSnapshot[],
  damage: DamageBook,
  how: Cancel,
): Promise<References> {
  const listed = await inventory(store, policyName, how);
  const states = statesOf(snapshots);
  const needed = new Map<string, PackInfo & { states: SourceState[] }>();
  const small = new Map<string, number>();
  for (const state of states) {
    const { manifest, list } = state.source;
    if (!manifest || !list) continue;
    small.set(manifestKey(policyName, manifest.sha256), manifest.size);
    small.set(listKey(policyName, list.sha256), list.size);
    checkListed(listed, manifestKey(policyName, manifest.sha256), manifest.size, state, damage);
    if (!checkListed(listed, listKey(policyName, list.sha256), list.size, state, damage)) continue;
    for (const pack of await readList(store, policyName, list, state, damage, how)) {
      const known = needed.get(pack.sha256) ?? { ...pack, states: [] };
      known.states.push(state);
      needed.set(pack.sha256, known);
    }
  }
  const packs = [...needed.values()].map((pack): NeededPack => {
    const key = packKey(policyName, pack.sha256);
    const whole = pack.states.map((state) => checkListed(listed, key, pack.size, state, damage));
    return { ...pack, key, listed: whole.every((there) => there) };
  });
  const sizes = [...small.values(), ...packs.map(({ size }) => size)];
  return { states, packs, objects: sizes.length, objectBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Which snapshots and sources a captured state stands for. */
export function hurtBy(states: Iterable<SourceState>): { snapshot: string; source: string }[] {
  return [...states].flatMap(({ source, snapshots }) =>
    snapshots.map(({ record }) => ({ snapshot: record.id, source: source.name })),
  );
}

async function inventory(store: BlobReader, policyName: string, how: Cancel): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const prefix of [listsPrefix(policyName), manifestsPrefix(policyName), packsPrefix(policyName)]) {
    for await (const { key, size } of store.list(prefix, how)) sizes.set(key, size);
  }
  return sizes;
}

function statesOf(snapshots: readonly ListedSnapshot[]): SourceState[] {
  const states = new Map<string, { source: SourceRecord; snapshots: ListedSnapshot[] }>();
  for (const snapshot of snapshots) {
    for (const source of snapshot.record.sources) {
      if (!source.manifest || !source.list) continue;
      const key = [
        source.name,
        source.manifest.sha256,
        source.manifest.size,
        source.list.sha256,
        source.list.size,
      ];
      const state = states.get(key.join(" ")) ?? { source, snapshots: [] };
      state.snapshots.push(snapshot);
      states.set(key.join(" "), state);
    }
  }
  return [...states.values()];
}

function checkListed(
  listed: ReadonlyMap<string, number>,
  key: string,
  size: number,
  state: SourceState,
  damage: DamageBook,
): boolean {
  const found = listed.get(key);
  if (found === size) return true;
  const problem = found === undefined ? "is missing" : `has ${found} bytes and not ${size}`;
  damage.add(key, problem, hurtBy([state]));
  return false;
}

async function readList(
  store: BlobReader,
  policyName: string,
  list: { readonly sha256: string; readonly size: number },
  state: SourceState,
  damage: DamageBook,
  how: Cancel,
): Promise<PackInfo[]> {
  const key = listKey(policyName, list.sha256);
  try {
    return decodeList(await getExactly(store, key, list, MAX_LIST, how), list.sha256);
  } catch (error) {
    if (!isFailure(error, "store/missing", "data/damaged")) throw error;
    damage.add(key, error.message, hurtBy([state]));
    return [];
  }
}
