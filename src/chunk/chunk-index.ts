/**
 * Which pack holds a chunk: an open-addressing table of 36 bytes a chunk (32 of id, 4 of pack number) plus slots, so
 * that a million chunks cost about 45 MB and not the 200 MB of a Map of strings.
 */
export class ChunkIndex {
  #ids = Buffer.allocUnsafe(1024 * 32);
  #packs = new Uint32Array(1024);
  #slots = new Int32Array(2048).fill(-1);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** The pack number of a chunk, or undefined. `id` is 32 bytes. */
  get(id: Uint8Array): number | undefined {
    const at = this.#slots[this.#find(id)] as number;
    return at < 0 ? undefined : this.#packs[at];
  }

  /** Remember where a chunk lies; a later place replaces an earlier one. */
  set(id: Uint8Array, pack: number): void {
    const slot = this.#find(id);
    const at = this.#slots[slot] as number;
    if (at >= 0) {
      this.#packs[at] = pack;
      return;
    }
    if (this.#count === this.#packs.length) this.#grow();
    this.#ids.set(id, this.#count * 32);
    this.#packs[this.#count] = pack;
    this.#slots[this.#find(id)] = this.#count;
    this.#count++;
  }

  /** The slot that holds `id`, or the free one where it would go. */
  #find(id: Uint8Array): number {
    const mask = this.#slots.length - 1;
    // A SHA-256 is uniform: its first bytes are hash enough.
    let slot =
      ((id[0] as number) | ((id[1] as number) << 8) | ((id[2] as number) << 16) | ((id[3] as number) << 24)) &
      mask;
    for (;;) {
      const at = this.#slots[slot] as number;
      if (at < 0 || this.#same(at, id)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #same(at: number, id: Uint8Array): boolean {
    return this.#ids.compare(id, 0, 32, at * 32, at * 32 + 32) === 0;
  }

  #grow(): void {
    const ids = Buffer.allocUnsafe(this.#ids.length * 2);
    this.#ids.copy(ids);
    this.#ids = ids;
    const packs = new Uint32Array(this.#packs.length * 2);
    packs.set(this.#packs);
    this.#packs = packs;
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1);
    for (let at = 0; at < this.#count; at++)
      this.#slots[this.#find(this.#ids.subarray(at * 32, at * 32 + 32))] = at;
  }
}
