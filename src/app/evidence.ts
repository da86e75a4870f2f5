/** Which key signs the evidence of a verify. */
import { DropsError } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import type { Signer } from "../seal/sshsig.ts";
import { loadBelieved } from "../trust/own-keys.ts";
import type { Trust } from "../trust/trust.ts";

/**
 * What signs the evidence of a verify: the key that is named, else the policy's for it, else the one that signs for prune,
 * else the one that signs snapshots.
 *
 * @throws DropsError key/missing, key/wrong
 */
export async function signerOfVerify(
  policy: Policy | undefined,
  file: string | undefined,
  trust: Trust,
): Promise<Signer> {
  const path = file ?? ownKeyOfVerify(policy) ?? policy?.keys.signing_key_file;
  if (path !== undefined) return loadBelieved(path, trust);
  throw new DropsError("key/missing", "no key is given to sign the evidence with", {
    hint: "ssh-keygen -t ed25519 -N '' -f verify-key, then --signing-key verify-key",
  });
}

/** Where the policy has a key for it that does not sign snapshots. */
export function ownKeyOfVerify(policy: Policy | undefined): string | undefined {
  return policy?.verify.signing_key_file ?? policy?.prune.signing_key_file;
}
