import { statfs } from "node:fs/promises";
import type { Space } from "../lib/space.ts";
import type { StorePolicy } from "../policy/schema.ts";

/** Of the file system that a directory store lies on; undefined for a server, and where it cannot be known. */
export async function storeSpace(store: StorePolicy): Promise<Space | undefined> {
  if (!("directory" in store)) return undefined;
  try {
    const { bsize, blocks, bfree, bavail } = await statfs(store.directory);
    const total = (blocks - bfree + bavail) * bsize;
    return total > 0 ? { where: `the store ${store.directory}`, free: bavail * bsize, total } : undefined;
  } catch {
    return undefined; // told by whoever opens the store
  }
}
