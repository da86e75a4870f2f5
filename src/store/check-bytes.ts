import { webcrypto } from "node:crypto";
import { DropsError } from "../lib/errors.ts";
import { isSafeKey } from "./keys.ts";

/** Keys are built in keys.ts: anything else is a bug of the caller, not a failure of the store. */
export function assertSafeKey(key: string): void {
  if (!isSafeKey(key)) throw new TypeError(`not a key of a repository: ${key.slice(0, 80)}`);
}

/** Node copies what it hashes off the main thread: of packs, one at a time. */
let before: Promise<unknown> = Promise.resolve();

/**
 * For stores that are no server and cannot check for themselves. Throws data/damaged when `bytes` do not hash to
 * `sha256` (lower-case hex; undefined: nothing was promised). Hashes off the main thread.
 */
export async function checkSha256(key: string, bytes: Uint8Array, sha256: string | undefined): Promise<void> {
  if (sha256 === undefined) return;
  const digest = before.then(() => webcrypto.subtle.digest("SHA-256", bytes));
  before = digest.catch(() => {});
  const found = Buffer.from(await digest).toString("hex");
  if (found !== sha256) throw damagedOnTheWay(key);
}

/** What arrived at the store is not what was sent: data/damaged. */
export function damagedOnTheWay(key: string, cause?: unknown): DropsError {
  return new DropsError("data/damaged", `storing ${key}: its bytes do not match the SHA-256 that was sent`, {
    hint: "check this machine's memory, then run the command again",
    cause,
  });
}

/** A blob larger than the caller is ready to hold: what is stored is not what a repository holds at this key. */
export function tooLarge(label: string, key: string, size: number, maxSize: number): DropsError {
  return new DropsError(
    "data/damaged",
    `reading ${key} in ${label}: ${size} bytes, at most ${maxSize} are allowed`,
  );
}

/** There is no blob of that key: store/missing. */
export function missing(label: string, key: string, cause?: unknown): DropsError {
  return new DropsError("store/missing", `reading ${key} in ${label}: it does not exist`, {
    hint: label.startsWith("s3://")
      ? "find other missing objects: drops verify; --hidden reads deleted objects in a bucket with versions"
      : "find other missing objects: drops verify",
    cause,
  });
}

/** A blob of that key is there already, and is not overwritten: store/exists. */
export function taken(label: string, key: string, cause?: unknown): DropsError {
  return new DropsError("store/exists", `storing ${key} in ${label}: it exists already`, { cause });
}

/** A lock that was asked for and cannot be had is never left out silently. */
export function locksNothing(label: string, key: string, cause?: unknown): DropsError {
  return new DropsError("store/refused", `storing ${key} in ${label}: the store cannot lock objects`, {
    hint: "use a bucket with Object Lock, or remove object_lock from the policy",
    cause,
  });
}

/** The store took the blob and did not do what it was asked. */
export function notLocked(label: string, key: string, found: string): DropsError {
  return new DropsError("store/refused", `${key} in ${label} is not locked as requested: ${found}`, {
    hint: "ask the provider whether the bucket supports Object Lock, or remove object_lock from the policy",
  });
}
