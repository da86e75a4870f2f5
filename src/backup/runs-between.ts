import { ByteInput } from "../lib/byte-input.ts";
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
  const input = new ByteInput(data, () => new RangeError("the data ended"));
  let at = 0;
  for (const hole of holes) {
    yield { run: upTo(hole.offset - at, input), hole };
    at = hole.offset + hole.size;
  }
  yield { run: upTo(Number.POSITIVE_INFINITY, input), hole: undefined };
}

/** The next `size` bytes, or as many as there are. */
async function* upTo(size: number, input: ByteInput): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0 && (await input.hasMore()); ) {
    const piece = await input.some(left);
    left -= piece.length;
    yield piece;
  }
}
