import type { Hole } from "../snapshot/entry.ts";

/**
 * A file's data in the runs that lie before, between and behind its holes, each to be read to its end before the next one.
 * What `data` yields is handed on as views of it.
 */
export function* runsBetween(
  holes: readonly Hole[],
  data: AsyncIterable<Uint8Array>,
): Generator<{ readonly run: AsyncIterable<Uint8Array>; readonly hole: Hole | undefined }> {
  if (holes.length === 0) return yield { run: data, hole: undefined };
  const cut = new CutStream(data);
  let at = 0;
  for (const hole of holes) {
    yield { run: cut.take(hole.offset - at), hole };
    at = hole.offset + hole.size;
  }
  yield { run: cut.take(Number.POSITIVE_INFINITY), hole: undefined };
}

class CutStream {
  readonly #data: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array();

  constructor(data: AsyncIterable<Uint8Array>) {
    this.#data = data[Symbol.asyncIterator]();
  }

  async *take(size: number): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; ) {
      if (this.#held.length === 0) {
        const next = await this.#data.next();
        if (next.done) return;
        this.#held = next.value;
      }
      const piece = this.#held.subarray(0, left);
      this.#held = this.#held.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }
}
