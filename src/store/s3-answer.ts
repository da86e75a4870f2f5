import { Readable } from "node:stream";
import type { GetObjectCommandOutput, ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import { DropsError } from "../lib/errors.ts";

/** The body, read into one buffer that is never larger than `maxSize`. */
export async function readWhole(
  { Body, ContentLength }: GetObjectCommandOutput,
  maxSize: number,
  refusal: (size: number) => DropsError,
): Promise<Uint8Array> {
  if (!(Body instanceof Readable)) throw new Error("the answer has no body");
  const size = ContentLength ?? 0;
  if (ContentLength === undefined || size > maxSize) Body.destroy();
  if (ContentLength === undefined) throw new Error("the answer does not say how long it is");
  if (size > maxSize) throw refusal(size);
  const bytes = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for await (const chunk of Body as AsyncIterable<Buffer>) filled += chunk.copy(bytes, filled);
  if (filled === size) return bytes;
  throw new Error(`the body ended after ${filled} of ${size} bytes`);
}

export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // no key of ours
  }
}

export function dateOf(response: unknown): string | undefined {
  if (typeof response !== "object" || response === null) return undefined;
  const headers: unknown = Reflect.get(response, "headers");
  const date: unknown =
    typeof headers === "object" && headers !== null ? Reflect.get(headers, "date") : undefined;
  return typeof date === "string" ? date : undefined;
}

export function busy(label: string, key: string): DropsError {
  return new DropsError(
    "store/unavailable",
    `storing ${key} in ${label}: another writer is storing it as well`,
    {
      hint: "run the command again",
    },
  );
}

export function outOfOrder(label: string, prefix: string): DropsError {
  return new DropsError(
    "store/refused",
    `listing ${prefix} in ${label}: the server does not list keys in order`,
    {
      hint: "use a server that lists keys in the order of their bytes, as S3 promises",
    },
  );
}

/** The token that asks for the next page; undefined after the last. */
export function nextPage(page: ListObjectsV2CommandOutput, label: string): string | undefined {
  if (!page.IsTruncated) return undefined;
  if (page.NextContinuationToken) return page.NextContinuationToken;
  throw new DropsError(
    "store/refused",
    `listing ${label}: the server says that there is more, and not where`,
    {
      hint: "use a server with ListObjectsV2",
    },
  );
}
