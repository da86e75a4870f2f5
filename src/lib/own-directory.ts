import type { Stats } from "node:fs";
import { lstat, mkdir, readlink } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { DropsError, systemCode } from "./errors.ts";

/** As the kernel, which gives up on a longer chain. */
const MOST_LINKS = 40;
const STICKY = 0o1000;
const WRITTEN_BY_GROUP = 0o020;
const WRITTEN_BY_ALL = 0o002;

interface OwnHow {
  readonly make?: number;
  readonly instead: string;
  readonly uid?: number;
  readonly isFile?: boolean;
}

/**
 * The real path of a directory that nobody but root and the caller can put something else in place of: everything on the
 * way, symlinks included, belongs to one of the two, and no other user may rename in it. It is looked at from the root
 * down, so that what was looked at once stays as it is; work below the answer is then safe by name, without handles.
 *
 * @param how `make`: the mode that missing directories are made with; without it they are an error. `instead`: what else
 * the operator can do, for the hint. `uid`: of the caller; default: the user of this process
 * @throws DropsError safety/refused when another user could; usage/invalid when there is no such directory, or none can be
 * made
 */
export async function ownDirectory(path: string, how: OwnHow): Promise<string> {
  try {
    return await walk(path, how);
  } catch (cause) {
    if (cause instanceof DropsError || systemCode(cause) === undefined) throw cause;
    const what = `cannot use the directory ${path}: ${systemCode(cause)}`;
    throw new DropsError("usage/invalid", what, { hint: how.instead, cause });
  }
}

/** The same for a file, which nobody else may write either. Throws as `ownDirectory`. */
export async function ownFile(path: string, how: { readonly instead: string }): Promise<string> {
  return await ownDirectory(path, { ...how, isFile: true });
}

async function walk(path: string, how: OwnHow): Promise<string> {
  const uid = how.uid ?? process.geteuid?.() ?? -1;
  const rest = stepsOf(resolve(path));
  let at = "/";
  let links = 0;
  refuseOthers(at, await lstat(at), uid, how.instead);
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const next = join(at, name); // "..", from a symlink, too: what is above was looked at
    const found = await lookAt(next, how.make);
    refuseOthers(next, found, uid, how.instead);
    if (found.isSymbolicLink() && ++links <= MOST_LINKS) {
      const target = await readlink(next);
      rest.unshift(...stepsOf(target));
      if (isAbsolute(target)) at = "/";
    } else {
      requireKind(next, found, how, rest.length === 0);
      at = next;
    }
  }
  return at;
}

function requireKind(path: string, found: Stats, { isFile, instead }: OwnHow, isLast: boolean): void {
  if (found.isDirectory() || (isFile && isLast && found.isFile())) return;
  throw new DropsError("usage/invalid", `${path} is not a directory`, { hint: instead });
}

function stepsOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

async function lookAt(path: string, make: number | undefined): Promise<Stats> {
  try {
    return await lstat(path);
  } catch (error) {
    if (make === undefined || systemCode(error) !== "ENOENT") throw error;
    await mkdir(path, { mode: make }).catch((cause: unknown) => {
      if (systemCode(cause) !== "EEXIST") throw cause; // somebody was faster: whose it is, is looked at
    });
    return await lstat(path);
  }
}

function refuseOthers(path: string, found: Stats, uid: number, instead: string): void {
  const isOwn = found.uid === 0 || found.uid === uid;
  if (isOwn && (found.isSymbolicLink() || !isOpen(found, uid))) return;
  const why = isOwn
    ? `${path} can be written by other users`
    : `${path} belongs to another user (number ${found.uid})`;
  const mend = isOwn ? `chmod go-w ${path}` : `chown -h root: ${path}; chmod go-w ${path}`;
  const canMend = uid === 0 || found.uid === uid;
  throw new DropsError("safety/refused", `${why}, who could replace it`, {
    hint: canMend ? `${mend}; or ${instead}` : instead,
  });
}

/** In a sticky directory everybody may make names, and nobody may touch those of others. */
function isOpen({ mode, gid }: Stats, uid: number): boolean {
  if ((mode & STICKY) !== 0) return false;
  // many systems give every user a group of the same number, and its home to that group
  const isPrivateGroup = uid !== 0 && gid === uid;
  return (mode & WRITTEN_BY_ALL) !== 0 || ((mode & WRITTEN_BY_GROUP) !== 0 && !isPrivateGroup);
}
