import { webcrypto } from "node:crypto";
import { Readable } from "node:stream";
import type { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import type { Lock } from "./blob-store.ts";
import { checkIsS3 } from "./s3-answer.ts";
import type { Sdk } from "./s3-client.ts";
import { isNoLock, mayBeUnknownHeader, statusOf } from "./s3-failure.ts";
import { setHeader } from "./s3-header.ts";

/** What not every server understands. Each is tried, and left out from then on where the server refuses it. */
export interface Features {
  /** `If-None-Match: *`: the server refuses a put of a taken key. */
  readonly createOnly: boolean;
  /** `x-amz-checksum-sha256`: the server keeps the checksum beside the blob. */
  readonly checksum: boolean;
}

export const ALL_FEATURES: Features = { createOnly: true, checksum: true };

/** In one piece, https would hold a second, encrypted copy of a whole pack for each put in flight. */
const SLICE = 256 * 1024;

export interface Blob {
  readonly bucket: string;
  /** With the prefix. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly lock: Lock | undefined;
}

/** What became of a put. */
export interface Landed {
  /** Those that the server accepted. */
  readonly features: Features;
  /** Undefined where it keeps none. */
  readonly version: string | undefined;
}

/**
 * One put, with as many of `features` as the server accepts. A refusal of a header is a
 * clear answer, so the put may be sent again without it. `mayCreate` is asked before a put that the server would not
 * refuse for a taken key, and throws when it is taken.
 */
export async function putOnce(
  sdk: Sdk,
  client: S3Client,
  blob: Blob,
  features: Features,
  mayCreate: () => Promise<void>,
  { signal }: Cancel,
): Promise<Landed> {
  let first: unknown;
  for (const subset of subsetsOf(features)) {
    if (!subset.createOnly) await mayCreate();
    try {
      const { ETag, VersionId } = await client.send(putCommand(sdk, blob, subset), { abortSignal: signal });
      checkIsS3(ETag);
      return { features: subset, version: VersionId };
    } catch (error) {
      if (!mayBeUnknownHeader(error)) throw error;
      // Versity refuses the lock and keeps the object: the next attempt would find it there.
      if (blob.lock && isNoLock(error) && statusOf(error) === 400) throw error;
      first ??= error;
    }
  }
  throw first;
}

/** SHA-256 as lower-case hex, off the main thread. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest("SHA-256", bytes)).toString("hex");
}

function putCommand({ PutObjectCommand }: Sdk, blob: Blob, features: Features): PutObjectCommand {
  const command = new PutObjectCommand({
    Bucket: blob.bucket,
    Key: blob.path,
    Body: blob.bytes.length > SLICE ? Readable.from(slices(blob.bytes), { objectMode: false }) : blob.bytes,
    ContentLength: blob.bytes.length,
    ContentType: "application/octet-stream",
    ...(features.createOnly ? { IfNoneMatch: "*" } : {}),
    ...(blob.lock ? { ObjectLockMode: modeOf(blob.lock), ObjectLockRetainUntilDate: blob.lock.until } : {}),
    // Ceph checks the one, and keeps it only where it is told the other.
    ...(features.checksum
      ? { ChecksumAlgorithm: "SHA256", ChecksumSHA256: Buffer.from(blob.sha256, "hex").toString("base64") }
      : {}),
  });
  // Signed, and the server holds the body against it. Without it the SDK's signer would hash the body once more, on the main thread.
  setHeader(command, "x-amz-content-sha256", () => blob.sha256);
  return command;
}

/** A lock's mode in the words of the protocol. */
export function modeOf({ mode }: Lock): "GOVERNANCE" | "COMPLIANCE" {
  return mode === "compliance" ? "COMPLIANCE" : "GOVERNANCE";
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE) yield bytes.subarray(at, at + SLICE);
}

/** From everything in `features` to nothing, no subset twice. */
function subsetsOf({ createOnly, checksum }: Features): readonly Features[] {
  const all: readonly Features[] = [
    { createOnly, checksum },
    { createOnly, checksum: false },
    { createOnly: false, checksum },
    { createOnly: false, checksum: false },
  ];
  return all.filter(
    (one, at) =>
      all.findIndex((other) => other.createOnly === one.createOnly && other.checksum === one.checksum) === at,
  );
}
