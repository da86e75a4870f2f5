import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import { DropsError, type FailureCode, systemCode } from "./errors.ts";
import { readAtMost } from "./read-at-most.ts";

/** A file of keys is a page; a larger one is something else. Bytes. */
const MOST = 1024 * 1024;
const OTHERS = 0o007;
const GROUP_AND_OTHERS = 0o077;

/**
 * The text of a file that holds a secret. `what` names its kind, as in "identity file". Refused like a key by ssh(1): when
 * anybody but its owner has any access and this user is the owner. A file of root's may be open to a group, which is how
 * systemd and an administrator hand it to a service; a file of any other user is that user's secret, and is for root alone to
 * take. Opened once, so that the file that is read is the file that was looked at. A pipe, as of a program that decrypts, is
 * read too.
 *
 * @throws DropsError key/missing when it is not there or cannot be read, key/wrong when others have access or when it is no
 * file of a sane size; or always `code`, where that is given
 */
export async function readSecretFile(path: string, what: string, code?: FailureCode): Promise<string> {
  try {
    await using handle = await open(path, "r");
    requirePrivate(await handle.stat(), path, process.geteuid?.());
    const bytes = await readAtMost(handle, MOST);
    if (bytes === undefined) throw new Refusal("is too large to be one");
    return bytes.toString("utf8");
  } catch (cause) {
    if (cause instanceof Refusal)
      throw new DropsError(code ?? "key/wrong", `${what} ${path} ${cause.message}`, { hint: cause.hint });
    const why = systemCode(cause) === "ENOENT" ? "does not exist" : "cannot be read";
    throw new DropsError(code ?? "key/missing", `${what} ${path} ${why}`, { hint: `ls -l ${path}`, cause });
  }
}

function requirePrivate(found: Stats, path: string, own: number | undefined): void {
  if (found.isDirectory()) throw new Refusal("is a directory");
  if (!found.isFile()) return;
  const forbidden = found.uid === own ? GROUP_AND_OTHERS : OTHERS;
  if ((found.mode & forbidden) !== 0) throw new Refusal("is open to other users", `chmod 600 ${path}`);
  if (own === undefined || [0, found.uid].includes(own) || found.uid === 0) return;
  throw new Refusal(
    "belongs to another user, who knows it too",
    `install -m 600 ${path} FILE, and name FILE`,
  );
}

class Refusal extends Error {
  readonly hint: string | undefined;

  constructor(why: string, hint?: string) {
    super(why);
    this.hint = hint;
  }
}
