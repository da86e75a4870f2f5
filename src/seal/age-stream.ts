/**
 * age v1 files (age-encryption.org/v1) at native speed. The age package makes and reads the header, which is where the
 * recipients and their cryptography are; the payload, which is where the bytes are, is done here with node:crypto.
 * Loading this file does not load the package: a thread that only seals never needs it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import { copyBytes } from "../lib/copy-bytes.ts";
import { DropsError } from "../lib/errors.ts";
import { freeMemory } from "../lib/free-memory.ts";

/** What sealing one file needs. Plain bytes, so it can be posted to a thread. Use it for one file only. */
export interface SealKey {
  /** The finished age header, up to and including the line of its MAC. */
  readonly header: Uint8Array;
  /** 16 bytes. Secret. */
  readonly fileKey: Uint8Array;
}

/** What opening one file needs, once an identity has opened its header. */
export interface OpenKey {
  /** 16 bytes. Secret. */
  readonly fileKey: Uint8Array;
  /** Where the payload's nonce starts: the length of the header. */
  readonly payloadOffset: number;
}

const ALGORITHM = "chacha20-poly1305";
/** Plaintext bytes in every piece of the payload but the last. */
const PIECE = 64 * 1024;
const TAG = 16;
const PAYLOAD_NONCE = 16;
/** More than thirty post-quantum recipients. Nobody may make us search gigabytes for the end of a header. */
const MAX_HEADER = 64 * 1024;
const TAGGED = { authTagLength: TAG } as const;

/**
 * A fresh file key, sealed to every one of `recipients`. About 1 ms each for X25519, 4 ms for the hybrid.
 *
 * @throws DropsError key/wrong when a recipient cannot be used
 */
export async function newSealKey(recipients: readonly string[]): Promise<SealKey> {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  let fileKey: Uint8Array | undefined;
  try {
    // It takes part like any recipient and so is told the file key, but leaves nothing in the header.
    encrypter.addRecipient({
      wrapFileKey: (key: Uint8Array) => {
        fileKey = key.slice();
        return [];
      },
    });
    for (const recipient of recipients) encrypter.addRecipient(recipient);
    const empty = await encrypter.encrypt(new Uint8Array());
    if (!fileKey || recipients.length === 0) throw new TypeError("no recipient");
    return { header: empty.slice(0, headerLength(empty)), fileKey };
  } catch (cause) {
    throw new DropsError("key/wrong", "cannot seal to the recipients", { cause });
  }
}

/** Bytes that `sealInto` writes for `plainSize` bytes of plaintext. */
export function sealedSize(key: SealKey, plainSize: number): number {
  return key.header.length + PAYLOAD_NONCE + plainSize + TAG * pieceCount(plainSize);
}

/**
 * Write the whole age file of `plain` to the start of `out`. It may lie in the same memory, if behind the start of `out` by
 * at least what sealing adds (`sealedSize` less its length): every piece is read before its place is written.
 *
 * @returns the bytes written, `sealedSize` of them
 * @throws RangeError when `out` is too small
 */
export function sealInto(key: SealKey, plain: Uint8Array, out: Uint8Array): number {
  const size = sealedSize(key, plain.length);
  if (out.length < size) throw new RangeError(`sealing needs ${size} bytes, ${out.length} were given`);
  out.set(key.header);
  const payload = out.subarray(key.header.length);
  const nonce = randomFillSync(Buffer.alloc(PAYLOAD_NONCE));
  payload.set(nonce);
  const payloadKey = derive(key.fileKey, nonce);
  const pieces = pieceCount(plain.length);
  let at = PAYLOAD_NONCE;
  for (let index = 0; index < pieces; index += 1) {
    const cipher = createCipheriv(ALGORITHM, payloadKey, pieceNonce(index, index === pieces - 1), TAGGED);
    const sealed = cipher.update(plain.subarray(index * PIECE, (index + 1) * PIECE));
    cipher.final();
    payload.set(sealed, at);
    payload.set(cipher.getAuthTag(), at + sealed.length);
    at += sealed.length + TAG;
    freeMemory(sealed); // or hundreds of megabytes of pieces wait for the collector
  }
  return size;
}

/** A whole age file of `plain`, in memory of its own. Throws as `newSealKey`. */
export async function seal(
  recipients: readonly string[],
  plain: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = await newSealKey(recipients);
  const out = new Uint8Array(sealedSize(key, plain.length));
  sealInto(key, plain, out);
  return out;
}

/**
 * Open the header of an age file with the first of `identities` that fits.
 *
 * @throws DropsError key/wrong when none fits, data/damaged when the header is malformed or was tampered with
 */
