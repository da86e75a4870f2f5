import type { ChunkRef, Hole, ManifestEntry } from "./entry.ts";

type Content = Pick<ManifestEntry, "chunks" | "holes">;

/** Shorter ones are zeros in chunks like any other: a hole ends a chunk, and every chunk costs its line. Bytes. */
export const MIN_HOLE = 256 * 1024;

/** The chunks of a file and its holes, each with its place, in order; what the place of a hole contradicts comes last. */
export function* piecesOf({
  chunks,
  holes = [],
}: Content): Generator<
  | { readonly at: number; readonly chunk: ChunkRef; readonly hole?: never }
  | { readonly at: number; readonly chunk?: never; readonly hole: Hole }
> {
  let at = 0;
  let next = 0;
  const holeHere = () => (holes[next]?.offset === at ? holes[next++] : undefined);
  for (const chunk of chunks) {
    for (let hole = holeHere(); hole; hole = holeHere()) {
      yield { at, hole };
      at += hole.size;
    }
    yield { at, chunk };
    at += chunk.size;
  }
  for (const hole of holes.slice(next)) {
    yield { at, hole };
    at += hole.size;
  }
}

/** How long the chunks and holes are together. */
export function contentSize({ chunks, holes = [] }: Content): number {
  return sum(chunks) + sum(holes);
}

function sum(pieces: readonly { readonly size: number }[]): number {
  return pieces.reduce((total, { size }) => total + size, 0);
}
