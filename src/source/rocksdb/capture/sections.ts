import { DropsError } from "../../../lib/errors.ts";

/** A stream of several files, one after the other, whose sizes are known. */
export class Sections {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** The next `size` bytes as views. Throws host/command-failed when the stream ends before. */
  async *take(size: number): AsyncGenerator<Buffer> {
    let left = size;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#pull())) {
        throw new DropsError("host/command-failed", "reading the frozen logs: the stream ended early");
      }
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async hasMore(): Promise<boolean> {
    return this.#rest.length > 0 || this.#pull();
  }

  /** Read no more: a command that is still writing shall notice. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #pull(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#rest = next.value;
    return this.#rest.length > 0 || this.#pull();
  }
}