export async function openKey(identities: readonly string[], sealed: Uint8Array): Promise<OpenKey> {
  const payloadOffset = headerLength(sealed);
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch {
    // Without its cause: the package's message may quote what it was given.
    throw new DropsError("key/wrong", "an identity is not an age identity of a kind that drops knows");
  }
  let fits = true;
  // Identities are asked in order and only until one fits, so this one is asked only when no other did.
  decrypter.addIdentity({
    unwrapFileKey: () => {
      fits = false;
      return null;
    },
  });
  try {
    return { fileKey: await decrypter.decryptHeader(sealed.slice(0, payloadOffset)), payloadOffset };
  } catch (cause) {
    if (!fits) throw noneFits(sealed);
    throw new DropsError("data/damaged", "the header of an age file is malformed or was tampered with", {
      cause,
    });
  }
}

/**
 * Plaintext bytes in an age file of `sealedLength` bytes.
 *
 * @throws DropsError data/damaged when no age file with this header has this length
 */
export function openedSize(key: OpenKey, sealedLength: number): number {
  const payload = sealedLength - key.payloadOffset - PAYLOAD_NONCE;
  const pieces = Math.max(1, Math.ceil(payload / (PIECE + TAG)));
  const plain = payload - TAG * pieces;
  // The last piece is never empty, unless it is the only one.
  if (plain < 0 || pieceCount(plain) !== pieces) throw damaged("an age file was cut short or made longer");
  return plain;
}

/**
 * Open a whole age file to the start of `out`, which is memory of its own or that of `sealed` itself: every piece is
 * written before where the next one is read. Every piece is authenticated before it is written; when this throws, what
 * was written must not be used.
 *
 * @returns the bytes written, `openedSize` of them
 * @throws DropsError data/damaged when anything was changed, cut off or added; RangeError when `out` is too small
 */
export function openInto(key: OpenKey, sealed: Uint8Array, out: Uint8Array): number {
  const size = openedSize(key, sealed.length);
  if (out.length < size) throw new RangeError(`opening needs ${size} bytes, ${out.length} were given`);
  const payload = sealed.subarray(key.payloadOffset);
  const payloadKey = derive(key.fileKey, payload.subarray(0, PAYLOAD_NONCE));
  const pieces = pieceCount(size);
  const target = Buffer.from(out.buffer, out.byteOffset, out.length);
  for (let index = 0; index < pieces; index += 1) {
    const start = PAYLOAD_NONCE + index * (PIECE + TAG);
    const end = Math.min(start + PIECE + TAG, payload.length) - TAG;
    const decipher = createDecipheriv(ALGORITHM, payloadKey, pieceNonce(index, index === pieces - 1), TAGGED);
    decipher.setAuthTag(payload.subarray(end, end + TAG));
    const plain = decipher.update(payload.subarray(start, end));
    try {
      decipher.final();
    } catch (cause) {
      throw damaged(`piece ${index + 1} of ${pieces} of an age file fails its authentication`, cause);
    }
    copyBytes(plain, target, index * PIECE);
    freeMemory(plain);
  }
  return size;
}

/** The plaintext of a whole age file, in memory of its own. Throws as `openKey` and `openInto`. */
export async function open(
  identities: readonly string[],
  sealed: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = await openKey(identities, sealed);
  const plain = new Uint8Array(openedSize(key, sealed.length));
  openInto(key, sealed, plain);
  return plain;
}

function pieceCount(plainSize: number): number {
  return Math.max(1, Math.ceil(plainSize / PIECE));
}

/** As a KeyObject: handing node:crypto the bytes for every piece costs half as much again as the cipher itself. */
function derive(fileKey: Uint8Array, nonce: Uint8Array): KeyObject {
  return createSecretKey(new Uint8Array(hkdfSync("sha256", fileKey, nonce, "payload", 32)));
}

/** An 11-byte big-endian counter and a byte that is 1 in the last piece. node:crypto copies it. */
function pieceNonce(index: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce.writeUInt8(isLast ? 1 : 0, 11);
  return nonce;
}

/** The header ends with the line of its MAC, the only one that starts with three dashes and a space. */
function headerLength(sealed: Uint8Array): number {
  const start = Buffer.from(sealed.buffer, sealed.byteOffset, Math.min(sealed.length, MAX_HEADER));
  const mac = start.indexOf("\n--- ");
  const end = mac === -1 ? -1 : start.indexOf("\n", mac + 1);
  if (end === -1) throw damaged("it is not an age file, or its header was cut short");
  return end + 1;
}

function noneFits(sealed: Uint8Array): DropsError {
  const hint = Buffer.from(sealed.buffer, sealed.byteOffset, Math.min(sealed.length, 64)).includes(
    "\n-> scrypt ",
  )
    ? "it was sealed with a passphrase, which drops never does"
    : "give the identity that belongs to the recipients it was sealed to: --identity FILE";
  return new DropsError("key/wrong", "no identity opens the age file", { hint });
}

function damaged(what: string, cause?: unknown): DropsError {
  return new DropsError("data/damaged", what, { cause });
}
