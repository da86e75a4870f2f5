/** Something in the store that is not as a snapshot needs it. */
export interface Damage {
  /** The object's name in the store. */
  readonly key: string;
  readonly problem: string;
  /** Ids of the snapshots that need it. */
  readonly snapshots: readonly string[];
  /** Names of the sources that need it. */
  readonly sources: readonly string[];
}

/** Collects damage, one entry an object, the first problem that was found of it. */
export class DamageBook {
  readonly #found = new Map<string, { problem: string; snapshots: Set<string>; sources: Set<string> }>();

  add(
    key: string,
    problem: string,
    hurts: Iterable<{ readonly snapshot: string; readonly source?: string }>,
  ): void {
    const entry = this.#found.get(key) ?? { problem, snapshots: new Set(), sources: new Set() };
    for (const { snapshot, source } of hurts) {
      entry.snapshots.add(snapshot);
      if (source !== undefined) entry.sources.add(source);
    }
    this.#found.set(key, entry);
  }

  /** By key. */
  list(): Damage[] {
    return [...this.#found]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { problem, snapshots, sources }]) => {
        return { key, problem, snapshots: [...snapshots], sources: [...sources] };
      });
  }

  /** Ids of all snapshots that something is wrong with. */
  hurtSnapshots(): ReadonlySet<string> {
    return new Set([...this.#found.values()].flatMap(({ snapshots }) => [...snapshots]));
  }
}
