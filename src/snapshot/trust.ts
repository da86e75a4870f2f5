import { DropsError, isFailure } from "../lib/errors.ts";
import { samePublicKey, verifySshsig } from "../seal/sshsig.ts";

/** A key that somebody else may have since `before`. What it says of times is worth nothing from then on. */
export interface RevokedSigner {
  /** OpenSSH public key line. */
  readonly key: string;
  readonly before: Date;
}

/** Whose signatures are believed. */
export interface Trust {
  /** OpenSSH public key lines. */
  readonly signers: readonly string[];
  /** Revoked keys: what they signed is believed when it landed before a time, by the store's clock. Never among `signers`. */
  readonly revoked?: readonly RevokedSigner[];
  /** Believe records without a trusted signature too; only when the operator says so. */
  readonly allowUnsigned: boolean;
}

/** Trust in these signers but for the revoked ones, wherever else they are named. */
export function trusting(
  signers: readonly string[],
  revoked: readonly RevokedSigner[],
  allowUnsigned = false,
): Trust {
  const isRevoked = (signer: string) => revoked.some(({ key }) => samePublicKey(key, signer));
  return { signers: signers.filter((signer) => !isRevoked(signer)), revoked, allowUnsigned };
}

/**
 * The key that signed `bytes`, if it is a trusted one; undefined when there is none and the operator accepts that.
 *
 * @param landed when both the bytes and their signature were in the store, by its clock; without it no revoked key is believed
 * @throws DropsError signature/untrusted, naming `what`
 */
export function trustedSigner(
  what: string,
  namespace: string,
  bytes: Uint8Array,
  signature: Uint8Array | undefined,
  trust: Trust,
  landed?: Date,
): string | undefined {
  try {
    if (!signature) throw new DropsError("signature/untrusted", `${what} is not signed`);
    const publicKey = signerOf(what, namespace, bytes, signature);
    if (trust.signers.some((signer) => samePublicKey(signer, publicKey))) return publicKey;
    const revoked = trust.revoked?.find(({ key }) => samePublicKey(key, publicKey));
    if (revoked && landed && landed < revoked.before) return publicKey;
    if (revoked) throw tooLate(what, revoked);
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

function tooLate(what: string, { before }: RevokedSigner): DropsError {
  return new DropsError(
    "signature/untrusted",
    `${what} is signed by a revoked key and was not in the store before ${before.toISOString()}`,
    {
      hint: "whoever has that key since may have made it, whatever date it bears: drops keys lists revoked keys",
    },
  );
}

function hintFor(trust: Trust): string {
  if (trust.signers.length > 0)
    return "somebody else wrote it, or the signing key was changed: compare with the recovery sheet";
  return "no trusted signer is known: give --trusted-signer with the key on the recovery sheet, or --trust-unsigned at your own risk";
}
