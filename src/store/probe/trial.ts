import { hash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../../lib/cancel.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Lock } from "../blob-store.ts";
import type { Sdk } from "../s3-client.ts";
import { statusOf } from "../s3-failure.ts";
import { announceMd5 } from "../s3-header.ts";
import { ALL_FEATURES, type Blob, type Features, modeOf, putOnce } from "../s3-put.ts";
import { type ProbeRefusal, refusalOf } from "./refusal.ts";

/** What happened when it was tried. `unknown`: neither done nor refused in words that are known. */
export type Tried = "refused" | "possible" | "unknown";

export interface Attempt {
  readonly tried: Tried;
  readonly why: string;
  readonly refusal?: ProbeRefusal;
  readonly version?: string | undefined;
}

/** The requests about one object, whose puts are those of a backup: same lock, same checksums. */
export class Trial {
  /** Without the prefix, for sentences. */
  readonly key: string;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #blob: Blob;
  readonly #named: { readonly Bucket: string; readonly Key: string };
  readonly #signal: AbortSignal;
  #features: Features = ALL_FEATURES;

  constructor(
    { sdk, client }: { readonly sdk: Sdk; readonly client: S3Client },
    { key, ...where }: { readonly key: string; readonly bucket: string; readonly prefix: string },
    { bytes, lock }: { readonly bytes: Uint8Array; readonly lock: Lock | undefined },
    { signal }: Cancel,
  ) {
    this.key = key;
    this.#sdk = sdk;
    this.#client = client;
    this.#named = { Bucket: where.bucket, Key: `${where.prefix}/${key}` };
    const { Bucket: bucket, Key: path } = this.#named;
    this.#blob = { bucket, path, bytes, sha256: hash("sha256", bytes, "hex"), lock };
    this.#signal = signal;
  }

  get lock(): Lock | undefined {
    return this.#blob.lock;
  }

  put({ createOnly }: { readonly createOnly: boolean }): Promise<Attempt> {
    return this.#attempt(async () => {
      const wanted = { ...this.#features, createOnly };
      const how = { signal: this.#signal };
      const landed = await putOnce(this.#sdk, this.#client, this.#blob, wanted, async () => {}, how);
      this.#features = landed.features;
      return { version: landed.version === "null" ? undefined : landed.version };
    });
  }

  /** As whoever deletes does, without naming a version. Looks whether it is gone: a server may say yes and do nothing. */
  remove(): Promise<Attempt> {
    return this.#attempt(async () => {
      const { VersionId } = await this.#client.send(
        new this.#sdk.DeleteObjectCommand(this.#named),
        this.#how(),
      );
      const where = { Bucket: this.#named.Bucket, Prefix: this.#named.Key, MaxKeys: 1 };
      const { Contents } = await this.#client.send(new this.#sdk.ListObjectsV2Command(where), this.#how());
      if (Contents?.some(({ Key }) => Key === this.#named.Key)) throw new Error(DID_NOT);
      return { version: VersionId };
    });
  }

  /** With `bypass`: past a lock in governance mode. */
  removeVersion(version: string, { bypass }: { readonly bypass: boolean }): Promise<Attempt> {
    return this.#attempt(async () => {
      const named = { ...this.#named, VersionId: version };
      const more = bypass ? { BypassGovernanceRetention: true } : {};
      const command = new this.#sdk.DeleteObjectCommand({ ...named, ...more });
      const { VersionId = version } = await this.#client.send(command, this.#how());
      if (VersionId !== version || (this.lock && (await this.#isLocked(version)))) throw new Error(DID_NOT);
      return {};
    });
  }

  /** Have its lock end at `until`, which is earlier than it does. */
  shorten(
    version: string,
    { lock, until, bypass }: { readonly lock: Lock; readonly until: Date; readonly bypass: boolean },
  ): Promise<Attempt> {
    return this.#attempt(async () => {
      const command = new this.#sdk.PutObjectRetentionCommand({
        ...{ ...this.#named, VersionId: version },
        ...(bypass ? { BypassGovernanceRetention: true } : {}),
        Retention: { Mode: modeOf(lock), RetainUntilDate: until },
      });
      announceMd5(command);
      await this.#client.send(command, this.#how());
      return {};
    });
  }

  /** Where this cannot be asked, the server's first answer stands. */
  async #isLocked(version: string): Promise<boolean> {
    const command = new this.#sdk.GetObjectRetentionCommand({ ...this.#named, VersionId: version });
    try {
      return (await this.#client.send(command, this.#how())).Retention?.RetainUntilDate !== undefined;
    } catch {
      this.#signal.throwIfAborted();
      return false;
    }
  }

  async #attempt(work: () => Promise<{ readonly version?: string | undefined }>): Promise<Attempt> {
    try {
      const { version } = await work();
      return { tried: "possible", why: "", version };
    } catch (error) {
      this.#signal.throwIfAborted();
      const refusal = refusalOf(error);
      if (refusal === "permission") return { tried: "refused", refusal, why: "access denied" };
      if (refusal === "lock") return { tried: "refused", refusal, why: "it is locked" };
      const status = statusOf(error);
      const name = error instanceof Error ? error.name : "Error";
      return {
        tried: "unknown",
        refusal,
        why: status === undefined ? messageOf(error) : `${name}, ${status}`,
      };
    }
  }

  #how(): { readonly abortSignal: AbortSignal } {
    return { abortSignal: this.#signal };
  }
}

const DID_NOT = "the server said yes and did not do it";
