import { type FileHandle, open } from "node:fs/promises";
import { DropsError } from "../lib/errors.ts";

/** A file of keys is a page; a larger one is something else. Bytes. */
const MAX_KEY_FILE = 1024 * 1024;

/** Who may not have any access to a file that holds a secret, as bits of its mode. */
export const NOT_FOR_OTHERS = 0o007;
export const NOT_FOR_GROUP_AND_OTHERS = 0o077;

/**
 * The text of a file that holds a secret. `what` names its kind, as in "identity file".
 *
 * @throws DropsError key/missing when it is not there or cannot be read, key/wrong when its mode has any bit of
 * `forbidden` or it is no file of a sane size
 */
export async function readKeyFile(path: string, what: string, forbidden: number): Promise<string> {
  const handle = await open(path).catch((cause: NodeJS.ErrnoException) => {
    const absent = cause.code === "ENOENT";
    throw new DropsError("key/missing", `${what} ${path} ${absent ? "does not exist" : "cannot be read"}`, {
      hint: absent
        ? "drops keygen --to DIRECTORY makes keys"
        : `run as a user that may read it: ls -l ${path}`,
      cause,
    });
  });
  try {
    return await readPrivately(handle, path, what, forbidden);
  } finally {
    await handle.close();
  }
}

async function readPrivately(
  handle: FileHandle,
  path: string,
  what: string,
  forbidden: number,
): Promise<string> {
  const stat = await handle.stat();
  if (stat.isDirectory()) throw new DropsError("key/wrong", `${what} ${path} is a directory`);
  if (stat.isFile() && (stat.mode & forbidden) !== 0) {
    throw new DropsError("key/wrong", `${what} ${path} is open to other users`, {
      hint: `chmod 600 ${path}`,
    });
  }
  if (stat.size > MAX_KEY_FILE) throw new DropsError("key/wrong", `${what} ${path} is too large to be one`);
  return handle.readFile("utf8");
}
