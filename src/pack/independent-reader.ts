/**
 * A pack as others read it: opened by the age package, inflated by zlib's own one call and read by the tar package. No code that
 * makes packs or restores them is used, so what both say is no mistake of one of them.
 */
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import type { Identity } from "age-encryption";
import { DropsError, messageOf } from "../lib/errors.ts";
import { MAX_PACK_TAR } from "./pack-buffer.ts";

/** An entry of a pack's tar. */
export interface ReadEntry {
  readonly name: string;
  /** SHA-256 of its content, hex. */
  readonly sha256: string;
}

/**
 * Read a whole sealed pack of at most 32 MiB; about 10 ms for each MiB.
 *
 * @param identities secret lines of identity files, or objects that open a header
 * @throws DropsError data/damaged, naming the package that cannot read it
 */
export async function readIndependently(
  sealed: Uint8Array,
  identities: readonly (string | Identity)[],
): Promise<ReadEntry[]> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  // A copy: noble's ciphers take no shared memory.
  const compressed = await by("age", () => decrypter.decrypt(Uint8Array.from(sealed)));
  const tar = await by("zlib", () => zstdDecompressSync(compressed, { maxOutputLength: MAX_PACK_TAR }));
  return by("tar", () => entriesOf(tar));
}

async function by<Result>(reader: string, read: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (cause) {
    throw new DropsError("data/damaged", `${reader} cannot read it (${messageOf(cause)})`, { cause });
  }
}

async function entriesOf(tar: Buffer): Promise<ReadEntry[]> {
  // Before anything else, tar inflates what begins like gzip, without a bound.
  if (tar[0] === 0x1f) throw new TypeError("it is compressed once more");
  const { Parser } = await import("tar");
  const entries: ReadEntry[] = [];
  await new Promise<void>((resolve, reject) => {
    const parser = new Parser({
      strict: true, // what it would warn of is an error
      brotli: false,
      zstd: false,
      onReadEntry: (entry) => {
        const content = createHash("sha256");
        entry.on("data", (piece: Buffer) => content.update(piece));
        entry.on("end", () => entries.push({ name: entry.path, sha256: content.digest("hex") }));
      },
    });
    parser.on("end", () => resolve());
    parser.on("error", reject);
    parser.end(tar);
  });
  return entries;
}

/** What others read must be chunks under these names, in this order. Throws data/damaged. */
export function expectChunks(entries: readonly ReadEntry[], names: readonly string[]): void {
  if (entries.length !== names.length)
    throw new DropsError(
      "data/damaged",
      `tar reads ${entries.length} entries in it instead of ${names.length} chunks`,
    );
  for (const [at, { name, sha256 }] of entries.entries()) {
    if (name !== names[at])
      throw new DropsError("data/damaged", `tar reads the name ${name} in it instead of ${names[at]}`);
    if (sha256 !== name)
      throw new DropsError("data/damaged", `tar reads other bytes in it than chunk ${name} has`);
  }
}
