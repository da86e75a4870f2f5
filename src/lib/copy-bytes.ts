/**
 * Copy all of `source` to `at` in `target`, which must have the room, into shared memory too: there `set` and `copy` go word
 * by word (they must not tear), at a third of the speed, while filling with a buffer is one memcpy in node.
 */
export function copyBytes(source: Uint8Array, target: Buffer, at: number): void {
  if (at + source.length > target.length)
    throw new RangeError(`${source.length} bytes do not fit at ${at} of ${target.length}`);
  if (source.length > 0) target.fill(source, at, at + source.length);
}
