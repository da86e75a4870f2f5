import type { Cancel } from "../lib/cancel.ts";
import type { PackInfo } from "../pack/pack-table.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { type Inventory, takeInventory } from "../snapshot/references.ts";
import { objectKey, type StoredObject, storedKey } from "../snapshot/stored-objects.ts";
import type { BlobReader } from "../store/blob-store.ts";
import type { DamageBook } from "./damage-book.ts";

/** One captured state of a source; several snapshots share it when nothing changed. */
export interface SourceState {
  readonly source: SourceRecord;
  readonly snapshots: readonly ListedSnapshot[];
}

/** A pack, list or manifest that snapshots need. */
export interface NeededObject extends PackInfo {
  readonly key: string;
  readonly kind: StoredObject["kind"];
  readonly states: readonly SourceState[];
  /** Listed with its size. */
  readonly listed: boolean;
}

/** Everything that snapshots refer to, checked by name and size. */
export interface NeededObjects {
  readonly states: readonly SourceState[];
  readonly packs: readonly NeededObject[];
  /** Lists and manifests. */
  readonly indexes: readonly NeededObject[];
  /** Hashes of objects that an earlier verify found damaged. */
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
): Promise<NeededObjects> {
  const records = snapshots.map(({ record }) => record);
  const inventory = await takeInventory(store, policyName, records, how);
  const states = statesOf(snapshots);
  const needed = new Needed(policyName);
  for (const state of states) {
    const { manifest, list } = state.source;
    if (!manifest || !list) continue;
    needed.add("manifest", manifest, state);
    needed.add("list", list, state);
    if (listedSize(inventory, "list", list) !== list.size) continue;
    const read = inventory.references.list(list.sha256);
    if (read.state === "read") for (const pack of read.packs) needed.add("pack", pack, state);
    else
      damage.add(
        storedKey(policyName, { kind: "list", name: list.sha256 }),
        problemOf(read),
        hurtBy([state]),
      );
  }
  const all = needed.lookedUp(inventory, damage);
  return {
    states,
    packs: all.filter(({ kind }) => kind === "pack"),
    indexes: all.filter(({ kind }) => kind !== "pack"),
    marked: inventory.damaged,
    objects: all.length,
    objectBytes: all.reduce((sum, { size }) => sum + size, 0),
  };
}

function problemOf(
  read: { readonly state: "missing" } | { readonly state: "unreadable"; readonly why: string },
) {
  return read.state === "missing" ? "vanished while it was to be read" : read.why;
}

/** Objects by name and size, each with all the states that need it. */
class Needed {
  readonly #policyName: string;
  readonly #objects = new Map<string, Omit<NeededObject, "listed"> & { readonly states: SourceState[] }>();

  constructor(policyName: string) {
    this.#policyName = policyName;
  }

  add(kind: StoredObject["kind"], { sha256, size }: PackInfo, state: SourceState): void {
    const id = `${objectKey({ kind, name: sha256 })} ${size}`;
    const known = this.#objects.get(id);
    if (known) known.states.push(state);
    else {
      const key = storedKey(this.#policyName, { kind, name: sha256 });
      this.#objects.set(id, { key, kind, sha256, size, states: [state] });
    }
  }

  lookedUp(inventory: Inventory, damage: DamageBook): NeededObject[] {
    const objects = [...this.#objects.values()];
    return objects.map((object) => ({ ...object, listed: isThere(inventory, object, damage) }));
  }
}

/** Whether it is listed with its size. */
function isThere(inventory: Inventory, object: Omit<NeededObject, "listed">, damage: DamageBook): boolean {
  const { key, kind, sha256, size, states } = object;
  const found = listedSize(inventory, kind, object);
  if (found !== size) {
    const problem = found === undefined ? "is missing" : `has ${found} bytes and not ${size}`;
    damage.add(key, problem, hurtBy(states), "listing");
    return false;
  }
  if (inventory.damaged.has(sha256))
    damage.add(key, "was found damaged by an earlier verify", hurtBy(states));
  return true;
}

function listedSize(
  { stored }: Inventory,
  kind: StoredObject["kind"],
  { sha256 }: PackInfo,
): number | undefined {
  return stored.objects.get(objectKey({ kind, name: sha256 }))?.size;
}

/** Which snapshots and sources a captured state stands for. */
export function hurtBy(states: Iterable<SourceState>): { snapshot: string; source: string }[] {
  return [...states].flatMap(({ source, snapshots }) =>
    snapshots.map(({ record }) => ({ snapshot: record.id, source: source.name })),
  );
}

function statesOf(snapshots: readonly ListedSnapshot[]): SourceState[] {
  const states = new Map<string, { source: SourceRecord; snapshots: ListedSnapshot[] }>();
  for (const snapshot of snapshots) {
    for (const source of snapshot.record.sources) {
      const { name, manifest, list } = source;
      if (!manifest || !list) continue;
      const key = [name, manifest.sha256, manifest.size, list.sha256, list.size].join(" ");
      const state = states.get(key) ?? { source, snapshots: [] };
      state.snapshots.push(snapshot);
      states.set(key, state);
    }
  }
  return [...states.values()];
}
