import { createHash, randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  unlink,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { DropsError, systemCode } from "../lib/errors.ts";
import { syncDirectory } from "../lib/write-whole.ts";
import type { BlobInfo, BlobStore, PutHow } from "./blob-store.ts";
import { assertSafeKey, checkSha256, locksNothing, missing, taken, tooLarge } from "./check-bytes.ts";
import { fileFailure, notThere } from "./file-failure.ts";
import { isSafeKey } from "./keys.ts";

/** Where blobs are written before they get their name. `+` is in no key, so nothing in it is ever listed. */
const INCOMING = "+incoming";
const OWN_NAME = /^[0-9a-f]{32}$/;
/** A file in there that is older was left by a run that was killed. */
const STALE_MS = 24 * 60 * 60 * 1000;
const READ_AT_ONCE = 8 * 1024 * 1024;
const HASHED_AT_ONCE = 1024 * 1024;

/**
 * A repository in a directory of a file system with hard links, or (with a weaker promise against two writers of one key)
 * one without. Directories are made 0700 and files 0600. Symlinks below the directory are never followed.
 *
 * `create` makes the directory. Throws store/unavailable when it is not there, store/refused when it may not be used.
 */
export async function openDirectoryStore(
  path: string,
  how: { readonly create?: boolean } = {},
): Promise<BlobStore> {
  try {
    if (how.create) await mkdir(path, { recursive: true, mode: 0o700 });
    const root = await realpath(path);
    if (!(await lstat(root)).isDirectory()) throw notADirectory(path);
    return new DirectoryStore(path, root);
  } catch (error) {
    if (systemCode(error) === "ENOENT") throw notThere(path, error);
    if (systemCode(error) === "EEXIST" || systemCode(error) === "ENOTDIR") throw notADirectory(path);
    throw fileFailure(error, `opening ${path}`);
  }
}

class DirectoryStore implements BlobStore {
  readonly label: string;
  readonly checksumsFrom = "bytes";
  readonly #root: string;
  /** Removes what killed runs left behind; once, before the first put. */
  #swept: Promise<void> | undefined;

  constructor(label: string, root: string) {
    this.label = label;
    this.#root = root;
  }

  async get(
    key: string,
    how: { signal: AbortSignal; maxSize: number; into?: Uint8Array },
  ): Promise<Uint8Array> {
    return this.#reading(key, how.signal, (file) => this.#readWhole(file, key, how));
  }

  async checksum(key: string, { signal }: { signal: AbortSignal }): Promise<string | undefined> {
    return this.#reading(key, signal, async (file) => {
      await this.#sizeOf(file, key);
      const hash = createHash("sha256");
      const piece = Buffer.allocUnsafeSlow(HASHED_AT_ONCE);
      for (;;) {
        signal.throwIfAborted();
        const { bytesRead } = await file.read(piece, 0, piece.length);
        if (bytesRead === 0) return hash.digest("hex");
        hash.update(piece.subarray(0, bytesRead));
      }
    });
  }

  async *list(prefix: string, how: { signal: AbortSignal }): AsyncGenerator<BlobInfo> {
    how.signal.throwIfAborted();
    yield* this.#walk("", prefix, how.signal);
  }

  async now({ signal }: { signal: AbortSignal }): Promise<Date> {
    signal.throwIfAborted();
    return new Date();
  }

  async put(key: string, bytes: Uint8Array, how: { signal: AbortSignal } & PutHow): Promise<void> {
    how.signal.throwIfAborted();
    assertSafeKey(key);
    if (how.lock) throw locksNothing(this.label, key);
    const temporary = join(this.#root, INCOMING, randomBytes(16).toString("hex"));
    try {
      await this.#makeDirectory(INCOMING);
      this.#swept ??= sweep(join(this.#root, INCOMING));
      await this.#swept;
      // Asked early too, so that a blob which is there already is not written out for nothing.
      if (await statOrNothing(join(this.#root, key))) throw taken(this.label, key);
      await bothDone(checkSha256(key, bytes, how.sha256), writeDurably(temporary, bytes, how.signal));
      await this.#makeDirectory(dirname(key));
      how.signal.throwIfAborted();
      await this.#giveName(temporary, key);
    } catch (error) {
      how.signal.throwIfAborted();
      if (systemCode(error) === "ENOENT" && !(await statOrNothing(this.#root)))
        throw notThere(this.label, error);
      throw fileFailure(error, `storing ${key} in ${this.label}`);
    } finally {
      await unlink(temporary).catch(() => {}); // what is left is swept another day
    }
  }

  async remove(key: string, { signal }: { signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted();
    assertSafeKey(key);
    await this.#removeIn(dirname(key), [key]);
  }

  async removeAll(keys: readonly string[], how: { signal: AbortSignal }): Promise<void> {
    for (const key of keys) assertSafeKey(key);
    how.signal.throwIfAborted();
    for (const [parent, children] of Map.groupBy(keys, dirname)) {
      how.signal.throwIfAborted();
      await this.#removeIn(parent, children);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** What lies in one directory, with one flush of it to the disk: flushing is what takes time. */
  async #removeIn(parent: string, keys: readonly string[]): Promise<void> {
    let removing = keys[0] ?? parent;
    try {
      await this.#checkParent(removing);
      for (const key of keys) {
        removing = key;
        await unlink(join(this.#root, key)).catch(absentIsGone);
      }
      await syncDirectory(join(this.#root, parent));
    } catch (error) {
      if (systemCode(error) === "ENOENT" && (await statOrNothing(this.#root))) return;
      if (systemCode(error) === "ENOENT") throw notThere(this.label, error);
      throw fileFailure(error, `removing ${removing} from ${this.label}`);
    }
  }

  async #reading<Result>(
    key: string,
    signal: AbortSignal,
    work: (file: FileHandle) => Promise<Result>,
  ): Promise<Result> {
    signal.throwIfAborted();
    assertSafeKey(key);
    try {
      await this.#checkParent(key);
      // Without O_NONBLOCK a FIFO would hold us up for ever.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      await using file = await open(join(this.#root, key), flags);
      return await work(file);
    } catch (error) {
      signal.throwIfAborted();
      if (systemCode(error) === "ENOENT") throw await this.#missing(key, error);
      throw fileFailure(error, `reading ${key} in ${this.label}`);
    }
  }

  async #sizeOf(file: FileHandle, key: string): Promise<number> {
    const { size, mode } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw notAFile(this.label, key);
    return size;
  }

  async #readWhole(
    file: FileHandle,
    key: string,
    how: { signal: AbortSignal; maxSize: number; into?: Uint8Array },
  ): Promise<Uint8Array> {
    const size = await this.#sizeOf(file, key);
    if (size > how.maxSize) throw tooLarge(this.label, key, size, how.maxSize);
    const { into } = how;
    const bytes = into && into.length >= size ? into.subarray(0, size) : Buffer.allocUnsafeSlow(size);
    let filled = 0;
    while (filled < size) {
      how.signal.throwIfAborted();
      const { bytesRead } = await file.read(bytes, filled, Math.min(READ_AT_ONCE, size - filled), filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled === size) return bytes;
    throw new DropsError(
      "data/damaged",
      `reading ${key} in ${this.label}: it ends after ${filled} of ${size} bytes`,
    );
  }

  /** In key order: a directory sorts as its name with a slash, so `a-b` and `a.b` come before `a/b`. */
  async *#walk(directory: string, prefix: string, signal: AbortSignal): AsyncGenerator<BlobInfo> {
    const children = await this.#children(directory, prefix);
    signal.throwIfAborted();
    const stats = await Promise.all(
      children.map((child) => (child.endsWith("/") ? undefined : statOrNothing(join(this.#root, child)))),
    );
    for (const [at, child] of children.entries()) {
      signal.throwIfAborted();
      const stat = stats[at];
      if (child.endsWith("/")) yield* this.#walk(child, prefix, signal);
      else if (stat?.isFile()) yield { key: child, size: stat.size, modified: stat.mtime };
    }
  }

  /** Keys of blobs, and of directories with a slash, in `directory` that begin with `prefix` or lead to it; sorted. */
  async #children(directory: string, prefix: string): Promise<string[]> {
    try {
      const entries = await readdir(join(this.#root, directory), { withFileTypes: true });
      return entries
        .filter((entry) => isSafeKey(`${directory}${entry.name}`) && (entry.isFile() || entry.isDirectory()))
        .map((entry) => `${directory}${entry.name}${entry.isDirectory() ? "/" : ""}`)
        .filter((child) => child.startsWith(prefix) || (child.endsWith("/") && prefix.startsWith(child)))
        .sort();
    } catch (error) {
      if (systemCode(error) === "ENOENT" && directory !== "") return []; // pruned away since its parent was read
      if (systemCode(error) === "ENOENT") throw notThere(this.label, error);
      throw fileFailure(error, `listing ${directory} in ${this.label}`);
    }
  }

  /** The parent of `key` is where its name says: no symlink on the way leads elsewhere. */
  async #checkParent(key: string): Promise<void> {
    const parent = join(this.#root, dirname(key));
    if ((await realpath(parent)) !== parent) throw leadsElsewhere(this.label, dirname(key));
  }

  async #makeDirectory(relative: string): Promise<void> {
    if (relative === ".") return;
    const path = join(this.#root, relative);
    let stat = await statOrNothing(path);
    if (!stat) {
      await this.#makeDirectory(dirname(relative));
      await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error; // another writer was first
      });
      await syncDirectory(dirname(path));
      stat = await lstat(path);
    }
    if (!stat.isDirectory() || (await realpath(path)) !== path) throw leadsElsewhere(this.label, relative);
  }

  async #giveName(temporary: string, key: string): Promise<void> {
    const path = join(this.#root, key);
    try {
      await link(temporary, path);
    } catch (error) {
      if (systemCode(error) === "EEXIST") throw taken(this.label, key, error);
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(systemCode(error) ?? ""))
        throw error;
      // A file system without hard links: look, then rename.
      if (await statOrNothing(path)) throw taken(this.label, key, error);
      await rename(temporary, path);
    }
    await syncDirectory(dirname(path));
  }

  async #missing(key: string, cause: unknown): Promise<DropsError> {
    return (await statOrNothing(this.#root)) ? missing(this.label, key, cause) : notThere(this.label, cause);
  }
}

/** Unlike Promise.all, leaves nothing running when one fails. */
async function bothDone(...jobs: readonly Promise<void>[]): Promise<void> {
  for (const job of await Promise.allSettled(jobs)) if (job.status === "rejected") throw job.reason;
}

async function writeDurably(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(bytes, { signal });
  await file.sync();
}

async function sweep(incoming: string): Promise<void> {
  const before = Date.now() - STALE_MS;
  for (const name of await readdir(incoming)) {
    if (!OWN_NAME.test(name)) continue; // whoever owns the repository's directory may have put another in this place
    const stat = await statOrNothing(join(incoming, name));
    if (stat?.isFile() && stat.mtimeMs < before) await unlink(join(incoming, name)).catch(() => {});
  }
}

function absentIsGone(error: unknown): void {
  if (systemCode(error) !== "ENOENT") throw error;
}

async function statOrNothing(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function notADirectory(path: string): DropsError {
  return new DropsError("store/refused", `opening ${path}: it is not a directory`, {
    hint: "name a directory in the policy's store",
  });
}

function leadsElsewhere(label: string, directory: string): DropsError {
  return new DropsError(
    "data/damaged",
    `${directory} in ${label} is not a plain directory, which does not belong in a repository`,
    {
      hint: `look at it: ls -ld ${label}/${directory}`,
    },
  );
}

function notAFile(label: string, key: string): DropsError {
  return new DropsError("data/damaged", `reading ${key} in ${label}: it is not a file`, {
    hint: `look at it: ls -l ${label}/${key}`,
  });
}
