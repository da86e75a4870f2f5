import { quote } from "../host/quote.ts";
import type { GuidedAccess } from "../lib/access.ts";

/** A command for the same repository and machine, ready to be typed: the options that were given, quoted. */
export function again(command: string, access: GuidedAccess): string {
  const option = (name: string, value: string | undefined) =>
    value === undefined ? [] : [`--${name}`, quote(value)];
  return [
    "drops",
    command,
    ...option("policy", access.policy),
    ...option("store", access.store),
    ...access.identities.flatMap((file) => option("identity", file)),
    ...access.trustedSigners.flatMap((key) => option("trusted-signer", key)),
    ...(access.trustUnsigned ? ["--trust-unsigned"] : []),
    ...(access.hidden ? ["--hidden"] : []),
    ...option("expect-head", access.expectHead),
    ...option("host", access.host),
    ...option("ssh-key", access.sshKey),
    ...option("host-key", access.hostKey),
  ].join(" ");
}
