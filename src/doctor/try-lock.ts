import { hash, randomBytes } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { ObjectLockPolicy } from "../policy/schema.ts";
import type { BlobReader, BlobStore, Lock } from "../store/blob-store.ts";
import { listKey } from "../store/keys.ts";
import { fail, type Line, ok } from "./types.ts";

/** Longer than any check may take (LIMIT_MS), short enough to be no nuisance where nobody can undo it. Milliseconds. */
const LOCKED_FOR = 3 * 60_000;

/** How a backup locks what it puts, but for its end; undefined where the policy locks nothing. */
export async function shortLock(
  store: BlobReader,
  policy: { readonly object_lock?: ObjectLockPolicy | undefined },
  how: Cancel,
): Promise<Lock | undefined> {
  const mode = policy.object_lock?.mode;
  return mode && { mode, until: new Date((await store.now(how)).getTime() + LOCKED_FOR) };
}

export interface TriedLock {
  readonly lines: readonly Line[];
  readonly left: readonly string[];
}

/**
 * Whether what is put can be locked as the policy asks, tried on one small object among the lists, for three minutes. The store
 * reads the lock back. It stays until then; the next prune takes it.
 */
export async function tryLock(
  store: BlobStore,
  policy: { readonly name: string; readonly object_lock: ObjectLockPolicy },
  how: Cancel,
): Promise<TriedLock> {
  const bytes = randomBytes(256);
  const sha256 = hash("sha256", bytes, "hex");
  const key = listKey(policy.name, sha256);
  try {
    const lock = await shortLock(store, policy, how);
    await store.put(key, bytes, { ...how, sha256, lock });
    return { lines: [ok(`what is put can be locked in ${policy.object_lock.mode} mode`)], left: [key] };
  } catch (error) {
    if (!isFailure(error)) throw error;
    const fix = error.hint ?? "make a bucket with Object Lock, and let the role set it: docs/stores.md";
    return { lines: [fail(`what is put cannot be locked: ${error.message}`, fix)], left: [] };
  }
}
