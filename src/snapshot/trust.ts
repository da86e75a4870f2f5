import { DropsError, isFailure } from "../lib/errors.ts";
import { samePublicKey, verifySshsig } from "../seal/sshsig.ts";

/** Whose signatures are believed. */
export interface Trust {
  /** OpenSSH public key lines. */
  readonly signers: readonly string[];
  /** Believe records without a trusted signature too; only when the operator says so. */
  readonly allowUnsigned: boolean;
}

export function isTrusted(trust: Trust, publicKey: string): boolean {
  return trust.signers.some((signer) => samePublicKey(signer, publicKey));
}

/**
 * The key that signed `bytes`, if it is a trusted one; undefined when there is none and the operator accepts that.
 *
 * @throws DropsError signature/untrusted, naming `what`
 */
export function trustedSigner(
  what: string,
  namespace: string,
  bytes: Uint8Array,
  signature: Uint8Array | undefined,
  trust: Trust,
): string | undefined {
  try {
    if (!signature) throw new DropsError("signature/untrusted", `${what} is not signed`);
    const publicKey = signerOf(what, namespace, bytes, signature);
    if (isTrusted(trust, publicKey)) return publicKey;
    throw new DropsError("signature/untrusted", `${what} is signed by a key that is not trusted`, {
      hint: hintFor(trust),
    });
  } catch (error) {
    if (trust.allowUnsigned) return undefined;
    throw error;
  }
}

function signerOf(what: string, namespace: string, bytes: Uint8Array, signature: Uint8Array): string {
  try {
    return verifySshsig(signature, namespace, bytes).publicKey;
  } catch (cause) {
    if (!isFailure(cause, "data/damaged", "signature/untrusted")) throw cause;
    throw new DropsError("signature/untrusted", `${what}: ${cause.message}`, { cause });
  }
}

function hintFor(trust: Trust): string {
  if (trust.signers.length > 0)
    return "somebody else wrote it, or the signing key was changed: compare with the recovery sheet";
  return "no trusted signer is known: give --trusted-signer with the key on the recovery sheet, or --trust-unsigned at your own risk";
}
