/** A snapshot as its name in the store tells it: nothing was read, so nothing is proven. */
export interface RecalledSnapshot {
  readonly id: string;
  /** UTC, as 20261123T023000Z. */
  readonly ended: string;
  /** Its name alone says that it is taken by its id, and not by its date. */
  readonly isHeld: boolean;
}
