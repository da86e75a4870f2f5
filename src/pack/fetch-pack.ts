import { setFlagsFromString } from "node:v8";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { PACK_BUFFER_SIZE } from "./pack-buffer.ts";
import type { PackInfo } from "./pack-table.ts";

/**
 * Memory for one pack on its way in: it is fetched into it, opened in it by a worker thread, and read from it. Shared and
 * used again, since memory that comes and goes by the gigabyte keeps the collector and the kernel busier than the packs.
 */
export function newPackSlot(): SharedArrayBuffer {
  // Pieces of packs come and go by the thousand, and each 64 MiB of them would start a full collection.
  setFlagsFromString("--heap-growing-percent=300");
  return new SharedArrayBuffer(PACK_BUFFER_SIZE);
}

/**
 * Get a stored pack into the end of a slot, where it can be unpacked over itself; answers the view of it, not looked at yet.
 *
 * @param key where it lies
 * @throws DropsError data/damaged when it has another size than expected; store failures
 */
export async function fetchPack(
  store: BlobReader,
  key: string,
  { size }: PackInfo,
  slot: SharedArrayBuffer,
  how: Cancel,
): Promise<Uint8Array> {
  if (size > slot.byteLength)
    throw new DropsError("data/damaged", `${key} would have ${size} bytes, more than any pack has`);
  const into = new Uint8Array(slot, slot.byteLength - size);
  const bytes = await store.get(key, { ...how, maxSize: size, into });
  if (bytes.length !== size) {
    throw new DropsError("data/damaged", `${key} has ${bytes.length} bytes and not ${size}`);
  }
  if (bytes.buffer !== slot) into.set(bytes);
  return into;
}
