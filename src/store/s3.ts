import type { ListObjectsV2CommandInput, ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import type { S3Policy } from "../policy/schema.ts";
import type { BlobInfo, BlobVersion, Lock, PutHow, VersionedStore } from "./blob-store.ts";
import { assertSafeKey, locksNothing, taken } from "./check-bytes.ts";
import type { S3Credentials } from "./credentials.ts";
import { isSafeKey } from "./keys.ts";
import { PATIENCE, type Patience, retrying } from "./retrying.ts";
import { busy, checkIsS3, dateOf, decoded, outOfOrder, storedChecksum } from "./s3-answer.ts";
import { makeS3Client, type S3Timeouts, TIMEOUTS } from "./s3-client.ts";
import { isNoLock, mayBeUnknownHeader, s3Failure, statusOf, wasNotDone } from "./s3-failure.ts";
import { Pages } from "./s3-pages.ts";
import { ALL_FEATURES, type Blob, type Features, putOnce, sha256Of } from "./s3-put.ts";
import { MOST_REMOVED, removeOnce } from "./s3-remove.ts";
import { S3Session } from "./s3-session.ts";
import { S3Versions } from "./s3-versions.ts";

export interface S3Options {
  readonly timeouts?: Partial<S3Timeouts>;
  readonly patience?: Partial<Patience>;
}

/**
 * A repository in a bucket. Nothing is asked of the server yet: the first call finds out whether it answers.
 *
 * What is read or listed is tried several times, and so is a put of a blob that is named by its own hash, as doing that
 * twice is doing it once. Any other put whose answer is unclear throws store/unavailable: it may have landed.
 *
 * Failures: store/unavailable (no answer, cut, 5xx: `retryable`), store/refused (credentials, bucket, certificate),
 * clock/skewed, space/low (quota) and those of BlobStore. None of them holds a credential.
 */
export async function openS3Store(
  s3: S3Policy,
  credentials: S3Credentials,
  options: S3Options = {},
): Promise<VersionedStore> {
  const sdk = await import("@aws-sdk/client-s3"); // takes a while to load: not for commands that need no bucket
  const client = await makeS3Client(sdk, s3, credentials, { ...TIMEOUTS, ...options.timeouts });
  return new S3Store(new S3Session(sdk, client, s3, { ...PATIENCE, ...options.patience }));
}

class S3Store implements VersionedStore {
  readonly label: string;
  readonly checksumsFrom = "upload";
  readonly #s3: S3Session;
  readonly #versions: S3Versions;
  #features: Features = ALL_FEATURES;

  constructor(s3: S3Session) {
    this.label = s3.label;
    this.#s3 = s3;
    this.#versions = new S3Versions(s3);
  }

  async get(
    key: string,
    how: Cancel & { readonly maxSize: number; readonly into?: Uint8Array },
  ): Promise<Uint8Array> {
    assertSafeKey(key);
    return this.#versions.read(key, undefined, how);
  }

  async checksum(key: string, how: Cancel): Promise<string | undefined> {
    assertSafeKey(key);
    const { sdk, client } = this.#s3;
    return this.#s3.askPatiently("reading", key, how, async () => {
      const ask = async (more: { readonly ChecksumMode?: "ENABLED" }): Promise<string | undefined> => {
        const command = new sdk.HeadObjectCommand({ ...this.#s3.named(key), ...more });
        return storedChecksum(await client.send(command, { abortSignal: how.signal }));
      };
      return ask({ ChecksumMode: "ENABLED" }).catch((error: unknown) => {
        if (mayBeUnknownHeader(error)) return ask({});
        throw error;
      });
    });
  }

  async *list(prefix: string, how: Cancel): AsyncGenerator<BlobInfo> {
    const pages = new Pages(this.label, prefix);
    let last = "";
    let token: string | undefined;
    do {
      how.signal.throwIfAborted();
      const page = await this.#listPage(prefix, token === undefined ? {} : { ContinuationToken: token }, how);
      for (const info of this.#infosOf(page)) {
        // Readers merge listings with sorted tables: a store that does not sort would make blobs look missing.
        if (info.key <= last) throw outOfOrder(this.label, prefix);
        last = info.key;
        how.signal.throwIfAborted();
        yield info;
      }
      const { IsTruncated: isTruncated = false, Contents = [], NextContinuationToken: next } = page;
      token = pages.next({ isTruncated, names: Contents.length, next });
    } while (token !== undefined);
  }

  /** The Date of an answer to the smallest listing, which every role may ask for. Whole seconds. */
  async now(how: Cancel): Promise<Date> {
    const { sdk, client, bucket, prefix } = this.#s3;
    return this.#s3.askPatiently("asking for the time of", undefined, how, async () => {
      const command = new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 });
      let date: string | undefined;
      command.middlewareStack.add(
        (next) => async (args) => {
          const result = await next(args);
          date = dateOf(result.response);
          return result;
        },
        { step: "deserialize", name: "readDate", priority: "low" },
      );
      checkIsS3((await client.send(command, { abortSignal: how.signal })).Name);
      const time = new Date(date ?? Number.NaN);
      if (!Number.isNaN(time.getTime())) return time;
      throw new DropsError("store/unavailable", `${this.label} does not send its time`, {
        hint: "check proxies between this machine and the server: its answers have no Date header",
      });
    });
  }

  async put(key: string, bytes: Uint8Array, how: Cancel & PutHow): Promise<void> {
    how.signal.throwIfAborted();
    assertSafeKey(key);
    const sha256 = how.sha256 ?? (await sha256Of(bytes));
    const namedByHash = isNamedBy(key, sha256);
    // Few blobs are named otherwise and none of them may be lost, so a server that ignores If-None-Match is not relied on.
    if (!namedByHash) await this.#refuseTaken(key, how);
    const { bucket, prefix } = this.#s3;
    const { lock } = how;
    const version = await this.#putPatiently(
      key,
      { bucket, path: prefix + key, bytes, sha256, lock },
      namedByHash,
      how,
    );
    if (lock) await this.#versions.checkLock(key, version, lock, how);
  }

  async remove(key: string, how: Cancel): Promise<void> {
    assertSafeKey(key);
    await this.#s3.askPatiently("removing", key, how, async () => {
      const command = new this.#s3.sdk.DeleteObjectCommand(this.#s3.named(key));
      await this.#s3.client.send(command, { abortSignal: how.signal });
    });
  }

  async removeAll(keys: readonly string[], how: Cancel): Promise<void> {
    for (const key of keys) assertSafeKey(key);
    how.signal.throwIfAborted();
    for (let at = 0; at < keys.length; at += MOST_REMOVED)
      await this.#removeBatch(keys.slice(at, at + MOST_REMOVED), how);
  }

  listVersions(prefix: string, how: Cancel): AsyncGenerator<BlobVersion> {
    return this.#versions.list(prefix, how);
  }

  async getVersion(
    key: string,
    version: string,
    how: Cancel & { readonly maxSize: number; readonly into?: Uint8Array },
  ): Promise<Uint8Array> {
    assertSafeKey(key);
    return this.#versions.read(key, version, how);
  }

  async lockOf(key: string, version: string, how: Cancel): Promise<Lock | undefined> {
    assertSafeKey(key);
    return this.#versions.lockOf(key, version, how);
  }

  async extendLock(key: string, version: string, lock: Lock, how: Cancel): Promise<void> {
    assertSafeKey(key);
    await this.#versions.extendLock(key, version, lock, how);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#s3.client.destroy();
  }

  /** Only those that failed are asked for again. */
  async #removeBatch(batch: readonly string[], how: Cancel): Promise<void> {
    const { sdk, client, bucket, prefix } = this.#s3;
    let paths = batch.map((key) => prefix + key);
    await this.#s3.askPatiently("removing", undefined, how, async () => {
      const failures = await removeOnce(sdk, client, { bucket, paths }, how);
      paths = failures.map(({ path }) => path);
      const [first] = failures;
      if (first) throw s3Failure(first.error, this.#s3.asked("removing", first.path.slice(prefix.length)));
    });
  }

  /** @returns the version that landed; undefined when that is not known */
  async #putPatiently(
    key: string,
    blob: Blob,
    namedByHash: boolean,
    how: Cancel,
  ): Promise<string | undefined> {
    let isUnclear = false;
    const attempt = async (): Promise<string | undefined> => {
      try {
        return await this.#putOnce(key, blob, how);
      } catch (error) {
        how.signal.throwIfAborted();
        const failure = this.#putFailure(error, key, blob, namedByHash);
        if (isUnclear && isFailure(failure, "store/exists")) return await this.#checkLanded(key, blob, how);
        isUnclear ||= failure !== error && !wasNotDone(error);
        throw failure;
      }
    };
    return retrying(attempt, this.#s3.patience, { ...how, mayRetry: () => namedByHash || !isUnclear });
  }

  async #putOnce(key: string, blob: Blob, how: Cancel): Promise<string | undefined> {
    const { sdk, client } = this.#s3;
    const mayCreate = (): Promise<void> => this.#refuseTaken(key, how);
    const { features, version } = await putOnce(sdk, client, blob, this.#features, mayCreate, how);
    this.#features = features;
    return version;
  }

  #putFailure(error: unknown, key: string, blob: Blob, namedByHash: boolean): DropsError {
    // Another writer is putting the same bytes there right now, and may fail yet.
    if (namedByHash && statusOf(error) === 409) return busy(this.label, key);
    if (blob.lock && isNoLock(error)) return locksNothing(this.label, key, error);
    return s3Failure(error, this.#s3.asked("storing", key));
  }

  /** The key is taken after an attempt whose answer was lost: by that attempt, if the size is right. */
  async #checkLanded(key: string, { bytes }: Blob, how: Cancel): Promise<undefined> {
    if ((await this.#sizeOf(key, how)) !== bytes.length) throw taken(this.label, key);
  }

  async #refuseTaken(key: string, how: Cancel): Promise<void> {
    if ((await this.#sizeOf(key, how)) !== undefined) throw taken(this.label, key);
  }

  /** By a listing, which every role may ask for; the writer may not so much as look at a pack. */
  async #sizeOf(key: string, how: Cancel): Promise<number | undefined> {
    const page = await this.#listPage(key, { MaxKeys: 1 }, how);
    const [first] = this.#infosOf(page);
    return first?.key === key ? first.size : undefined;
  }

  #listPage(prefix: string, more: ListMore, how: Cancel): Promise<ListObjectsV2CommandOutput> {
    const { sdk, client, ...s3 } = this.#s3;
    return this.#s3.askPatiently("listing", undefined, how, async () => {
      // Other programs' keys may hold what XML cannot.
      const where = { Bucket: s3.bucket, Prefix: s3.prefix + prefix, EncodingType: "url" } as const;
      const command = new sdk.ListObjectsV2Command({ ...where, ...more });
      const page = await client.send(command, { abortSignal: how.signal });
      checkIsS3(page.Name);
      checkIsS3(page.IsTruncated);
      return page;
    });
  }

  *#infosOf(page: ListObjectsV2CommandOutput): Generator<BlobInfo> {
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      const path = decoded(Key ?? "");
      const key = path.slice(this.#s3.prefix.length);
      if (!path.startsWith(this.#s3.prefix) || !isSafeKey(key) || Size === undefined || !LastModified)
        continue;
      yield { key, size: Size, modified: LastModified };
    }
  }
}

type ListMore = Pick<ListObjectsV2CommandInput, "MaxKeys" | "ContinuationToken">;

/** The last segment of `key` is the hash, perhaps with an extension: putting it twice is putting it once. */
function isNamedBy(key: string, sha256: string): boolean {
  const name = key.slice(key.lastIndexOf("/") + 1);
  return name === sha256 || (name.startsWith(`${sha256}.`) && !name.endsWith(".sig"));
}
