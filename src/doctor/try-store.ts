import { hash, randomBytes } from "node:crypto";
import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import { wallTime } from "../policy/zone.ts";
import type { BlobReader, BlobStore, BlobWriter, Lock } from "../store/blob-store.ts";
import { listKey, listsPrefix } from "../store/keys.ts";
import { locking } from "../store/locking.ts";
import { fail, type Line, ok, warn } from "./types.ts";

export interface TriedStore {
  readonly lines: readonly Line[];
  /** Bytes a second that the larger put took; undefined when it did not succeed. */
  readonly rate?: number;
  readonly left: readonly string[];
}

/** Large enough that what is measured is the link and not the answer; small enough for a slow one. Bytes. */
const LARGE = 4 * 1024 * 1024;
const SMALL = 1024;
const CLEANING_MS = 15_000;

interface Scratch {
  readonly key: string;
  readonly bytes: Buffer;
  readonly sha256: string;
}

/**
 * What a repository relies on, tried for real on objects of random bytes among the lists, where the writer may both put and
 * read, and locked with `lock` where a backup locks: a bucket may take nothing else. Nothing refers to them: what this credential
 * cannot remove, a prune does.
 */
export async function trySemantics(
  store: BlobStore,
  { name: policy, zone }: Pick<Policy, "name" | "zone">,
  lock: Lock | undefined,
  how: Cancel,
): Promise<TriedStore> {
  const put: string[] = [];
  const lines: Line[] = [];
  let rate: number | undefined;
  try {
    rate = await untilRefused(lines, () => tryAll(locking(store, lock), policy, { lines, put }, how));
  } finally {
    await removeAll(store, put); // also after an interruption
  }
  how.signal.throwIfAborted(); // what was refused meanwhile was not the store's doing
  const left = [...put];
  return {
    lines: summed(lines, left, lock && { ...lock, zone }),
    left,
    ...(rate === undefined ? {} : { rate }),
  };
}

/** Answers the rate of the large put, in bytes a second. */
async function tryAll(
  store: BlobReader & BlobWriter,
  policy: string,
  { lines, put }: { readonly lines: Line[]; readonly put: string[] },
  how: Cancel,
): Promise<number> {
  const [large, small] = [newScratch(policy, LARGE), newScratch(policy, SMALL)];
  await store.now(how); // the connection stands before anything is measured
  const took: number[] = [];
  for (const { key, bytes, sha256 } of [large, small]) {
    const at = performance.now();
    await store.put(key, bytes, { ...how, sha256 });
    put.push(key);
    took.push(performance.now() - at);
  }
  const [largeMs = 0] = took;
  lines.push(...(await readBack(store, [large, small], how)));
  lines.push(...(await listed(store, policy, [large, small], how)));
  lines.push(...(await createOnly(store, small, how)));
  lines.push(
    ...(await checksum(store, { ...newScratch(policy, SMALL), bytes: randomBytes(SMALL) }, put, how)),
  );
  return LARGE / (largeMs / 1000);
}

function newScratch(policy: string, size: number): Scratch {
  const bytes = randomBytes(size);
  const sha256 = hash("sha256", bytes, "hex");
  return { key: listKey(policy, sha256), bytes, sha256 };
}

async function untilRefused<T>(lines: Line[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isFailure(error)) throw error;
    lines.push(
      fail(error.message, error.hint ?? "compare the credential's permissions with drops iam writer"),
    );
    return undefined;
  }
}

async function readBack(store: BlobReader, scratch: readonly Scratch[], how: Cancel): Promise<Line[]> {
  const lines: Line[] = [];
  for (const { key, bytes } of scratch) {
    await untilRefused(lines, async () => {
      const back = await store.get(key, { ...how, maxSize: LARGE });
      if (!bytes.equals(back))
        lines.push(fail(`${key} came back as other bytes than were put`, "use another store"));
    });
  }
  return lines;
}

/** That the store sorts is checked while it is read; what was put has to be there at once. */
async function listed(
  store: BlobReader,
  policy: string,
  scratch: readonly Scratch[],
  how: Cancel,
): Promise<Line[]> {
  const lines: Line[] = [];
  const sizes = await untilRefused(lines, async () => {
    const found = new Map<string, number>();
    for await (const { key, size } of store.list(listsPrefix(policy), how)) found.set(key, size);
    return found;
  });
  for (const { key, bytes } of sizes ? scratch : []) {
    const size = sizes?.get(key);
    if (size === bytes.length) continue;
    const seen = size === undefined ? "is not listed" : `is listed with ${size} bytes`;
    lines.push(
      fail(
        `${key} was put and ${seen} right after`,
        "use a store whose listings are consistent after a write",
      ),
    );
  }
  return lines;
}

/** The same bytes once more: a store that creates only says that something is there. */
async function createOnly(store: BlobWriter, { key, bytes, sha256 }: Scratch, how: Cancel): Promise<Line[]> {
  try {
    await store.put(key, bytes, { ...how, sha256 });
    return [
      warn(
        "a put over an object is not refused although it asks for that (If-None-Match)",
        "nothing is lost by it as long as one machine makes backups; Object Lock or versions protect the rest: docs/stores.md",
      ),
    ];
  } catch (error) {
    if (isFailure(error, "store/exists")) return [];
    if (!isFailure(error)) throw error;
    return [fail(error.message, error.hint ?? "see the message")];
  }
}

/** Bytes that do not have the announced hash must not land. */
async function checksum(store: BlobWriter, wrong: Scratch, put: string[], how: Cancel): Promise<Line[]> {
  try {
    await store.put(wrong.key, wrong.bytes, { ...how, sha256: wrong.sha256 });
    put.push(wrong.key);
    const what = "bytes that do not have the announced SHA-256 were stored: the store checks no checksums";
    return [warn(what, "use https, and run drops verify --read-data now and then")];
  } catch (error) {
    if (isFailure(error)) return []; // refused: so it should be, and why is the other checks' affair
    throw error;
  }
}

/** Takes away from `keys` what is gone. With time of its own, as what was put should not stay because of an interruption. */
async function removeAll(store: BlobStore, keys: string[]): Promise<void> {
  const how = { signal: AbortSignal.timeout(CLEANING_MS) };
  for (const key of [...keys]) {
    try {
      await store.remove(key, how);
      keys.splice(keys.indexOf(key), 1);
    } catch (error) {
      if (!isFailure(error) && !how.signal.aborted) throw error;
    }
  }
}

function summed(
  lines: readonly Line[],
  left: readonly string[],
  lock: (Lock & { readonly zone: string }) | undefined,
): Line[] {
  const gone = lock
    ? `what was put to try it is hidden, and locked until ${wallTime(lock.until, lock.zone)}`
    : "what was put to try it is gone again";
  const rest =
    left.length === 0
      ? gone
      : `${left.length} objects stay, as this credential may not delete; a prune removes them`;
  const well = ok(`read after write, listing, create-only and checksums hold; ${rest}`);
  return lines.length === 0 ? [well] : [...lines];
}
