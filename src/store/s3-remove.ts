import type { DeleteObjectsCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import type { Sdk } from "./s3-client.ts";
import { NOT_S3 } from "./s3-failure.ts";
import { announceMd5 } from "./s3-md5.ts";

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
  announceMd5(command);
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
