import type {
  DeleteMarkerEntry,
  ListObjectVersionsCommandOutput,
  ObjectLockRetention,
} from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import type { BlobVersion, Lock } from "./blob-store.ts";
import { notLocked, tooLarge } from "./check-bytes.ts";
import { isSafeKey } from "./keys.ts";
import { checkIsS3, decoded, outOfOrder, readWhole } from "./s3-answer.ts";
import { isNoLock, NOT_S3 } from "./s3-failure.ts";
import { announceMd5 } from "./s3-header.ts";
import { Pages } from "./s3-pages.ts";
import { modeOf } from "./s3-put.ts";
import type { S3Session } from "./s3-session.ts";

/** An object without a lock, in the words of Amazon and of Ceph. */
const NEVER_LOCKED = new Set(["NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"]);

/** The requests about versions and their locks. A bucket that keeps none has one version of each key, called `null`. */
export class S3Versions {
  readonly #s3: S3Session;

  constructor(s3: S3Session) {
    this.#s3 = s3;
  }

  /** `version` undefined: whatever has the name now. */
  read(
    key: string,
    version: string | undefined,
    how: Cancel & { readonly maxSize: number; readonly into?: Uint8Array },
  ): Promise<Uint8Array> {
    const { sdk, client, label } = this.#s3;
    return this.#s3.askPatiently("reading", key, how, async () => {
      const command = new sdk.GetObjectCommand({ ...this.#s3.named(key), VersionId: version });
      const answer = await client.send(command, { abortSignal: how.signal });
      const refusal = (size: number): DropsError => tooLarge(label, key, size, how.maxSize);
      return readWhole(answer, how.maxSize, refusal, how.into);
    });
  }

  async *list(prefix: string, how: Cancel): AsyncGenerator<BlobVersion> {
    const pages = new Pages(this.#s3.label, prefix);
    let last = "";
    let next: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } | undefined = {};
    while (next !== undefined) {
      how.signal.throwIfAborted();
      const page: ListObjectVersionsCommandOutput = await this.#listPage(prefix, next, how);
      for (const version of this.#versionsOf(page)) {
        if (version.key < last) throw outOfOrder(this.#s3.label, prefix);
        last = version.key;
        how.signal.throwIfAborted();
        yield version;
      }
      next = afterPage(page, pages);
    }
  }

  async lockOf(key: string, version: string | undefined, how: Cancel): Promise<Lock | undefined> {
    const { sdk, client, label } = this.#s3;
    return this.#s3.askPatiently("locking", key, how, async () => {
      try {
        const command = new sdk.GetObjectRetentionCommand({ ...this.#s3.named(key), VersionId: version });
        return lockIn((await client.send(command, { abortSignal: how.signal })).Retention);
      } catch (error) {
        if (error instanceof Error && NEVER_LOCKED.has(error.name)) return undefined;
        if (isNoLock(error)) throw withoutObjectLock(label, error);
        throw error;
      }
    });
  }

  async extendLock(key: string, version: string, lock: Lock, how: Cancel): Promise<void> {
    const { sdk, client, label } = this.#s3;
    const Retention = { Mode: modeOf(lock), RetainUntilDate: lock.until } as const;
    await this.#s3.askPatiently("locking", key, how, async () => {
      const named = { ...this.#s3.named(key), VersionId: version };
      const command = new sdk.PutObjectRetentionCommand({ ...named, Retention });
      announceMd5(command);
      try {
        await client.send(command, { abortSignal: how.signal });
      } catch (error) {
        throw isNoLock(error) ? withoutObjectLock(label, error) : error;
      }
    });
  }

