import { link, mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { DropsError, systemCode } from "../lib/errors.ts";
import { ownDirectory } from "../lib/own-directory.ts";
import { syncDirectory } from "../lib/write-whole.ts";

export interface NewFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  /** 0600 instead of 0644. */
  readonly secret: boolean;
}

/**
 * All files appear in `directory`, on disk, or none does. Complete files in a place of their own first; each is then linked
 * to its name, which cannot overwrite.
 *
 * @throws DropsError safety/refused, with `hint`, when one of them exists already; when another user could swap a
 * directory that secrets are written to
 */
export async function writeAllOrNone(
  directory: string,
  files: readonly NewFile[],
  hint: string,
): Promise<void> {
  const placed: string[] = [];
  if (files.some(({ secret }) => secret))
    await ownDirectory(directory, { make: 0o700, instead: "give a directory of your own" });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const drafts = await mkdtemp(join(directory, ".keygen-"));
  const draftOf = (file: NewFile): string => join(drafts, basename(file.path));
  try {
    for (const file of files) await writeNew(draftOf(file), file);
    for (const file of files) {
      await link(draftOf(file), file.path);
      placed.push(file.path);
    }
    await syncDirectory(directory); // keys that a power cut takes back are lost keys
  } catch (error) {
    for (const path of placed) await rm(path, { force: true });
    throw asRefusal(error, hint);
  } finally {
    await rm(drafts, { recursive: true, force: true });
  }
}

async function writeNew(path: string, file: NewFile): Promise<void> {
  await using handle = await open(path, "wx", file.secret ? 0o600 : 0o644);
  await handle.writeFile(file.text);
  await handle.sync();
}

function asRefusal(error: unknown, hint: string): unknown {
  if (systemCode(error) !== "EEXIST") return error;
  const { dest: path = "a file" } = error as { readonly dest?: string }; // link names it so
  return new DropsError("safety/refused", `${path} exists already: drops does not overwrite it`, {
    hint,
    cause: error,
  });
}
