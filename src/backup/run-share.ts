import type { ListedSnapshot } from "../snapshot/catalog.ts";
import { newestOf } from "./source-base.ts";

/** How far along a run is, by the size that each of its sources had in its newest success. */
export class RunShare {
  readonly #sizes = new Map<string, number | undefined>();
  readonly #total: number;
  #behind = 0;

  /** `snapshots` oldest first; `sources` are names. */
  constructor(snapshots: readonly ListedSnapshot[], sources: readonly string[]) {
    for (const name of sources) this.#sizes.set(name, newestOf(snapshots, name).success?.bytes);
    // of a source that no snapshot holds nothing is known: NaN, and so is every share of it
    this.#total = [...this.#sizes.values()].reduce<number>((sum, size) => sum + (size ?? Number.NaN), 0);
  }

  /**
   * The share, above 0 and at most 1, that is behind when `bytes` of `source` were read or carried over. Undefined when that is not
   * known: a source is new, or has grown beyond what it was.
   */
  at(source: string, bytes: number): number | undefined {
    const share = (this.#behind + bytes) / this.#total;
    const hasGrown = bytes > (this.#sizes.get(source) ?? 0);
    return share > 0 && share <= 1 && !hasGrown ? share : undefined;
  }

  /** What comes next belongs to another source. */
  finish(source: string): void {
    this.#behind += this.#sizes.get(source) ?? 0;
  }
}
