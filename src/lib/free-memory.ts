/**
 * Give back the memory under a large view now, and not when the collector comes by: it does not know how much hangs on a
 * small object. Every view of that memory is empty afterwards, so call it only on memory that is yours alone.
 */
export function freeMemory({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
