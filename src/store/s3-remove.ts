import { createHash } from "node:crypto";
import type { DeleteObjectsCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import type { Sdk } from "./s3-client.ts";
import { NOT_S3 } from "./s3-failure.ts";

/** Keys in one DeleteObjects request, as the protocol allows. */
export const MOST_REMOVED = 1000;

export interface RemovalFailure {
  readonly path: string;
  /** Named as the server's code, for `s3Failure`. */
  readonly error: Error;
}

/**
 * Ask once for at most MOST_REMOVED paths to be removed. The answer is 200 even when single ones failed, so each is looked
 * for in it: what it does not mention has failed too.
 *
 * @returns those that failed
 */
export async function removeOnce(
  sdk: Sdk,
  client: S3Client,
  what: { readonly bucket: string; readonly paths: readonly string[] },
  { signal }: Cancel,
): Promise<RemovalFailure[]> {
  const command = new sdk.DeleteObjectsCommand({
    Bucket: what.bucket,
    Delete: { Objects: what.paths.map((Key) => ({ Key })), Quiet: false },
  });
  // The protocol demands one of several checksums of the body; this is the one that every server knows.
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      if (hasBody(request)) {
        request.headers["content-md5"] = createHash("md5").update(request.body).digest("base64");
      }
      return next(args);
    },
    { step: "build", name: "announceMd5", priority: "low" },
  );
  return failuresIn(await client.send(command, { abortSignal: signal }), what.paths);
}

function failuresIn({ Deleted = [], Errors = [] }: DeleteObjectsCommandOutput, paths: readonly string[]) {
  const gone = new Set([
    ...Deleted.map(({ Key }) => Key),
    ...Errors.filter(({ Code }) => Code === "NoSuchKey").map(({ Key }) => Key),
  ]);
  const told = new Map(Errors.map(({ Key, Code, Message }) => [Key, named(Code, Message)]));
  return paths
    .filter((path) => !gone.has(path))
    .map((path) => ({ path, error: told.get(path) ?? new Error(NOT_S3) }));
}

function named(code: string | undefined, message: string | undefined): Error {
  return Object.assign(new Error(message ?? code), { name: code ?? "Error" });
}

function hasBody(
  request: unknown,
): request is { body: string | Uint8Array; headers: Record<string, string> } {
  if (typeof request !== "object" || request === null) return false;
  if (!("headers" in request) || !("body" in request)) return false;
  return typeof request.body === "string" || request.body instanceof Uint8Array;
}
