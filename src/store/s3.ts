import type { ListObjectsV2CommandInput, ListObjectsV2CommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import type { S3Policy } from "../policy/schema.ts";
import type { BlobInfo, BlobStore } from "./blob-store.ts";
import { assertSafeKey, taken, tooLarge } from "./check-bytes.ts";
import type { S3Credentials } from "./credentials.ts";
import { isSafeKey } from "./keys.ts";
import { PATIENCE, type Patience, retrying } from "./retrying.ts";
import { busy, checkIsS3, dateOf, decoded, nextPage, outOfOrder, readWhole } from "./s3-answer.ts";
import { makeS3Client, type S3Timeouts, type Sdk, TIMEOUTS } from "./s3-client.ts";
import { type Asked, s3Failure, statusOf, wasNotDone } from "./s3-failure.ts";
import { ALL_FEATURES, type Blob, type Features, putOnce, sha256Of } from "./s3-put.ts";
import { MOST_REMOVED, removeOnce } from "./s3-remove.ts";
import { s3Label } from "./store-url.ts";

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
): Promise<BlobStore> {
  const sdk = await import("@aws-sdk/client-s3"); // takes a while to load: not for commands that need no bucket
  const client = await makeS3Client(sdk, s3, credentials, { ...TIMEOUTS, ...options.timeouts });
  return new S3Store(sdk, client, s3, { ...PATIENCE, ...options.patience });
}

class S3Store implements BlobStore {
  readonly label: string;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #patience: Patience;
  #features: Features = ALL_FEATURES;

  constructor(sdk: Sdk, client: S3Client, s3: S3Policy, patience: Patience) {
    this.label = s3Label(s3);
    this.#sdk = sdk;
    this.#client = client;
    this.#bucket = s3.bucket;
    this.#prefix = `${s3.prefix}/`;
    this.#patience = patience;
  }

