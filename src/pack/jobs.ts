/**
 * The work that touches every byte of a pack, as two pure functions over whole buffers. They run in worker threads
 * (worker.ts) and, where no thread is worth its start, in place.
 */
import { hash } from "node:crypto";
import { DropsError, isFailure } from "../lib/errors.ts";
import { type OpenKey, openInto, openKey, type SealKey, sealInto } from "../seal/age-stream.ts";
import { expectChunks, readIndependently } from "./independent-reader.ts";
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
  /** Names of the chunks in it, when the result is to be read back as others read it (prove-readable.ts). */
  readonly prove?: readonly string[] | undefined;
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
  /** Have it read by others, too (independent-reader.ts), and compare. */
  readonly independent?: boolean;
}

export interface OpenedPack {
  readonly tar: Uint8Array;
  readonly chunks: readonly TarChunk[];
}

/** Compress and seal a filled pack in its own memory. Throws key/wrong; data/damaged when others read it differently. */
export async function runSeal(job: SealJob): Promise<SealedPack> {
  const memory = new Uint8Array(job.memory);
  const at = memory.subarray(COMPRESSED_AT);
  const compressed = at.subarray(
    0,
    await compressInto(memory.subarray(TAR_AT, TAR_AT + job.used), at, job.level),
  );
  const size = sealInto(job.key, compressed, memory);
  const sealed = memory.subarray(0, size);
  if (job.prove) await proveReadable(job.key, sealed, job.prove);
  return { memory: job.memory, size, sha256: hash("sha256", sealed, "hex") };
}

/**
 * Check a stored pack's name, open it, and check every chunk against its own name. Throws data/damaged, key/wrong.
 * It is used up: it is opened where it lies, and unpacked over itself.
 */
export async function runOpen(job: OpenJob): Promise<OpenedPack> {
  const sealed = new Uint8Array(job.slot, job.slot.byteLength - job.size);
  if (hash("sha256", sealed, "hex") !== job.sha256) {
    throw damaged(`pack ${job.sha256} does not match the hash in its name`);
  }
  const key = await openKey(job.identities, sealed);
  return job.independent ? openTwice(key, sealed, job) : openOurselves(key, sealed, job);
}

/** Others first: our own reader leaves nothing of the sealed pack. */
async function openTwice(key: OpenKey, sealed: Uint8Array, job: OpenJob): Promise<OpenedPack> {
  const others = await readIndependently(sealed, job.identities).catch(asDamage);
  const ours = await openOurselves(key, sealed, job).catch(asDamage);
  if (ours instanceof DropsError) {
    const agreed = others instanceof DropsError || others.some(({ name, sha256 }) => name !== sha256);
    throw agreed ? ours : damaged(`${ours.message}, though age, zlib and tar read it`, ours);
  }
  if (others instanceof DropsError) throw damaged(`${others.message}, though drops reads it`, others);
  expectChunks(
    others,
    ours.chunks.map(({ id }) => id),
  );
  return ours;
}

function asDamage(error: unknown): DropsError {
  if (isFailure(error, "data/damaged")) return error;
  throw error;
}

function damaged(message: string, cause?: unknown): DropsError {
  return new DropsError("data/damaged", message, { cause });
}

async function openOurselves(key: OpenKey, sealed: Uint8Array, job: OpenJob): Promise<OpenedPack> {
  const tar = await inflate(sealed.subarray(0, openInto(key, sealed, sealed)), job);
  const chunks = readChunkHeaders(tar);
  for (const chunk of chunks) {
    if (hash("sha256", tar.subarray(chunk.offset, chunk.offset + chunk.size), "hex") !== chunk.id) {
      throw damaged(`chunk ${chunk.id} in pack ${job.sha256} does not match its name`);
    }
  }
  return { tar, chunks };
}

async function inflate(compressed: Uint8Array, { slot, sha256 }: OpenJob): Promise<Buffer> {
  const out = Buffer.from(slot, 0, Math.min(slot.byteLength, MAX_PACK_TAR));
  try {
    return out.subarray(0, await decompressInto(compressed, out));
  } catch (cause) {
    throw damaged(`pack ${sha256} does not hold a zstd frame of at most ${MAX_PACK_TAR} bytes`, cause);
  }
}
