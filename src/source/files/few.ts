import { shownPath } from "./shown-path.ts";

/** Of a path in a sentence. Characters. */
const SHOWN = 200;

/** Counts paths and keeps the first few: `/a, /b and 7 more`. */
export class Few {
  readonly #most: number;
  readonly #names: string[] = [];
  count = 0;

  constructor(most = 5) {
    this.#most = most;
  }

  /** `path` is raw and relative to `/`. */
  add(path: Uint8Array): void {
    if (this.count++ < this.#most) this.#names.push(shortened(shownPath(path)));
  }

  toString(): string {
    const more = this.count - this.#names.length;
    return this.#names.join(", ") + (more > 0 ? ` and ${more} more` : "");
  }
}

function shortened(path: string): string {
  return path.length > SHOWN ? `${path.slice(0, SHOWN)}…` : path;
}