  async get(
    key: string,
    how: Cancel & { readonly maxSize: number; readonly into?: Uint8Array },
  ): Promise<Uint8Array> {
    assertSafeKey(key);
    const work = (): Promise<Uint8Array> =>
      this.#ask("reading", key, how, async () => {
        const command = new this.#sdk.GetObjectCommand(this.#named(key));
        const answer = await this.#client.send(command, { abortSignal: how.signal });
        const refusal = (size: number): DropsError => tooLarge(this.label, key, size, how.maxSize);
        return readWhole(answer, how.maxSize, refusal, how.into);
      });
    return retrying(work, this.#patience, how);
  }

  async *list(prefix: string, how: Cancel): AsyncGenerator<BlobInfo> {
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
      token = nextPage(page, this.label);
    } while (token !== undefined);
  }

  /** The Date of an answer to the smallest listing, which every role may ask for. Whole seconds. */
  async now(how: Cancel): Promise<Date> {
    const work = (): Promise<Date> =>
      this.#ask("asking for the time of", undefined, how, async () => {
        const command = new this.#sdk.ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix,
          MaxKeys: 1,
        });
        let date: string | undefined;
        command.middlewareStack.add(
          (next) => async (args) => {
            const result = await next(args);
            date = dateOf(result.response);
            return result;
          },
          { step: "deserialize", name: "readDate", priority: "low" },
        );
        checkIsS3((await this.#client.send(command, { abortSignal: how.signal })).Name);
        const time = new Date(date ?? Number.NaN);
        if (!Number.isNaN(time.getTime())) return time;
        throw new DropsError("store/unavailable", `${this.label} does not say what time it is`, {
          hint: "look at what stands between this machine and the server: its answers have no Date",
        });
      });
    return retrying(work, this.#patience, how);
  }

  async put(key: string, bytes: Uint8Array, how: Cancel & { readonly sha256?: string }): Promise<void> {
    how.signal.throwIfAborted();
    assertSafeKey(key);
    const sha256 = how.sha256 ?? (await sha256Of(bytes));
    const namedByHash = isNamedBy(key, sha256);
    // Few blobs are named otherwise and none of them may be lost, so a server that ignores If-None-Match is not relied on.
    if (!namedByHash) await this.#refuseTaken(key, how);
    await this.#putPatiently(
      key,
      { bucket: this.#bucket, path: this.#prefix + key, bytes, sha256 },
      namedByHash,
      how,
    );
  }

  async remove(key: string, how: Cancel): Promise<void> {
    assertSafeKey(key);
    const work = (): Promise<void> =>
      this.#ask("removing", key, how, async () => {
        const command = new this.#sdk.DeleteObjectCommand(this.#named(key));
        await this.#client.send(command, { abortSignal: how.signal });
      });
    await retrying(work, this.#patience, how);
  }

  async removeAll(keys: readonly string[], how: Cancel): Promise<void> {
    for (const key of keys) assertSafeKey(key);
    how.signal.throwIfAborted();
    for (let at = 0; at < keys.length; at += MOST_REMOVED)
      await this.#removeBatch(keys.slice(at, at + MOST_REMOVED), how);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  /** Only those that failed are asked for again. */
  async #removeBatch(batch: readonly string[], how: Cancel): Promise<void> {
    let paths = batch.map((key) => this.#prefix + key);
    const work = (): Promise<void> =>
      this.#ask("removing", undefined, how, async () => {
        const failures = await removeOnce(this.#sdk, this.#client, { bucket: this.#bucket, paths }, how);
        paths = failures.map(({ path }) => path);
        const [first] = failures;
        if (first)
          throw s3Failure(first.error, this.#asked("removing", first.path.slice(this.#prefix.length)));
      });
    await retrying(work, this.#patience, how);
  }

  async #putPatiently(key: string, blob: Blob, namedByHash: boolean, how: Cancel): Promise<void> {
    let isUnclear = false;
    const attempt = async (): Promise<void> => {
      try {
        const mayCreate = (): Promise<void> => this.#refuseTaken(key, how);
        this.#features = await putOnce(this.#sdk, this.#client, blob, this.#features, mayCreate, how);
      } catch (error) {
        how.signal.throwIfAborted();
        // Another writer is putting the same bytes there right now, and may fail yet.
        if (namedByHash && statusOf(error) === 409) throw busy(this.label, key);
        const failure = s3Failure(error, this.#asked("storing", key));
        if (isUnclear && isFailure(failure, "store/exists")) return await this.#checkLanded(key, blob, how);
        isUnclear ||= failure !== error && !wasNotDone(error);
        throw failure;
      }
    };
    await retrying(attempt, this.#patience, { ...how, mayRetry: () => namedByHash || !isUnclear });
  }

  /** The key is taken after an attempt whose answer was lost: by that attempt, if the size is right. */
  async #checkLanded(key: string, { bytes }: Blob, how: Cancel): Promise<void> {
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
    const work = (): Promise<ListObjectsV2CommandOutput> =>
      this.#ask("listing", undefined, how, async () => {
        // Other programs' keys may hold what XML cannot.
        const where = { Bucket: this.#bucket, Prefix: this.#prefix + prefix, EncodingType: "url" } as const;
        const command = new this.#sdk.ListObjectsV2Command({ ...where, ...more });
        const page = await this.#client.send(command, { abortSignal: how.signal });
        checkIsS3(page.Name);
        checkIsS3(page.IsTruncated);
        return page;
      });
    return retrying(work, this.#patience, how);
  }

  *#infosOf(page: ListObjectsV2CommandOutput): Generator<BlobInfo> {
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      const path = decoded(Key ?? "");
      const key = path.slice(this.#prefix.length);
      if (!path.startsWith(this.#prefix) || !isSafeKey(key) || Size === undefined || !LastModified) continue;
      yield { key, size: Size, modified: LastModified };
    }
  }

  async #ask<Result>(
    verb: Asked["verb"],
    key: string | undefined,
    { signal }: Cancel,
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      throw s3Failure(error, this.#asked(verb, key));
    }
  }

  #asked(verb: Asked["verb"], key: string | undefined): Asked {
    return { verb, label: this.label, ...(key === undefined ? {} : { key }) };
  }

  #named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }
}

type ListMore = Pick<ListObjectsV2CommandInput, "MaxKeys" | "ContinuationToken">;

/** The last segment of `key` is the hash, perhaps with an extension: putting it twice is putting it once. */
function isNamedBy(key: string, sha256: string): boolean {
  const name = key.slice(key.lastIndexOf("/") + 1);
  return name === sha256 || (name.startsWith(`${sha256}.`) && !name.endsWith(".sig"));
}
