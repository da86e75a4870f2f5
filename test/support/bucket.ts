import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { TestS3 } from "./s3.ts";

/** A bucket of the S3 server for programs that are not drops, over https. */
export interface Bucket extends AsyncDisposable {
  readonly name: string;
  /** What recover.sh is told beside the address. */
  readonly options: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Put every file of a directory below a new prefix; answers its address, `s3://BUCKET/PREFIX`. */
  upload(directory: string): Promise<string>;
  /** `metadata`: what whoever puts it claims of it. */
  put(key: string, bytes: Uint8Array, metadata?: Readonly<Record<string, string>>): Promise<void>;
  remove(key: string): Promise<void>;
}

export async function openBucket(s3: TestS3): Promise<Bucket> {
  const name = await s3.makeBucket();
  const { endpoint, credentials } = s3;
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  let prefixes = 0;
  const put: Bucket["put"] = async (key, bytes, metadata = {}) => {
    await client.send(new PutObjectCommand({ Bucket: name, Key: key, Body: bytes, Metadata: metadata }));
  };
  return {
    name,
    put,
    options: ["--endpoint", s3.tlsEndpoint, "--ca-file", s3.caFile],
    env: {
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    async upload(directory) {
      const prefix = `a/prefix-${prefixes++}`;
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      const files = entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
      await Promise.all(
        files.map(async (file) => put(`${prefix}/${relative(directory, file)}`, await readFile(file))),
      );
      return `s3://${name}/${prefix}`;
    },
    async remove(key) {
      await client.send(new DeleteObjectCommand({ Bucket: name, Key: key }));
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
}
