import { ChunkIndex } from "../chunk/chunk-index.ts";
import { DropsError } from "../lib/errors.ts";
import type { ChunkRef } from "../snapshot/entry.ts";

/**
 * Every chunk that a restore needs, numbered, with the pack that it is taken from and how often it is needed: about 80
 * bytes a chunk. A chunk that several packs hold is taken from the first one named.
 */
export class ChunkLedger {
  readonly #index = new ChunkIndex();
  readonly #packs: number[] = [];
  readonly #sizes: number[] = [];
  readonly #uses: number[] = [];
  readonly #perPack = new Map<number, number>();

  get length(): number {
    return this.#packs.length;
  }

  /** One more use of a chunk; answers its number. Throws data/damaged when it was named with another size before. */
  need({ id, pack, size }: ChunkRef): number {
    const key = Buffer.from(id, "hex");
    const known = this.#index.get(key);
    if (known !== undefined) {
      if (this.#sizes[known] !== size)
        throw new DropsError("data/damaged", `chunk ${id} is given two sizes by the same manifest`);
      this.#uses[known] = this.usesOf(known) + 1;
      return known;
    }
    const number = this.#packs.push(pack) - 1;
    this.#index.set(key, number);
    this.#sizes.push(size);
    this.#uses.push(1);
    this.#perPack.set(pack, this.neededFrom(pack) + 1);
    return number;
  }

  /** The number of a chunk, or undefined when nothing needs it. `id` is hex. */
  find(id: string): number | undefined {
    return this.#index.get(Buffer.from(id, "hex"));
  }

  /** Take a chunk from another pack than the one named first. */
  move(chunk: number, pack: number): void {
    const before = this.packOf(chunk);
    this.#perPack.set(before, this.neededFrom(before) - 1);
    this.#packs[chunk] = pack;
    this.#perPack.set(pack, this.neededFrom(pack) + 1);
  }

  packOf(chunk: number): number {
    return this.#packs[chunk] as number;
  }

  sizeOf(chunk: number): number {
    return this.#sizes[chunk] as number;
  }

  /** How often it is needed in all. */
  usesOf(chunk: number): number {
    return this.#uses[chunk] as number;
  }

  /** How many chunks are taken from this pack. */
  neededFrom(pack: number): number {
    return this.#perPack.get(pack) ?? 0;
  }
}
