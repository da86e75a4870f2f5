/** Which key signs evidence. */
import { DropsError } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import type { Signer } from "../seal/sshsig.ts";
import { loadBelieved } from "./own-keys.ts";
import type { Trust } from "./trust.ts";

/**
 * What signs evidence of a drill or a verify: the key that is named, else the policy's own for it, else the one that signs
 * snapshots.
 *
 * @throws DropsError key/missing; key/wrong for one that is no key, or revoked
 */
export async function signerOfEvidence(
  of: "drill" | "verify",
  policy: Policy | undefined,
  named: string | undefined,
  trust: Trust,
): Promise<Signer> {
  const own = of === "verify" ? ownKeyOfVerify(policy) : undefined;
  const path = named ?? own ?? policy?.keys.signing_key_file;
  if (path !== undefined) return loadBelieved(path, trust);
  throw new DropsError("key/missing", "no key given to sign the evidence", {
    hint: `ssh-keygen -t ed25519 -N '' -f ${of}-key, then --signing-key ${of}-key`,
  });
}

/** Where the policy has a key for it that does not sign snapshots. */
export function ownKeyOfVerify(policy: Policy | undefined): string | undefined {
  return policy?.verify.signing_key_file ?? policy?.prune.signing_key_file;
}
