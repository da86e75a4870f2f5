import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";

/**
 * Write a file that is visible whole or not at all, also after a power cut, over whatever had its name. Its temporary name is none that anybody collects.
 * Throws what the file system says, and leaves nothing.
 *
 * @param mode of the file, whatever the umask
 */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  { mode = 0o644 } = {},
): Promise<void> {
  const partial = `${path}.${randomBytes(4).toString("hex")}.partial`;
  try {
    await using file = await open(partial, "wx", mode);
    await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** What was made, renamed or removed in a directory is durable once that is synced, not before. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await directory.sync();
}
