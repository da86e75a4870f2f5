import { DropsError, type FailureCode, isFailure } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import { loadSigner, type Signer, samePublicKey } from "../seal/sshsig.ts";
import { type OwnKeys, type Trust, trustOf } from "./trust.ts";

/**
 * On most machines most keys are not. A key of prune or verify that is no key is as good as absent: it must not keep anybody
 * from a restore, and whoever signs with it is told.
 *
 * @throws DropsError key/wrong when the key that signs snapshots is there and is none
 */
export async function ownKeys({ keys, prune, verify }: Policy): Promise<OwnKeys> {
  return {
    signing: await publicKeyIn(keys.signing_key_file, "key/missing"),
    prune: await publicKeyIn(prune.signing_key_file, "key/missing", "key/wrong"),
    verify: await publicKeyIn(verify.signing_key_file, "key/missing", "key/wrong"),
  };
}

/**
 * What this machine signs with. Nobody believes what a revoked key signs from now on.
 *
 * @throws DropsError key/missing; key/wrong when it is no key, or a revoked one
 */
export async function loadBelieved(file: string, { revoked }: Pick<Trust, "revoked">): Promise<Signer> {
  const signer = await loadSigner(file);
  if (!revoked.some(({ key }) => samePublicKey(key, signer.publicKey))) return signer;
  throw new DropsError("key/wrong", `the signing key ${file} is among keys.revoked_signers`, {
    hint: "make a new key: ssh-keygen -t ed25519 -N '' -f FILE, and put it into the policy",
  });
}

/** Who is believed where backups are made, and what signs them. Throws key/missing, key/wrong as `loadBelieved`. */
export async function trustHere(policy: Policy): Promise<{ readonly trust: Trust; readonly signer: Signer }> {
  const trust = trustOf(policy, { own: await ownKeys(policy) });
  return { trust, signer: await loadBelieved(policy.keys.signing_key_file, trust) };
}

async function publicKeyIn(
  file: string | undefined,
  ...absent: readonly FailureCode[]
): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return (await loadSigner(file)).publicKey;
  } catch (error) {
    if (isFailure(error, ...absent)) return undefined;
    throw error;
  }
}
