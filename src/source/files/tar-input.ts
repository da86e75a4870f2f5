import { DropsError } from "../../lib/errors.ts";

/** A byte stream read by counts: pulled one buffer at a time, and handed out as views of it where they fit. */
export class TarInput {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);
  #at = 0;
  #ended = false;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#source = stream[Symbol.asyncIterator]();
  }

  /** Exactly `size` bytes; a view when one buffer holds them all. Throws data/damaged when the stream ends before. */
  async take(size: number): Promise<Buffer> {
    if (this.#held.length - this.#at < size) return this.#gather(size);
    this.#at += size;
    return this.#held.subarray(this.#at - size, this.#at);
  }

  /** What is at hand, at least one byte and at most `most`. Throws data/damaged at the end of the stream. */
  async some(most: number): Promise<Buffer> {
    while (this.#at === this.#held.length) await this.#pull();
    const from = this.#at;
    this.#at = Math.min(this.#held.length, from + most);
    return this.#held.subarray(from, this.#at);
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0; ) left -= (await this.some(left)).length;
  }

  /** Read whatever follows to the end, so that the one who writes is not cut off. */
  async drain(): Promise<void> {
    this.#at = this.#held.length;
    while (!(await this.#source.next()).done) {}
    this.#ended = true;
  }

  /** Tell the source that no more is wanted. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
  }

  async #gather(size: number): Promise<Buffer> {
    const whole = Buffer.allocUnsafe(size);
    for (let filled = 0; filled < size; ) {
      const piece = await this.some(size - filled);
      piece.copy(whole, filled);
      filled += piece.length;
    }
    return whole;
  }

  async #pull(): Promise<void> {
    const next = await this.#source.next();
    if (next.done) {
      this.#ended = true;
      throw new DropsError("data/damaged", "a tar stream ended before its trailer");
    }
    const { buffer, byteOffset, byteLength } = next.value;
    this.#held = Buffer.from(buffer, byteOffset, byteLength);
    this.#at = 0;
  }
}
