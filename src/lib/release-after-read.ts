import { freeMemory } from "./free-memory.ts";

/**
 * Passes on what a command says, for a reader that is done with each piece when it asks for the next: a piece's memory is
 * given back then, and not when the collector comes by, which lets tens of megabytes of them gather. Never for a reader that
 * keeps pieces.
 */
export async function* releaseAfterRead(output: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const piece of output as AsyncIterable<Uint8Array>) {
    yield piece;
    // Small ones may share the memory of node's pool with others.
    if (piece.length * 2 > piece.buffer.byteLength) freeMemory(piece);
  }
}
