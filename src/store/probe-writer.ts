import { hash, randomBytes } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import { messageOf } from "../lib/errors.ts";
import type { S3Policy } from "../policy/schema.ts";
import type { S3Credentials } from "./credentials.ts";
import { keyTime, packKey, recordKey, signatureKey } from "./keys.ts";
import { makeS3Client, type Sdk, TIMEOUTS } from "./s3-client.ts";
import { statusOf } from "./s3-failure.ts";

/** What happened when it was tried. `unknown`: neither done nor refused for want of permission. */
export type Tried = "refused" | "possible" | "unknown";

export interface WriterProbe {
  /** Putting over an object without the header that asks for create-only. */
  readonly overwrite: Tried;
  readonly delete: Tried;
  /** Removing an earlier version, where the bucket keeps versions; `none` where it keeps none. */
  readonly deleteVersion: Tried | "none";
  /**
   * Whether whoever holds this credential can destroy what is stored. Where versions are kept and cannot be removed, an
   * overwrite or a delete only hides, until a rule of the bucket's lifecycle removes the version.
   */
  readonly canDestroy: "yes" | "no" | "unknown";
  /** For people, one sentence each. */
  readonly found: readonly string[];
  /** Keys of probes that could not be removed. Nothing refers to them: a prune removes them. */
  readonly left: readonly string[];
}

interface Probe extends Omit<WriterProbe, "found" | "canDestroy" | "left"> {
  readonly key: string;
  readonly gone: boolean;
  readonly found: readonly string[];
}

/**
 * Whether the credential of whoever makes backups can overwrite or delete, found out by trying both on two objects of its own:
 * one beside the packs and one beside the records, as permissions may differ there. They are random bytes under a name that
 * nothing can refer to, like what a killed backup leaves behind, and are put over with the same bytes. No other object is
 * named in any request.
 *
 * @throws DropsError key/missing for an unreadable ca_file; what the store refuses is in the answer
 */
export async function probeWriter(
  s3: S3Policy,
  policy: string,
  credentials: S3Credentials,
  now: Date,
  how: Cancel,
): Promise<WriterProbe> {
  const sdk = await import("@aws-sdk/client-s3");
  const client = await makeS3Client(sdk, s3, credentials, TIMEOUTS);
  try {
    const bytes = randomBytes(256);
    const record = recordKey(policy, keyTime(now), randomBytes(8).toString("hex"));
    const keys = [packKey(policy, hash("sha256", bytes, "hex")), signatureKey(record)];
    const probes: Probe[] = [];
    for (const key of keys) probes.push(await tryOn(new Trial(sdk, client, s3, key, bytes, how)));
    return verdict(probes);
  } finally {
    client.destroy();
  }
}

async function tryOn(trial: Trial): Promise<Probe> {
  const { key } = trial;
  const first = await trial.put({ createOnly: true });
  if (first.tried !== "possible") {
    const found = [`${key}: this credential cannot put an object there (${first.why})`];
    return { key, gone: true, overwrite: "unknown", delete: "unknown", deleteVersion: "none", found };
  }
  const second = await trial.put({ createOnly: false });
  const version = await trial.removeVersion(first.version);
  const removed = await trial.remove();
  // Gone for good, or behind a delete marker: the newest version must not stay where it can be removed.
  if (version.tried === "possible") await trial.removeVersion(second.version);
  const gone = removed.tried === "possible";
  const found = [
    `${key}: overwriting is ${inWords(second)}, deleting is ${inWords(removed)}`,
    ...(first.version === undefined
      ? []
      : [`${key}: versions are kept; removing one is ${inWords(version)}`]),
  ];
  const deleteVersion = first.version === undefined ? "none" : version.tried;
  return { key, gone, overwrite: second.tried, delete: removed.tried, deleteVersion, found };
}

interface Attempt {
  readonly tried: Tried;
  readonly why: string;
  readonly version?: string | undefined;
}

/** The requests about one object. */
class Trial {
  readonly key: string;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #named: { readonly Bucket: string; readonly Key: string };
  readonly #bytes: Uint8Array;
  readonly #how: { readonly abortSignal: AbortSignal };

