/** Whose evidence is believed, and which key signs it. */

import { DropsError, isFailure } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import { loadSigner, type Signer } from "../seal/sshsig.ts";
import type { Trust } from "../snapshot/trust.ts";

/** Evidence is never believed unsigned, whatever the operator accepts of snapshots. */
export function trustOfDrills({ signers }: Trust, policy: Policy | undefined): Trust {
  const named = policy?.prune.drill_signers ?? [];
  return { signers: named.length > 0 ? named : signers, allowUnsigned: false };
}

/** A verify may be signed by a key of its own or by whoever prunes, too: neither needs a key that opens anything. */
export async function trustOfVerifies(trust: Trust, policy: Policy | undefined): Promise<Trust> {
  const { signing_key_file: file, trusted_signers: more = [] } = policy?.prune ?? {};
  const files = [policy?.verify.signing_key_file, file].filter((path) => path !== undefined);
  const own = (await Promise.all(files.map(publicKeysIn))).flat();
  return { signers: [...trustOfDrills(trust, policy).signers, ...own, ...more], allowUnsigned: false };
}

/** Nothing on a machine that has no such key. */
export async function publicKeysIn(file: string): Promise<string[]> {
  try {
    return [(await loadSigner(file)).publicKey];
  } catch (error) {
    if (isFailure(error, "key/missing")) return [];
    throw error;
  }
}

/**
 * What signs the evidence of a verify: the key that is named, else the policy's for it, else the one that signs for prune,
 * else the one that signs snapshots.
 *
 * @throws DropsError key/missing, key/wrong
 */
export async function signerOfVerify(policy: Policy | undefined, file: string | undefined): Promise<Signer> {
  const path = file ?? ownKeyOfVerify(policy) ?? policy?.keys.signing_key_file;
  if (path !== undefined) return loadSigner(path);
  throw new DropsError("key/missing", "no key is given to sign the evidence with", {
    hint: "ssh-keygen -t ed25519 -N '' -f verify-key, then --signing-key verify-key",
  });
}

/** Where the policy has a key for it that does not sign snapshots. */
export function ownKeyOfVerify(policy: Policy | undefined): string | undefined {
  return policy?.verify.signing_key_file ?? policy?.prune.signing_key_file;
}
