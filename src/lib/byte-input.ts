/** A byte stream read by counts: pulled one buffer at a time, and handed out as views of it where they fit. */
export class ByteInput {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #tooShort: () => Error;
  #held: Buffer = Buffer.alloc(0);
  #at = 0;
  #ended = false;

  /** @param tooShort what to throw when the stream ends before what is asked for */
  constructor(stream: AsyncIterable<Uint8Array>, tooShort: () => Error) {
    this.#source = stream[Symbol.asyncIterator]();
    this.#tooShort = tooShort;
  }

  /** Exactly `size` bytes; a view when one buffer holds them all. Throws when the stream ends before. */
  async take(size: number): Promise<Buffer> {
    if (this.#held.length - this.#at < size) return this.#gather(size);
    this.#at += size;
    return this.#held.subarray(this.#at - size, this.#at);
  }

  /** What is at hand, at least one byte and at most `most`. Throws at the end of the stream. */
  async some(most: number): Promise<Buffer> {
    if (this.#at === this.#held.length && !(await this.hasMore())) throw this.#tooShort();
    const from = this.#at;
    this.#at = Math.min(this.#held.length, from + most);
    return this.#held.subarray(from, this.#at);
  }

  /** The next `size` bytes as views, each valid until the next one is pulled. Throws when the stream ends before. */
  async *pieces(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; ) {
      const piece = await this.some(left);
      left -= piece.length;
      yield piece;
    }
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0; ) left -= (await this.some(left)).length;
  }

  /** Whether there is another byte, for which the next buffer is waited for. */
  async hasMore(): Promise<boolean> {
    while (this.#at === this.#held.length && !this.#ended) await this.#pull();
    return this.#at < this.#held.length;
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
      return;
    }
    const { buffer, byteOffset, byteLength } = next.value;
    this.#held = Buffer.from(buffer, byteOffset, byteLength);
    this.#at = 0;
  }
}
