/** The machine that a policy names. */
import { homedir } from "node:os";
import type { AppContext } from "../cli/app.ts";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { Policy } from "../policy/schema.ts";

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
