/** SSH signatures (OpenSSH's PROTOCOL.sshsig) with Ed25519 and SHA-512: `ssh-keygen -Y sign` and `-Y verify`. */
import { hash, sign, verify } from "node:crypto";
import { DropsError } from "../lib/errors.ts";
import { readSecretFile } from "../lib/secret-file.ts";
import {
  parsePrivateKey,
  parsePublicKey,
  publicKeyBlob,
  publicKeyLine,
  readPublicKey,
  readPublicKeyBlob,
  toPublicKeyObject,
} from "./ssh-key.ts";
import { armored, SshReader, sshString, unarmored } from "./ssh-wire.ts";

/** A signature made for one purpose is worth nothing for another. */
export const SNAPSHOT_NAMESPACE = "drops-snapshot-v1";
export const REPOSITORY_NAMESPACE = "drops-repository-v1";
export const EVIDENCE_NAMESPACE = "drops-evidence-v1";
export const PRUNE_NAMESPACE = "drops-prune-v1";
export const FINDING_NAMESPACE = "drops-doctor-v1";

export interface Signer {
  /** `ssh-ed25519 AAAA…` */
  readonly publicKey: string;
  /** An armored SSH signature of `message`. */
  sign(namespace: string, message: Uint8Array): Uint8Array;
}

const MAGIC = "SSHSIG";
const VERSION = 1;
const KEY_TYPE = "ssh-ed25519";
const HASH = "sha512";
const SIGNATURE = 64;
const LABEL = "SSH SIGNATURE";
/** Ours are 300 bytes. */
const MAX_ARMORED = 4096;

/** @throws DropsError key/missing, key/wrong (other users may read it, a passphrase, another type) */
export async function loadSigner(path: string): Promise<Signer> {
  const what = "signing key";
  return signerFromText(await readSecretFile(path, what), `${what} ${path}`);
}

/** A signer from the text of an OpenSSH private key file. Throws key/wrong, naming `origin`. */
export function signerFromText(text: string, origin: string): Signer {
  const { key, publicKey } = parsePrivateKey(text, origin);
  return {
    publicKey: publicKeyLine(publicKey),
    sign: (namespace, message) => {
      const raw = sign(null, signedBytes(namespace, Buffer.alloc(0), message), key);
      const signature = Buffer.concat([
        Buffer.from(MAGIC),
        Buffer.from([0, 0, 0, VERSION]),
        sshString(publicKeyBlob(publicKey)),
        sshString(namespace),
        sshString(""),
        sshString(HASH),
        sshString(Buffer.concat([sshString(KEY_TYPE), sshString(raw)])),
      ]);
      return Buffer.from(armored(LABEL, signature));
    },
  };
}

/**
 * The key that signed `message` for `namespace`. Whether that key is to be believed is the caller's question.
 *
 * @throws DropsError data/damaged when `armored` is no SSH signature; signature/untrusted when it is one, but not of
 * this message, not for this namespace, or not of a kind that drops uses
 */
export function verifySshsig(
  armored: Uint8Array,
  namespace: string,
  message: Uint8Array,
): { readonly publicKey: string } {
  const found = parse(armored);
  const publicKey = readPublicKeyBlob(found.publicKey);
  if (!publicKey || found.hash !== HASH || found.type !== KEY_TYPE || found.signature.length !== SIGNATURE) {
    throw untrusted(`the signature is not of the kind ${KEY_TYPE} with ${HASH}`);
  }
  if (found.namespace !== namespace) throw untrusted(`the signature was not made for ${namespace}`);
  const signed = signedBytes(namespace, found.reserved, message);
  if (!verify(null, signed, toPublicKeyObject(publicKey), found.signature)) {
    throw untrusted("the signature does not belong to these bytes");
  }
  return { publicKey: publicKeyLine(publicKey) };
}

/** `SHA256:…` as `ssh-keygen -l` prints it. Throws key/wrong when it is no public key. */
export function fingerprint(publicKey: string): string {
  const blob = publicKeyBlob(parsePublicKey(publicKey, "the public key"));
  return `SHA256:${hash("sha256", blob, "base64").replace(/=+$/, "")}`;
}

/** Whether two public key lines hold the same key, whatever their comments. What is no key is like nothing. */
export function samePublicKey(a: string, b: string): boolean {
  const [first, second] = [readPublicKey(a), readPublicKey(b)];
  return first !== undefined && second !== undefined && first.equals(second);
}

interface Parsed {
  readonly publicKey: Buffer;
  readonly namespace: string;
  /** Ignored, as the protocol asks, but signed. */
  readonly reserved: Buffer;
  readonly hash: string;
  readonly type: string;
  readonly signature: Buffer;
}

function parse(armored: Uint8Array): Parsed {
  try {
    const reader = new SshReader(unarmor(armored));
    if (reader.raw(MAGIC.length).toString("latin1") !== MAGIC) throw new RangeError("no magic");
    const version = reader.uint32();
    if (version !== VERSION) throw new RangeError(`version ${version}`);
    const [publicKey, namespace, reserved] = [reader.string(), reader.text(), reader.string()];
    const hashName = reader.text();
    const inner = new SshReader(reader.string());
    reader.end();
    const [type, signature] = [inner.text(), inner.string()];
    inner.end();
    return { publicKey, namespace, reserved, hash: hashName, type, signature };
  } catch (cause) {
    throw new DropsError("data/damaged", "it is not an SSH signature", { cause });
  }
}

/** What is signed in the message's stead: PROTOCOL.sshsig, section 3. */
function signedBytes(namespace: string, reserved: Uint8Array, message: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from(MAGIC),
    sshString(namespace),
    sshString(reserved),
    sshString(HASH),
    sshString(hash(HASH, message, "buffer")),
  ]);
}

function unarmor(armored: Uint8Array): Buffer {
  if (armored.length > MAX_ARMORED) throw new RangeError("too long");
  const blob = unarmored(LABEL, Buffer.from(armored).toString("latin1").trimEnd());
  if (!blob) throw new RangeError("no armor");
  return blob;
}

function untrusted(message: string): DropsError {
  return new DropsError("signature/untrusted", message);
}
