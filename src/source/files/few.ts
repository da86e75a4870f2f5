import { shownHostPath } from "./shown-path.ts";

/** Of a path in a sentence. Characters. */
const SHOWN = 200;

/** Counts paths and keeps the first few: `/a, /b and 7 more`. */
export class Few {
  readonly #most: number;
  readonly #first: Buffer[] = [];
  count = 0;

  constructor(most = 5) {
    this.#most = most;
  }

  /** `path` is raw and relative to `/`. */
  add(path: Uint8Array): void {
    if (this.count++ < this.#most) this.#first.push(Buffer.from(path));
  }

  get first(): readonly Buffer[] {
    return this.#first;
  }

  toString(): string {
    const more = this.count - this.#first.length;
    return this.#first.map(shortPath).join(", ") + (more > 0 ? ` and ${more} more` : "");
  }
}

/** As `shownHostPath`, cut where it is very long. */
export function shortPath(raw: Uint8Array): string {
  const path = shownHostPath(raw);
  return path.length > SHOWN ? `${path.slice(0, SHOWN)}…` : path;
}
