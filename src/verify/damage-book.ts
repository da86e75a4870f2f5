/** Something in the store that is not as a snapshot needs it. */
export interface Damage {
  /** The object's name in the store. */
  readonly key: string;
  readonly problem: string;
  /** Ids of the snapshots that need it. */
  readonly snapshots: readonly string[];
  /** Names of the sources that need it. */
  readonly sources: readonly string[];
  /** It is listed with its size all the same: no listing tells the next backup. */
  readonly isHidden: boolean;
}

/** Collects damage, one entry an object, the first problem that was found of it. */
export class DamageBook {
  readonly #found = new Map<
    string,
    { problem: string; isHidden: boolean; snapshots: Set<string>; sources: Set<string> }
  >();

  /** @param seen `listing` when names and sizes tell */
  add(
    key: string,
    problem: string,
    hurts: Iterable<{ readonly snapshot: string; readonly source?: string }>,
    seen: "bytes" | "listing" = "bytes",
  ): void {
    const isHidden = seen === "bytes";
    const entry = this.#found.get(key) ?? { problem, isHidden, snapshots: new Set(), sources: new Set() };
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
      .map(([key, { problem, isHidden, snapshots, sources }]) => {
        return { key, problem, snapshots: [...snapshots], sources: [...sources], isHidden };
      });
  }

  /** Ids of all snapshots that something is wrong with. */
  hurtSnapshots(): ReadonlySet<string> {
    return new Set([...this.#found.values()].flatMap(({ snapshots }) => [...snapshots]));
  }
}
