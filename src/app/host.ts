/** The machine that a policy names, and whom its snapshots are believed by. */
import { homedir } from "node:os";
import type { AppContext } from "../cli/app.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import { checkPublicKey } from "../seal/ssh-key.ts";
import { type Signer, samePublicKey } from "../seal/sshsig.ts";
import { type RevokedSigner, type Trust, trusting } from "../snapshot/trust.ts";

export async function openHost(
  policy: Pick<Policy, "host">,
  context: AppContext,
  how: Cancel,
): Promise<Host> {
  if (policy.host === "local") {
    const { openLocalHost } = await import("../host/local.ts");
    return openLocalHost();
  }
  const { openSshHost } = await import("../host/ssh.ts");
  const home = context.env["HOME"] ?? homedir();
  return openSshHost(policy.host.ssh, { ...how, home, agentSocket: context.env["SSH_AUTH_SOCK"] });
}

/**
 * The key that signs here is believed here.
 *
 * @throws DropsError key/wrong when it is a revoked one: nobody would believe what it signs from now on
 */
export function trustedBy(policy: Policy, signer: Signer): Trust {
  const trust = trusting([signer.publicKey, ...policy.keys.trusted_signers], revokedBy(policy));
  if (trust.signers.some((trusted) => samePublicKey(trusted, signer.publicKey))) return trust;
  throw new DropsError(
    "key/wrong",
    `the signing key ${policy.keys.signing_key_file} is among keys.revoked_signers`,
    { hint: "make another: ssh-keygen -t ed25519 -N '' -f FILE, and name it in keys.signing_key_file" },
  );
}

/** Throws key/wrong for a line that is no key: it would revoke nothing. */
export function revokedBy(policy: Policy | undefined): RevokedSigner[] {
  const revoked = policy?.keys.revoked_signers ?? [];
  return revoked.map(({ key, before }) => ({
    key: checkPublicKey(key, `keys.revoked_signers of policy ${policy?.name}`),
    before: new Date(before),
  }));
}
