import { hash } from "node:crypto";
import { BLOCK, padded, TAR_TRAILER, writeChunkHeader } from "./tar-bytes.ts";

/** No chunk is larger than this, whoever cut it. Bytes. */
export const MAX_CHUNK = 4 * 1024 * 1024;
/** The tar of a pack never grows past this; a stored pack never past it plus what sealing adds. Bytes. */
export const MAX_PACK_TAR = 32 * 1024 * 1024;
/** Room for sealing and opening in place: headers for many recipients, a tag for every 64 KiB, zstd's worst case. Bytes. */
const SEALING_SLACK = 512 * 1024;
export const PACK_BUFFER_SIZE = MAX_PACK_TAR + SEALING_SLACK;
/** Where the tar begins in a buffer, and between it and the beginning where it lies compressed on its way to be sealed there. */
export const TAR_AT = SEALING_SLACK;
export const COMPRESSED_AT = SEALING_SLACK / 2;

/**
 * A pack being filled. Content is copied straight to where it will lie in the tar; a chunk that turns out to be known
 * is forgotten again, so that every new byte is copied once and no byte is held elsewhere.
 */
export class PackBuffer {
  readonly memory: ArrayBuffer;
  readonly #bytes: Buffer;
  #used = 0;
  #chunkSize = 0;

  constructor(memory: ArrayBuffer) {
    this.memory = memory;
    this.#bytes = Buffer.from(memory, TAR_AT);
  }

  /** Bytes of whole chunks, headers included; the trailer is not. */
  get used(): number {
    return this.#used;
  }

  /** Bytes of the chunk in progress. */
  get chunkSize(): number {
    return this.#chunkSize;
  }

  /** False when a chunk of the largest size might not fit any more: time to seal. Asked between chunks only. */
  get hasRoom(): boolean {
    return this.#used + BLOCK + MAX_CHUNK + TAR_TRAILER <= MAX_PACK_TAR;
  }

  /** Add to the chunk in progress. */
  append(view: Uint8Array): void {
    this.#bytes.set(view, this.#used + BLOCK + this.#chunkSize);
    this.#chunkSize += view.length;
  }

  /** SHA-256 of the chunk in progress, hex. */
  chunkId(): string {
    const at = this.#used + BLOCK;
    return hash("sha256", this.#bytes.subarray(at, at + this.#chunkSize), "hex");
  }

  /** Keep the chunk in progress under its id. */
  keepChunk(id: string): void {
    writeChunkHeader(this.#bytes, this.#used, id, this.#chunkSize);
    const end = this.#used + BLOCK + this.#chunkSize;
    this.#used += BLOCK + padded(this.#chunkSize);
    this.#bytes.fill(0, end, this.#used);
    this.#chunkSize = 0;
  }

  /** Forget the chunk in progress. */
  dropChunk(): void {
    this.#chunkSize = 0;
  }

  /** Move the chunk in progress to an empty buffer. */
  moveChunkTo(other: PackBuffer): void {
    const at = this.#used + BLOCK;
    other.append(this.#bytes.subarray(at, at + this.#chunkSize));
    this.#chunkSize = 0;
  }

  /** Write the trailer; the tar is `[TAR_AT, TAR_AT + returned length)` of the memory. */
  finish(): number {
    this.#bytes.fill(0, this.#used, this.#used + TAR_TRAILER);
    return this.#used + TAR_TRAILER;
  }
}
