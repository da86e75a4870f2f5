import { hash } from "node:crypto";
import type { Cancel } from "../../src/lib/cancel.ts";
import { DropsError } from "../../src/lib/errors.ts";
import type { BlobInfo, BlobVersion, Lock, PutHow, VersionedStore } from "../../src/store/blob-store.ts";
import { assertSafeKey, checkSha256, missing, taken, tooLarge } from "../../src/store/check-bytes.ts";

interface Kept {
  readonly version: string;
  /** Undefined: a marker. */
  readonly bytes: Uint8Array | undefined;
  readonly modified: Date;
  lock: Lock | undefined;
}

/**
 * A bucket with versions and Object Lock that is gone with the process. Removing hides, and what
 * is locked cannot be removed for good before `clock` says that its lock is over.
 */
export class VersionedMemory implements VersionedStore {
  readonly label = "versioned memory";
  readonly checksumsFrom = "bytes";
  readonly #clock: () => Date;
  /** By key; the version that landed last comes last. */
  readonly #names = new Map<string, Kept[]>();
  #count = 0;

  constructor(clock: () => Date = () => new Date()) {
    this.#clock = clock;
  }

  async get(key: string, { signal, maxSize }: Cancel & { readonly maxSize: number }): Promise<Uint8Array> {
    checked(signal, key);
    const bytes = this.#current(key)?.bytes;
    if (!bytes) throw missing(this.label, key);
    return this.#copy(key, bytes, maxSize);
  }

  async checksum(key: string, { signal }: Cancel): Promise<string> {
    checked(signal, key);
    const bytes = this.#current(key)?.bytes;
    if (!bytes) throw missing(this.label, key);
    return hash("sha256", bytes, "hex");
  }

  async *list(prefix: string, { signal }: Cancel): AsyncGenerator<BlobInfo> {
    signal.throwIfAborted();
    for (const key of this.#keysBelow(prefix)) {
      signal.throwIfAborted();
      const kept = this.#current(key);
      if (kept?.bytes) yield { key, size: kept.bytes.length, modified: kept.modified };
    }
  }

  async now({ signal }: Cancel): Promise<Date> {
    signal.throwIfAborted();
    return this.#clock();
  }

  async put(key: string, bytes: Uint8Array, { signal, sha256, lock }: Cancel & PutHow): Promise<void> {
    checked(signal, key);
    const copy = Uint8Array.from(bytes);
    await checkSha256(key, copy, sha256);
    signal.throwIfAborted();
    if (this.#current(key)?.bytes) throw taken(this.label, key);
    this.#land(key, copy, lock);
  }

  async remove(key: string, { signal }: Cancel): Promise<void> {
    checked(signal, key);
    if (this.#current(key)?.bytes) this.#land(key, undefined, undefined);
  }

  async removeAll(keys: readonly string[], how: Cancel): Promise<void> {
    how.signal.throwIfAborted();
    for (const key of keys) assertSafeKey(key);
    for (const key of keys) await this.remove(key, how);
  }

  async *listVersions(prefix: string, { signal }: Cancel): AsyncGenerator<BlobVersion> {
    signal.throwIfAborted();
    for (const key of this.#keysBelow(prefix)) {
      for (const one of (this.#names.get(key) ?? []).toReversed()) {
        signal.throwIfAborted();
        const { version, bytes, modified } = one;
        const about = { isMarker: bytes === undefined, isLatest: one === this.#current(key) };
        yield { key, size: bytes?.length ?? 0, modified, version, ...about };
      }
    }
  }

  async getVersion(
    key: string,
    version: string,
    { signal, maxSize }: Cancel & { readonly maxSize: number },
  ): Promise<Uint8Array> {
    checked(signal, key);
    return this.#copy(key, this.#blob(key, version).bytes, maxSize);
  }

  async lockOf(key: string, version: string, { signal }: Cancel): Promise<Lock | undefined> {
    checked(signal, key);
    return this.#blob(key, version).kept.lock;
  }

  async extendLock(key: string, version: string, lock: Lock, { signal }: Cancel): Promise<void> {
    checked(signal, key);
    const { kept } = this.#blob(key, version);
    const old = kept.lock;
    const isHeld = old !== undefined && old.until > this.#clock();
    if (isHeld && (lock.until < old.until || lock.mode !== old.mode)) throw this.#denied("locking", key);
    kept.lock = lock;
  }

  /** What an attacker may do past drops: a put without a condition. What was there is hidden. */
  putOver(key: string, bytes: Uint8Array): void {
    this.#land(key, Uint8Array.from(bytes), undefined);
  }

  /** As the bucket's owner, who does not bypass governance. Throws store/refused while the version is locked. */
  removeVersion(key: string, version: string): void {
    const kept = this.#names.get(key) ?? [];
    const lock = kept.find((one) => one.version === version)?.lock;
    if (lock && lock.until > this.#clock()) throw this.#denied("removing a version of", key);
    const left = kept.filter((one) => one.version !== version);
    if (left.length > 0) this.#names.set(key, left);
    else this.#names.delete(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #current(key: string): Kept | undefined {
    return this.#names.get(key)?.at(-1);
  }

  #keysBelow(prefix: string): string[] {
    return [...this.#names.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  #land(key: string, bytes: Uint8Array | undefined, lock: Lock | undefined): void {
    const kept = { version: `v${++this.#count}`, bytes, modified: this.#clock(), lock };
    this.#names.set(key, [...(this.#names.get(key) ?? []), kept]);
  }

  #blob(key: string, version: string): { readonly kept: Kept; readonly bytes: Uint8Array } {
    const kept = this.#names.get(key)?.find((one) => one.version === version);
    if (kept?.bytes === undefined) throw missing(this.label, key);
    return { kept, bytes: kept.bytes };
  }

  #copy(key: string, bytes: Uint8Array, maxSize: number): Uint8Array {
    if (bytes.length > maxSize) throw tooLarge(this.label, key, bytes.length, maxSize);
    return bytes.slice();
  }

  #denied(doing: string, key: string): DropsError {
    return new DropsError("store/refused", `${doing} ${key} in ${this.label}: access denied`);
  }
}

function checked(signal: AbortSignal, key: string): void {
  signal.throwIfAborted();
  assertSafeKey(key);
}
