/**
 * The work that touches every byte of a pack, as two pure functions over whole buffers. They run in worker threads
 * (worker.ts) and, where no thread is worth its start, in place.
 */
import { hash } from "node:crypto";
import { DropsError } from "../lib/errors.ts";
import { openInto, openKey, type SealKey, sealInto } from "../seal/age-stream.ts";
import { COMPRESSED_AT, MAX_PACK_TAR, TAR_AT } from "./pack-buffer.ts";
import { proveReadable } from "./prove-readable.ts";
import { readChunkHeaders, type TarChunk } from "./tar-bytes.ts";
import { compressInto, decompressInto } from "./zstd-in-place.ts";

export interface SealJob {
  readonly kind: "seal";
  /** Holds the tar in [TAR_AT, TAR_AT + used); the sealed pack comes back in the same memory, from its start. */
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
  /** Holds the sealed pack at its end (fetch-pack.ts); the tar comes back in the same memory, from its start. */
  readonly slot: SharedArrayBuffer;
  /** Bytes of the sealed pack. */
  readonly size: number;
  readonly sha256: string;
  readonly identities: readonly string[];
}

export interface OpenedPack {
  readonly tar: Uint8Array;
  readonly chunks: readonly TarChunk[];
}

export async function runSeal(job: SealJob): Promise<SealedPack> {
  const memory = new Uint8Array(job.memory);
  const at = memory.subarray(COMPRESSED_AT);
  const compressed = at.subarray(
    0,
    await compressInto(memory.subarray(TAR_AT, TAR_AT + job.used), at, job.level),
  );
  const kept = job.prove ? compressed.slice() : undefined;
  const size = sealInto(job.key, compressed, memory);
  const sealed = memory.subarray(0, size);
  if (kept) await proveReadable(job.key, sealed, kept);
  return { memory: job.memory, size, sha256: hash("sha256", sealed, "hex") };
}

/**
 * Check a stored pack's name, open it, and check every chunk against its own name. Throws data/damaged, key/wrong.
 * It is used up: it is opened where it lies, and unpacked over itself.
 */
export async function runOpen(job: OpenJob): Promise<OpenedPack> {
  const sealed = new Uint8Array(job.slot, job.slot.byteLength - job.size);
  if (hash("sha256", sealed, "hex") !== job.sha256) {
    throw new DropsError("data/damaged", `pack ${job.sha256} does not hold the bytes that its name promises`);
  }
  const key = await openKey(job.identities, sealed);
  const tar = await inflate(sealed.subarray(0, openInto(key, sealed, sealed)), job);
  const chunks = readChunkHeaders(tar);
  for (const chunk of chunks) {
    if (hash("sha256", tar.subarray(chunk.offset, chunk.offset + chunk.size), "hex") !== chunk.id) {
      throw new DropsError("data/damaged", `chunk ${chunk.id} in pack ${job.sha256} does not match its name`);
    }
  }
  return { tar, chunks };
}

async function inflate(compressed: Uint8Array, { slot, sha256 }: OpenJob): Promise<Buffer> {
  const out = Buffer.from(slot, 0, Math.min(slot.byteLength, MAX_PACK_TAR));
  try {
    return out.subarray(0, await decompressInto(compressed, out));
  } catch (cause) {
    throw new DropsError(
      "data/damaged",
      `pack ${sha256} does not hold a zstd frame of at most ${MAX_PACK_TAR} bytes`,
      { cause },
    );
  }
}
