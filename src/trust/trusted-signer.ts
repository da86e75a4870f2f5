import { DropsError, isFailure } from "../lib/errors.ts";
import {
  EVIDENCE_NAMESPACE,
  FINDING_NAMESPACE,
  PRUNE_NAMESPACE,
  REPOSITORY_NAMESPACE,
  SNAPSHOT_NAMESPACE,
  samePublicKey,
  verifySshsig,
} from "../seal/sshsig.ts";
import type { Claim, RevokedSigner, Trust } from "./trust.ts";

/** What is signed, and for which namespace. A repository's description is believed as its snapshots are. */
const NAMESPACES = {
  repository: REPOSITORY_NAMESPACE,
  snapshot: SNAPSHOT_NAMESPACE,
  note: PRUNE_NAMESPACE,
  drill: EVIDENCE_NAMESPACE,
  verify: EVIDENCE_NAMESPACE,
  finding: FINDING_NAMESPACE,
} as const satisfies Record<Claim | "repository", string>;

/** Bytes with a claim, and the signature beside them. */
export interface SignedBytes {
  /** In a sentence: `note KEY`. */
  readonly what: string;
  readonly bytes: Uint8Array;
  /** Undefined when there is none. */
  readonly signature: Uint8Array | undefined;
  /** When both were in the store, by its clock. Without it, and of notes, evidence and findings, no revoked key is believed. */
  readonly landed?: Date | undefined;
}

/**
 * The key that signed it, if it is one that is believed for this; undefined when there is none and the operator accepts that,
 * of snapshots alone.
 *
 * @throws DropsError signature/untrusted, naming `what`
 */
export function trustedSigner(
  claim: keyof typeof NAMESPACES,
  signed: SignedBytes,
  trust: Trust,
): string | undefined {
  const isSnapshot = claim === "snapshot" || claim === "repository";
  try {
    const publicKey = signerOf(signed, NAMESPACES[claim]);
    const isKey = (line: string) => samePublicKey(line, publicKey);
    const revoked = trust.revoked.find(({ key }) => isKey(key)); // revoked wins, wherever else it is named
    if (revoked && !(isSnapshot && signed.landed && signed.landed < revoked.before))
      throw notBelieved(signed.what, revoked, isSnapshot);
    if (revoked || trust.signers[isSnapshot ? "snapshot" : claim].some(isKey)) return publicKey;
    throw new DropsError("signature/untrusted", `${signed.what} is signed by a key that is not trusted`, {
      hint: hintFor(trust),
    });
  } catch (error) {
    if (isSnapshot && trust.allowUnsigned) return undefined;
    throw error;
  }
}

/** Whether a key signed it that is believed for this. */
export function isTrusted(claim: Exclude<Claim, "snapshot">, signed: SignedBytes, trust: Trust): boolean {
  try {
    return trustedSigner(claim, signed, trust) !== undefined;
  } catch (error) {
    if (isFailure(error, "signature/untrusted")) return false;
    throw error;
  }
}

function signerOf({ what, bytes, signature }: SignedBytes, namespace: string): string {
  if (!signature) throw new DropsError("signature/untrusted", `${what} is not signed`);
  try {
    return verifySshsig(signature, namespace, bytes).publicKey;
  } catch (cause) {
    if (!isFailure(cause, "data/damaged", "signature/untrusted")) throw cause;
    throw new DropsError("signature/untrusted", `${what}: ${cause.message}`, { cause });
  }
}

function notBelieved(what: string, { before }: RevokedSigner, isSnapshot: boolean): DropsError {
  const late = isSnapshot ? ` and was not in the store before ${before.toISOString()}` : "";
  return new DropsError("signature/untrusted", `${what} is signed by a revoked key${late}`, {
    hint: "a thief of that key may have made it, with any date; drops keys  lists revoked keys",
  });
}

function hintFor({ signers: { snapshot } }: Trust): string {
  if (snapshot.length > 0)
    return "somebody else wrote it, or the signing key was changed: compare with the recovery sheet";
  return "no trusted signer is known: give --trusted-signer with the key on the recovery sheet, or --trust-unsigned at your own risk";
}
