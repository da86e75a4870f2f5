import type { DeleteObjectsCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { Cancel } from "../lib/cancel.ts";
import { mapLimit } from "../lib/map-limit.ts";
import type { Sdk } from "./s3-client.ts";
import { NOT_S3, statusOf } from "./s3-failure.ts";
import { announceMd5 } from "./s3-header.ts";

/** Keys in one DeleteObjects request, as the protocol allows. */
export const MOST_REMOVED = 1000;

/** Where each takes a request of its own. */
const AT_ONCE = 8;

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
  try {
    return failuresIn(await client.send(command, { abortSignal: signal }), what.paths);
  } catch (error) {
    if (statusOf(error) !== 501) throw error; // S3Proxy, whatever is asked
    return removeSingly(sdk, client, what, { signal });
  }
}

async function removeSingly(
  sdk: Sdk,
  client: S3Client,
  { bucket, paths }: { readonly bucket: string; readonly paths: readonly string[] },
  how: Cancel,
): Promise<RemovalFailure[]> {
  const work = async (path: string, abortSignal: AbortSignal): Promise<RemovalFailure | undefined> => {
    try {
      await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: path }), { abortSignal });
    } catch (error) {
      how.signal.throwIfAborted();
      if (error instanceof Error && error.name === "NoSuchKey") return undefined;
      return { path, error: error instanceof Error ? error : new Error(NOT_S3) };
    }
    return undefined;
  };
  const failures: RemovalFailure[] = [];
  for await (const failure of mapLimit(paths, AT_ONCE, work, how.signal)) if (failure) failures.push(failure);
  return failures;
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
