import { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import type { GetObjectCommandOutput, HeadObjectCommandOutput } from "@aws-sdk/client-s3";
import { copyBytes } from "../lib/copy-bytes.ts";
import { DropsError } from "../lib/errors.ts";
import { freeMemory } from "../lib/free-memory.ts";
import { NOT_S3 } from "./s3-failure.ts";

/**
 * Throws unless `mark`, which every S3 server gives with such an answer, is there. A login page of a network, or a proxy
 * that says 200, would else be read as an empty listing, or as a blob that was stored.
 */
export function checkIsS3(mark: unknown): void {
  if (mark === undefined) throw new Error(NOT_S3);
}

/** The body, read into one buffer that is never larger than `maxSize`: the beginning of `into` where it fits. */
export async function readWhole(
  { Body, ContentLength, ETag }: GetObjectCommandOutput,
  maxSize: number,
  refusal: (size: number) => DropsError,
  into?: Uint8Array,
): Promise<Uint8Array> {
  if (!(Body instanceof Readable)) throw new Error(NOT_S3);
  const size = ContentLength ?? 0;
  if (ETag === undefined || ContentLength === undefined || size > maxSize) Body.destroy();
  checkIsS3(ETag);
  if (ContentLength === undefined) throw new Error(NOT_S3);
  if (size > maxSize) throw refusal(size);
  const bytes = into && into.length >= size ? into.subarray(0, size) : Buffer.allocUnsafeSlow(size);
  const filled = await fill(bytes, Body);
  if (filled === size) return bytes;
  throw new Error(`the body ended after ${filled} of ${size} bytes`);
}

/** As lower-case hex. That of an upload in parts is no hash of the object, and counts as none. */
export function storedChecksum({ ChecksumSHA256, ETag }: HeadObjectCommandOutput): string | undefined {
  checkIsS3(ETag);
  if (!/^[A-Za-z0-9+/]{43}=$/.test(ChecksumSHA256 ?? "")) return undefined;
  return Buffer.from(ChecksumSHA256 ?? "", "base64").toString("hex");
}

/** Answers how many bytes came, which are never more than there is room for. */
async function fill(bytes: Uint8Array, body: Readable): Promise<number> {
  const into = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let filled = 0;
  // Events, as an iterator costs as much for each of these small pieces as copying it.
  body.on("data", (chunk: Buffer) => {
    if (filled + chunk.length > into.length) return void body.destroy(); // more than was announced
    copyBytes(chunk, into, filled);
    filled += chunk.length;
    if (chunk.byteLength === chunk.buffer.byteLength) freeMemory(chunk); // its own: a pack would else lie here twice
  });
  await finished(body, { writable: false });
  return filled;
}

/** A key of a listing with `EncodingType: url`; empty when it is malformed. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // no key of ours
  }
}

/** The Date header of the SDK's raw response; undefined when there is none. */
export function dateOf(response: unknown): string | undefined {
  if (typeof response !== "object" || response === null) return undefined;
  const headers: unknown = Reflect.get(response, "headers");
  const date: unknown =
    typeof headers === "object" && headers !== null ? Reflect.get(headers, "date") : undefined;
  return typeof date === "string" ? date : undefined;
}

/** Another writer puts the same key right now: store/unavailable, so that it is tried again. */
export function busy(label: string, key: string): DropsError {
  return new DropsError("store/unavailable", `storing ${key} in ${label}: another writer is storing it too`, {
    hint: "run the command again",
  });
}

/** A listing whose keys do not ascend cannot be merged with sorted tables: store/refused. */
export function outOfOrder(label: string, prefix: string): DropsError {
  return new DropsError(
    "store/refused",
    `listing ${prefix} in ${label}: the server does not list keys in order`,
    {
      hint: "use a server that lists keys in the order of their bytes, as S3 promises",
    },
  );
}
