import { createHash } from "node:crypto";
import { constants, createZstdDecompress } from "node:zlib";
import * as z from "zod";
import { breathe, mayBreathe } from "../lib/breathe.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { checkShape, parseCanonical } from "./canonical-json.ts";
import type { ManifestEntry } from "./entry.ts";
import { decodeEntry, MAX_LINE } from "./entry-line.ts";
import { ManifestHead } from "./manifest-head.ts";

/** A stored manifest is never larger than this. Bytes. */
export const MAX_MANIFEST = 1024 * 1024 * 1024;
/** zstd windows larger than 128 MiB are refused, as the zstd program does. */
const WINDOW_LOG_MAX = 27;

const End = z.strictObject({
  end: z.literal(true),
  entries: z.int().nonnegative(),
  sha256: z.string().length(64),
});

export interface OpenManifest {
  readonly head: ManifestHead;
  /** Once only, in ascending order of path bytes. Throws data/damaged when the end line is missing or does not agree. */
  readonly entries: AsyncGenerator<ManifestEntry>;
  /** SHA-256 of the entry lines, from the last line; undefined until `entries` has been read to its end. */
  readonly digest: () => string | undefined;
}

/**
 * Read a manifest's plaintext frame. The bytes are those that the hash in the record names; nothing is held but a line.
 *
 * @param packNumber from the index in the manifest's list to the reader's pack number
 */
export async function openManifest(
  compressed: Uint8Array,
  packNumber: (index: number) => number | undefined,
  name: string,
  how: Cancel,
): Promise<OpenManifest> {
  const lines = readLines(compressed, name, how);
  const first = await lines.next();
  if (first.done) throw new DropsError("data/damaged", `manifest ${name} is empty`);
  const head = checkShape(
    parseCanonical(first.value, 0, `manifest ${name} line 1`),
    ManifestHead,
    `manifest ${name} line 1`,
  );
  let digest: string | undefined;
  const onEnd = (sha256: string) => {
    digest = sha256;
  };
  return { head, entries: readEntries(lines, packNumber, name, onEnd), digest: () => digest };
}

async function* readEntries(
  lines: AsyncGenerator<string>,
  packNumber: (index: number) => number | undefined,
  name: string,
  onEnd: (sha256: string) => void,
): AsyncGenerator<ManifestEntry> {
  let count = 0;
  let last: Buffer | undefined;
  const hash = createHash("sha256");
  for await (const line of lines) {
    const what = `manifest ${name} line ${count + 2}`;
    if (line.startsWith('{"end":')) {
      onEnd(checkEnd(line, what, { name, count, sha256: hash.digest("hex") }));
      return;
    }
    hash.update(line).update("\n");
    const entry = decodeEntry(line, packNumber, what);
    if (last && Buffer.compare(last, entry.path) >= 0)
      throw new DropsError("data/damaged", `${what} is out of order`);
    last = entry.path;
    if (mayBreathe(++count)) await breathe();
    yield entry;
  }
  throw new DropsError("data/damaged", `manifest ${name} ends before its last line`);
}

function checkEnd(
  line: string,
  what: string,
  read: { readonly name: string; readonly count: number; readonly sha256: string },
): string {
  const end = checkShape(parseCanonical(line, 0, what), End, what);
  if (end.entries !== read.count)
    throw new DropsError(
      "data/damaged",
      `manifest ${read.name} holds ${read.count} entries and says ${end.entries}`,
    );
  if (end.sha256 !== read.sha256)
    throw new DropsError("data/damaged", `manifest ${read.name} has other lines than its last one says`);
  return end.sha256;
}

async function* readLines(compressed: Uint8Array, name: string, how: Cancel): AsyncGenerator<string> {
  let begun: Buffer[] = []; // of a line whose end has not come yet
  let length = 0;
  for await (const part of inflate(compressed, name)) {
    how.signal.throwIfAborted();
    const last = part.lastIndexOf(10);
    if (last >= 0) {
      yield* Buffer.concat([...begun, part.subarray(0, last)])
        .toString("utf8")
        .split("\n");
      begun = [];
      length = 0;
    }
    if (last + 1 < part.length) begun.push(part.subarray(last + 1));
    length += part.length - last - 1;
    if (length > MAX_LINE)
      throw new DropsError("data/damaged", `manifest ${name} has a line longer than ${MAX_LINE} bytes`);
  }
  if (begun.length > 0) throw new DropsError("data/damaged", `manifest ${name} ends in the middle of a line`);
}

async function* inflate(compressed: Uint8Array, name: string): AsyncGenerator<Buffer> {
  const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX };
  const stream = createZstdDecompress({ chunkSize: 256 * 1024, params });
  stream.end(compressed);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new DropsError("data/damaged", `manifest ${name} is not a whole zstd frame`, { cause });
  } finally {
    stream.destroy();
  }
}
