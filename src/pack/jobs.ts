/**
 * The work that touches every byte of a pack, as two pure functions over whole buffers. They run in worker threads
 * (worker.ts) and, where no thread is worth its start, in place.
 */
import { hash } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { DropsError } from "../lib/errors.ts";
import { freeMemory } from "../lib/free-memory.ts";
import { openInto, openKey, type SealKey, sealInto } from "../seal/age-stream.ts";
import { MAX_PACK_TAR, PACK_BUFFER_SIZE } from "./pack-buffer.ts";
import { proveReadable } from "./prove-readable.ts";
import { readChunkHeaders, type TarChunk } from "./tar-bytes.ts";

/** One output buffer for nearly every pack, of a size that the allocator keeps for the next one (glibc: below 32 MiB). */
const OUTPUT = 31 * 1024 * 1024;

const SMALL_PACK = 4 * 1024 * 1024;

export interface SealJob {
  readonly kind: "seal";
  /** Holds the tar in [0, used); the sealed pack comes back in the same memory. */
  readonly memory: ArrayBuffer;
  readonly used: number;
  readonly key: SealKey;
  /** zstd level. */
  readonly level: number;
  /** Decrypt the result back through the age package itself and compare. */
  readonly prove: boolean;
}

export interface SealedPack {
  readonly memory: ArrayBuffer;
  readonly size: number;
  readonly sha256: string;
}

export interface OpenJob {
  readonly kind: "open";
  readonly sealed: Uint8Array;
  readonly sha256: string;
  readonly identities: readonly string[];
}

export interface OpenedPack {
  readonly tar: Uint8Array;
  readonly chunks: readonly TarChunk[];
}

export async function runSeal(job: SealJob): Promise<SealedPack> {
  const memory = new Uint8Array(job.memory);
  const compressed = zstdCompressSync(memory.subarray(0, job.used), {
    params: { [constants.ZSTD_c_compressionLevel]: job.level, [constants.ZSTD_c_checksumFlag]: 0 },
    chunkSize: outputSize(job.used), // one output buffer, not thousands to join
  });
  const size = sealInto(job.key, compressed, memory);
  const sealed = memory.subarray(0, size);
  if (job.prove) await proveReadable(job.key, sealed, compressed);
  freeMemory(compressed);
  return { memory: job.memory, size, sha256: hash("sha256", sealed, "hex") };
}

/**
 * Check a stored pack's name, open it, and check every chunk against its own name. Throws data/damaged, key/wrong.
 * `sealed` is used up: it is opened where it lies. `tar` owns its memory: it can be transferred.
 */
export async function runOpen(job: OpenJob): Promise<OpenedPack> {
  if (hash("sha256", job.sealed, "hex") !== job.sha256) {
    throw new DropsError("data/damaged", `pack ${job.sha256} does not hold the bytes that its name promises`);
  }
  const key = await openKey(job.identities, job.sealed);
  const plain = job.sealed.subarray(0, openInto(key, job.sealed, job.sealed));
  const tar = inflate(plain, job.sha256);
  const chunks = readChunkHeaders(tar);
  for (const chunk of chunks) {
    if (hash("sha256", tar.subarray(chunk.offset, chunk.offset + chunk.size), "hex") !== chunk.id) {
      throw new DropsError("data/damaged", `chunk ${chunk.id} in pack ${job.sha256} does not match its name`);
    }
  }
  return { tar, chunks };
}

function inflate(compressed: Uint8Array, name: string): Buffer {
  try {
    return zstdDecompressSync(compressed, { maxOutputLength: MAX_PACK_TAR, chunkSize: OUTPUT });
  } catch (cause) {
    throw new DropsError(
      "data/damaged",
      `pack ${name} does not hold a zstd frame of at most ${MAX_PACK_TAR} bytes`,
      { cause },
    );
  }
}

/**
 * Room for the worst that zstd makes of `size` bytes. A large pack asks for more than the 32 MiB above which glibc maps
 * memory by itself and gives it back when it is freed; below that it would stay with the allocator.
 */
function outputSize(size: number): number {
  return size < SMALL_PACK ? size + (size >> 8) + 64 * 1024 : PACK_BUFFER_SIZE;
}
