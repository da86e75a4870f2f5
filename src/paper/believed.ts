/** What sheet and runbook name: whom a policy believes, and this version's recover.sh. */
import { hash } from "node:crypto";
import { recoveryObjects } from "../backup/recovery-objects.ts";
import type { Policy } from "../policy/schema.ts";
import { checkPublicKey } from "../seal/ssh-key.ts";
import { loadSigner } from "../seal/sshsig.ts";
import { ownKeys } from "../trust/own-keys.ts";
import { distinctSigners, type Signers } from "../trust/signers-file.ts";
import { type Trust, trustOf } from "../trust/trust.ts";

/** recover.sh as it lies in the store. */
export interface Script {
  readonly key: string;
  readonly bytes: Buffer;
}

const NOBODY: Signers = { signers: [], revoked: [] };

/**
 * Whom the policy believes: the key that signs here, and those that it names. Where there is neither, as on a machine that only
 * reads, those that the identity file carries.
 *
 * @throws DropsError key/missing when nobody is known, key/wrong when what the policy names is no key
 */
export async function believedBy(
  policy: Policy,
  carried: readonly string[],
  given: Signers = NOBODY,
): Promise<Signers> {
  for (const key of policy.keys.trusted_signers)
    checkPublicKey(key, `keys.trusted_signers of policy ${policy.name}`);
  const own = await ownKeys(policy);
  const isKnown = own.signing !== undefined || policy.keys.trusted_signers.length + given.signers.length > 0;
  const { revoked } = given;
  const trust = trustOf(policy, { signers: isKnown ? given.signers : carried, revoked, own });
  const isNobody = !isKnown && carried.length + trust.revoked.length === 0;
  if (isNobody) await loadSigner(policy.keys.signing_key_file); // says that it is not there
  return signersOf(trust);
}

export function signersOf({ signers: { snapshot }, revoked }: Trust): Signers {
  return { signers: distinctSigners(snapshot), revoked };
}

export async function scriptObject(): Promise<Script & { readonly sha256: string }> {
  const script = (await recoveryObjects()).find(({ key }) => key.endsWith(".sh"));
  if (!script) throw new Error("recover.sh is not among the recovery objects");
  return { ...script, sha256: hash("sha256", script.bytes, "hex") };
}
