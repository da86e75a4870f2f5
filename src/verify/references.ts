import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { PackInfo } from "../pack/pack-table.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import { damagedNames } from "../snapshot/damaged.ts";
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

/** A pack, list or manifest that snapshots need. */
export interface NeededObject extends PackInfo {
  readonly key: string;
  readonly states: readonly SourceState[];
  /** Listed with its size. */
  readonly listed: boolean;
}
export type NeededPack = NeededObject;

/** Everything that snapshots refer to, looked for by name and size. */
export interface References {
  readonly states: readonly SourceState[];
  readonly packs: readonly NeededPack[];
  /** Lists and manifests. */
  readonly indexes: readonly NeededObject[];
  /** Marked as damaged by an earlier verify, and needed. */
  readonly marked: ReadonlySet<string>;
  /** Objects that were looked for, and their bytes. */
  readonly objects: number;
  readonly objectBytes: number;
}

/**
 * Follow records to manifests, lists and packs without a key: all must be listed with the right size, and lists must hold
 * what their names promise. What is not goes into `damage`, and so does what an earlier verify found damaged.
 */
export async function followReferences(
  store: BlobReader,
  policyName: string,
  snapshots: readonly ListedSnapshot[],
  damage: DamageBook,
  how: Cancel,
): Promise<References> {
  const stored = {
    listed: await inventory(store, policyName, how),
    marked: await damagedNames(store, policyName, how),
  };
  const states = statesOf(snapshots);
  const indexes = new Needed();
  const packs = new Needed();
  for (const state of states) {
    const { manifest, list } = state.source;
    if (!manifest || !list) continue;
    indexes.add(manifestKey(policyName, manifest.sha256), manifest, state);
    indexes.add(listKey(policyName, list.sha256), list, state);
    if (stored.listed.get(listKey(policyName, list.sha256)) !== list.size) continue;
    for (const pack of await readList(store, policyName, list, state, damage, how))
      packs.add(packKey(policyName, pack.sha256), pack, state);
  }
  const found = { indexes: indexes.lookedUp(stored, damage), packs: packs.lookedUp(stored, damage) };
  const all = [...found.indexes, ...found.packs];
  return {
    states,
    ...found,
    marked: new Set(all.map(({ sha256 }) => sha256).filter((sha256) => stored.marked.has(sha256))),
    objects: all.length,
    objectBytes: all.reduce((sum, { size }) => sum + size, 0),
  };
}

/** Objects by key and size, each with all the states that need it. */
class Needed {
  readonly #objects = new Map<string, PackInfo & { readonly key: string; readonly states: SourceState[] }>();

  add(key: string, { sha256, size }: PackInfo, state: SourceState): void {
    const known = this.#objects.get(`${key} ${size}`);
    if (known) known.states.push(state);
    else this.#objects.set(`${key} ${size}`, { key, sha256, size, states: [state] });
  }

  lookedUp(stored: Stored, damage: DamageBook): NeededObject[] {
    const objects = [...this.#objects.values()];
    return objects.map((object) => ({ ...object, listed: isThere(stored, object, damage) }));
  }
}

interface Stored {
  /** Size by key. */
  readonly listed: ReadonlyMap<string, number>;
  readonly marked: ReadonlySet<string>;
}

/** Whether it is listed with its size. */
function isThere(
  { listed, marked }: Stored,
  { key, sha256, size, states }: Omit<NeededObject, "listed">,
  damage: DamageBook,
): boolean {
  const found = listed.get(key);
  if (found !== size) {
    const problem = found === undefined ? "is missing" : `has ${found} bytes and not ${size}`;
    damage.add(key, problem, hurtBy(states), "listing");
    return false;
  }
  if (marked.has(sha256)) damage.add(key, "was found damaged by an earlier verify", hurtBy(states));
  return true;
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
