/** The machine that a policy names. */
import { homedir } from "node:os";
import type { Host } from "../host/host.ts";
import type { SshUser } from "../host/ssh-destination.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import type { Policy } from "../policy/schema.ts";

/** Throws what openSshHost throws. */
export async function openHost(host: Policy["host"], context: AppContext, how: Cancel): Promise<Host> {
  if (host === "local") {
    const { openLocalHost } = await import("../host/local.ts");
    return openLocalHost();
  }
  const { openSshHost } = await import("../host/ssh.ts");
  return openSshHost(host.ssh, { ...how, ...sshUser(context) });
}

/** The same machine by the address and port that the OpenSSH configuration has for it, to compare it and to look it up. */
export async function addressed(
  host: Policy["host"],
  context: AppContext,
  how: Cancel,
): Promise<Policy["host"]> {
  if (host === "local") return host;
  const { sshDestination } = await import("../host/ssh-destination.ts");
  const { address, port } = await sshDestination(host.ssh, { ...how, ...sshUser(context) });
  return { ssh: { ...host.ssh, address, port } };
}

function sshUser({ env }: AppContext): SshUser {
  return { home: env["HOME"] ?? homedir(), agentSocket: env["SSH_AUTH_SOCK"] };
}
