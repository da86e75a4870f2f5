/** A pack as the store knows it: its name is the SHA-256 of its bytes. */
export interface PackInfo {
  readonly sha256: string;
  /** Stored bytes. */
  readonly size: number;
}

/**
 * Numbers for packs, so that a chunk reference costs four bytes and not a hash. A pack under construction has a number
 * before it has a name.
 */
export class PackTable {
  readonly #packs: (PackInfo | undefined)[] = [];
  readonly #numbers = new Map<string, number>();

  get length(): number {
    return this.#packs.length;
  }

  /** The number of a named pack, given when it is first met. */
  intern(pack: PackInfo): number {
    const known = this.#numbers.get(pack.sha256);
    if (known !== undefined) return known;
    this.#numbers.set(pack.sha256, this.#packs.length);
    return this.#packs.push(pack) - 1;
  }

  /** A number for a pack that is not sealed yet. */
  reserve(): number {
    return this.#packs.push(undefined) - 1;
  }

  /** Name a reserved pack, once it is in the store. */
  name(number: number, pack: PackInfo): void {
    this.#packs[number] = pack;
    this.#numbers.set(pack.sha256, number);
  }

  /** Undefined while the pack is under construction. */
  get(number: number): PackInfo | undefined {
    return this.#packs[number];
  }
}
