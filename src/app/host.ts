/** The machine that a policy names, and whom its snapshots are believed by. */
import { homedir } from "node:os";
import type { AppContext } from "../cli/app.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { Policy } from "../policy/schema.ts";
import type { Signer } from "../seal/sshsig.ts";

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

/** The key that signs here is believed here. */
export function trustedBy(policy: Policy, signer: Signer): string[] {
  return [...new Set([signer.publicKey, ...policy.keys.trusted_signers])];
}