  /** Throws store/refused unless the version is locked at least as was asked. */
  async checkLock(key: string, version: string | undefined, asked: Lock, how: Cancel): Promise<void> {
    const found = await this.#lockAfterPut(key, version, how);
    if (found && found.mode === asked.mode && found.until >= asked.until) return;
    const says = found ? `${found.mode} until ${found.until.toISOString()}` : "not at all";
    throw notLocked(this.#s3.label, key, says);
  }

  /** A server that took the lock's headers and kept nothing may say that there is no such thing as this object's lock. */
  async #lockAfterPut(key: string, version: string | undefined, how: Cancel): Promise<Lock | undefined> {
    try {
      return await this.lockOf(key, version, how);
    } catch (error) {
      if (isFailure(error, "store/missing")) return undefined;
      if (isFailure(error) && error.message.endsWith(NOT_S3)) return undefined; // the object itself, say
      throw error;
    }
  }

  #listPage(
    prefix: string,
    from: { readonly KeyMarker?: string; readonly VersionIdMarker?: string },
    how: Cancel,
  ): Promise<ListObjectVersionsCommandOutput> {
    const { sdk, client, ...s3 } = this.#s3;
    return this.#s3.askPatiently("listing", undefined, how, async () => {
      const where = { Bucket: s3.bucket, Prefix: s3.prefix + prefix, EncodingType: "url" } as const;
      const command = new sdk.ListObjectVersionsCommand({ ...where, ...from });
      const page = await client.send(command, { abortSignal: how.signal });
      checkIsS3(page.Name);
      checkIsS3(page.IsTruncated);
      return page;
    });
  }

  /** The SDK tells versions and markers apart, each in the server's order: put together again by key and time. */
  #versionsOf({ Versions = [], DeleteMarkers = [] }: ListObjectVersionsCommandOutput): BlobVersion[] {
    const versions = Versions.flatMap((one) => this.#versionOf(one, one.Size));
    const markers = DeleteMarkers.flatMap((one) => this.#versionOf(one, undefined));
    return [...versions, ...markers].sort(byKeyAndAge);
  }

  /** `size` undefined: a marker. */
  #versionOf(listed: DeleteMarkerEntry, size: number | undefined): BlobVersion[] {
    const { Key, VersionId: version, LastModified: modified, IsLatest: isLatest = false } = listed;
    const path = decoded(Key ?? "");
    const key = path.slice(this.#s3.prefix.length);
    if (!path.startsWith(this.#s3.prefix) || !isSafeKey(key)) return [];
    if (version === undefined || modified === undefined) return [];
    return [{ key, version, modified, size: size ?? 0, isMarker: size === undefined, isLatest }];
  }
}

function byKeyAndAge(a: BlobVersion, b: BlobVersion): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return Number(b.isLatest) - Number(a.isLatest) || b.modified.getTime() - a.modified.getTime();
}

function lockIn(retention: ObjectLockRetention | undefined): Lock | undefined {
  const { Mode, RetainUntilDate: until } = retention ?? {};
  if (until === undefined) return undefined;
  return { mode: Mode === "COMPLIANCE" ? "compliance" : "governance", until };
}

function withoutObjectLock(label: string, cause: unknown): DropsError {
  return new DropsError("store/refused", `the bucket of ${label} has no Object Lock`, {
    hint: "Object Lock must be enabled when the bucket is created; remove object_lock from the policy until then",
    cause,
  });
}

/** Where the next page begins; undefined after the last. */
function afterPage(
  page: ListObjectVersionsCommandOutput,
  pages: Pages,
): { readonly KeyMarker: string; readonly VersionIdMarker?: string } | undefined {
  const { IsTruncated: isTruncated = false, NextKeyMarker, NextVersionIdMarker: VersionIdMarker } = page;
  const names = (page.Versions?.length ?? 0) + (page.DeleteMarkers?.length ?? 0);
  const next = NextKeyMarker === undefined ? undefined : `${NextKeyMarker}\0${VersionIdMarker ?? ""}`;
  if (pages.next({ isTruncated, names, next }) === undefined) return undefined;
  return {
    KeyMarker: decoded(NextKeyMarker ?? ""),
    ...(VersionIdMarker === undefined ? {} : { VersionIdMarker }),
  };
}
