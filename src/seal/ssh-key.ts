/** Ed25519 keys in OpenSSH's forms: public key lines, and private key files without a passphrase (PROTOCOL.key). */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { DropsError } from "../lib/errors.ts";
import { armored, SshReader, sshString, strictBase64, unarmored } from "./ssh-wire.ts";

export interface SshPrivateKey {
  readonly key: KeyObject;
  /** 32 bytes. */
  readonly publicKey: Buffer;
}

const TYPE = "ssh-ed25519";
const PUBLIC = 32;
const SEED = 32;
const MAGIC = "openssh-key-v1\0";
const LABEL = "OPENSSH PRIVATE KEY";
/** DER of RFC 8410 before the 32 bytes of an Ed25519 seed, and before those of a public key. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

/** `ssh-ed25519 AAAA…` without its comment. Throws key/wrong for anything else, naming `origin`. */
export function checkPublicKey(line: string, origin: string): string {
  return publicKeyLine(parsePublicKey(line, origin));
}

/** The 32 bytes of an Ed25519 public key line. Throws key/wrong for anything else, naming `origin`. */
export function parsePublicKey(line: string, origin: string): Buffer {
  const key = readPublicKey(line);
  if (key) return key;
  throw new DropsError("key/wrong", `${origin} is not an OpenSSH public key of type ${TYPE}`, {
    hint: `copy the whole line of the .pub file: ${TYPE} AAAA…`,
  });
}

/** The 32 bytes of an Ed25519 public key line, undefined for anything else. */
export function readPublicKey(line: string): Buffer | undefined {
  const [type, base64] = line.trim().split(/\s+/, 2);
  if (type !== TYPE || base64 === undefined) return undefined;
  const blob = strictBase64(base64);
  return blob && readPublicKeyBlob(blob);
}

/** The 32 bytes inside the binary form of a public key; undefined when it is no whole Ed25519 key. */
export function readPublicKeyBlob(blob: Buffer): Buffer | undefined {
  const key = blob.subarray(-PUBLIC);
  return blob.equals(publicKeyBlob(key)) && key.length === PUBLIC ? key : undefined;
}

/** The binary form of a public key of 32 bytes (RFC 8709, section 4). */
export function publicKeyBlob(publicKey: Uint8Array): Buffer {
  return Buffer.concat([sshString(TYPE), sshString(publicKey)]);
}

/** `ssh-ed25519 AAAA…` of a public key of 32 bytes, without a comment. */
export function publicKeyLine(publicKey: Uint8Array): string {
  return `${TYPE} ${publicKeyBlob(publicKey).toString("base64")}`;
}

/** Node's form of a public key of 32 bytes, for `verify`. */
export function toPublicKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: "der", type: "spki" });
}

/**
 * Read a private key file.
 *
 * @throws DropsError key/wrong when it needs a passphrase, is of another type or is malformed; never quotes it
 */
export function parsePrivateKey(text: string, origin: string): SshPrivateKey {
  const lines = text.split("\n").map((line) => line.trim()); // as editors leave them
  const body = unarmored(LABEL, lines.join("\n").trim());
  if (body === undefined) {
    throw wrong(`${origin} is not an OpenSSH private key`, "ssh-keygen -t ed25519 -N '' -f FILE makes one");
  }
  try {
    return readPrivateKey(body, origin);
  } catch (error) {
    if (error instanceof DropsError) throw error;
    throw wrong(`${origin} is a malformed OpenSSH private key`);
  }
}

function readPrivateKey(body: Buffer, origin: string): SshPrivateKey {
  const outer = new SshReader(body);
  if (outer.raw(MAGIC.length).toString("latin1") !== MAGIC) throw new RangeError("another format");
  if (outer.text() !== "none") {
    throw wrong(`${origin} is encrypted with a passphrase`, "remove it: ssh-keygen -p -N '' -f FILE");
  }
  outer.string(); // the key derivation and its options: there is none
  outer.string();
  if (outer.uint32() !== 1) throw new RangeError("more than one key");
  const type = new SshReader(outer.string()).text();
  if (type !== TYPE) {
    throw wrong(
      `${origin} is a key of another type than ${TYPE}`,
      "ssh-keygen -t ed25519 -N '' -f FILE makes one",
    );
  }
  const inner = new SshReader(outer.string());
  outer.end();
  return readSecretPart(inner);
}

function readSecretPart(inner: SshReader): SshPrivateKey {
  const checks = [inner.uint32(), inner.uint32()];
  if (checks[0] !== checks[1] || inner.text() !== TYPE) throw new RangeError("malformed");
  const publicKey = inner.string();
  const secret = inner.string();
  inner.string(); // comment
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8, secret.subarray(0, SEED)]),
    format: "der",
    type: "pkcs8",
  });
  const derived = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(SPKI.length);
  // A signature made with a public key that does not belong to the seed gives the seed away.
  if (secret.length !== SEED + PUBLIC || !derived.equals(publicKey)) throw new RangeError("halves differ");
  return { key, publicKey: Buffer.from(publicKey) };
}

/** A private key file as ssh-keygen writes it, without a passphrase. `check` is any 32-bit number. */
export function formatPrivateKey(key: KeyObject, comment: string, check: number): string {
  const seed = key.export({ format: "der", type: "pkcs8" }).subarray(-SEED);
  const publicKey = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-PUBLIC);
  const checks = Buffer.alloc(8);
  checks.writeUInt32BE(check, 0);
  checks.writeUInt32BE(check, 4);
  const secret = Buffer.concat([
    checks,
    publicKeyBlob(publicKey),
    sshString(Buffer.concat([seed, publicKey])),
    sshString(comment),
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (secret.length % 8)) % 8);
  const body = Buffer.concat([
    Buffer.from(MAGIC, "latin1"),
    sshString("none"),
    sshString("none"),
    sshString(""),
    Buffer.from([0, 0, 0, 1]),
    sshString(publicKeyBlob(publicKey)),
    sshString(Buffer.concat([secret, padding])),
  ]);
  return armored(LABEL, body);
}

function wrong(message: string, hint?: string): DropsError {
  return new DropsError("key/wrong", message, { hint });
}
