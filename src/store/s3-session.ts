import type { S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import type { S3Policy } from "../policy/schema.ts";
import { type Patience, retrying } from "./retrying.ts";
import type { Sdk } from "./s3-client.ts";
import { type Asked, s3Failure } from "./s3-failure.ts";
import { s3Label } from "./store-url.ts";

/** One repository in one bucket, and how it is asked: what the SDK throws comes out as a failure of drops. */
export class S3Session {
  readonly label: string;
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly bucket: string;
  /** With a slash at its end. */
  readonly prefix: string;
  readonly patience: Patience;

  constructor(sdk: Sdk, client: S3Client, s3: S3Policy, patience: Patience) {
    this.label = s3Label(s3);
    this.sdk = sdk;
    this.client = client;
    this.bucket = s3.bucket;
    this.prefix = `${s3.prefix}/`;
    this.patience = patience;
  }

  /** Once. */
  async ask<Result>(
    verb: Asked["verb"],
    key: string | undefined,
    { signal }: Cancel,
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      throw s3Failure(error, this.asked(verb, key));
    }
  }

  /** Several times when that may help: only for what may be done twice. */
  askPatiently<Result>(
    verb: Asked["verb"],
    key: string | undefined,
    how: Cancel,
    work: () => Promise<Result>,
  ): Promise<Result> {
    return retrying(() => this.ask(verb, key, how, work), this.patience, how);
  }

  asked(verb: Asked["verb"], key: string | undefined): Asked {
    return { verb, label: this.label, ...(key === undefined ? {} : { key }) };
  }

  named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + key };
  }
}