  constructor(sdk: Sdk, client: S3Client, s3: S3Policy, key: string, bytes: Uint8Array, how: Cancel) {
    this.key = key;
    this.#sdk = sdk;
    this.#client = client;
    this.#named = { Bucket: s3.bucket, Key: `${s3.prefix}/${key}` };
    this.#bytes = bytes;
    this.#how = { abortSignal: how.signal };
  }

  put({ createOnly }: { readonly createOnly: boolean }): Promise<Attempt> {
    return this.#attempt(async () => {
      const checksum = hash("sha256", this.#bytes, "base64");
      const { VersionId, ETag } = await this.#client.send(
        new this.#sdk.PutObjectCommand({
          ...this.#named,
          Body: this.#bytes,
          ChecksumSHA256: checksum, // Object Lock wants one
          ...(createOnly ? { IfNoneMatch: "*" } : {}),
        }),
        this.#how,
      );
      return { done: ETag !== undefined, version: VersionId === "null" ? undefined : VersionId };
    });
  }

  /** Looks whether it is gone: a server may say yes and do nothing. */
  remove(): Promise<Attempt> {
    return this.#attempt(async () => {
      await this.#client.send(new this.#sdk.DeleteObjectCommand(this.#named), this.#how);
      const where = { Bucket: this.#named.Bucket, Prefix: this.#named.Key, MaxKeys: 1 };
      const { Contents } = await this.#client.send(new this.#sdk.ListObjectsV2Command(where), this.#how);
      return { done: !Contents?.some(({ Key }) => Key === this.#named.Key) };
    });
  }

  async removeVersion(version: string | undefined): Promise<Attempt> {
    if (version === undefined) return { tried: "unknown", why: "there are no versions" };
    return this.#attempt(async () => {
      const command = new this.#sdk.DeleteObjectCommand({ ...this.#named, VersionId: version });
      await this.#client.send(command, this.#how);
      return { done: true };
    });
  }

  async #attempt(
    work: () => Promise<{ readonly done: boolean; readonly version?: string | undefined }>,
  ): Promise<Attempt> {
    try {
      const { done, version } = await work();
      return done
        ? { tried: "possible", why: "", version }
        : { tried: "unknown", why: "the server said yes and did not do it" };
    } catch (error) {
      this.#how.abortSignal.throwIfAborted();
      const status = statusOf(error);
      const name = error instanceof Error ? error.name : "Error";
      // Only this says that permission is missing; wrong keys and clocks are 403 as well.
      if (status === 403 && name === "AccessDenied") return { tried: "refused", why: "access denied" };
      return { tried: "unknown", why: status === undefined ? messageOf(error) : `${name}, ${status}` };
    }
  }
}

function verdict(probes: readonly Probe[]): WriterProbe {
  const all = (of: (probe: Probe) => Tried | "none"): (Tried | "none")[] => probes.map(of);
  const kept = probes.filter(({ deleteVersion }) => deleteVersion !== "none");
  const hides = kept.length === probes.length;
  const overwrite = worst(all((probe) => probe.overwrite));
  const remove = worst(all((probe) => probe.delete));
  const version = worst(kept.map(({ deleteVersion }) => deleteVersion));
  const destroys = hides ? version : worst([overwrite, remove]);
  return {
    overwrite,
    delete: remove,
    deleteVersion: hides ? version : "none",
    canDestroy: ({ possible: "yes", refused: "no", unknown: "unknown" } as const)[destroys],
    found: probes.flatMap(({ found }) => found),
    left: probes.filter(({ gone }) => !gone).map(({ key }) => key),
  };
}

/** What is possible anywhere is possible; what is not known anywhere is not known. */
function worst(tried: readonly (Tried | "none")[]): Tried {
  if (tried.includes("possible")) return "possible";
  return tried.length > 0 && tried.every((one) => one === "refused") ? "refused" : "unknown";
}

function inWords({ tried, why }: Attempt): string {
  return tried === "unknown" ? `not proven (${why})` : tried;
}
