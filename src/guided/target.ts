/** The machine that a restore works on, and how it is reached. */
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import type { GuidedAccess } from "../lib/access.ts";
import { DropsError } from "../lib/errors.ts";
import { isSamePlace, parseHost } from "../policy/host-words.ts";
import type { Policy, SshPolicy } from "../policy/schema.ts";
import type { RunTarget } from "./journal/run-meta.ts";

export type RestoreTarget = "local" | SshPolicy;

type HostOptions = Pick<GuidedAccess, "host" | "sshKey" | "hostKey">;

const PUBLIC_KEY = /^(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa) [A-Za-z0-9+/=]+( .*)?$/;

/**
 * Where to work: what the command line says, filled up with the policy. A policy's key file and pinned key belong to
 * the policy's machine: the key is tried on another one too when it is here, the pin only where the address is the same.
 *
 * @throws DropsError usage/invalid
 */
export async function targetOf(
  options: HostOptions,
  policyHost: Policy["host"] | undefined,
): Promise<RestoreTarget> {
  const known = policyHost === undefined || policyHost === "local" ? undefined : policyHost.ssh;
  if (options.host === "local" || (options.host === undefined && policyHost === "local")) return "local";
  const base = options.host === undefined ? known : parseHost(options.host);
  if (!base)
    throw new DropsError("usage/invalid", "no machine given", {
      hint: "--host root@ADDRESS, or --host local",
    });
  const { address, port, user = known?.user } = base;
  const isSame = known !== undefined && isSamePlace({ address, port }, known);
  return present({
    address,
    port,
    user,
    key_file: options.sshKey === undefined ? await ifThere(known?.key_file) : resolve(options.sshKey),
    host_key: pinOf(options.hostKey) ?? (isSame ? known.host_key : undefined),
    known_hosts: known?.known_hosts,
  });
}

function pinOf(hostKey: string | undefined): string | undefined {
  if (hostKey === undefined || PUBLIC_KEY.test(hostKey)) return hostKey?.split(" ").slice(0, 2).join(" ");
  throw new DropsError("usage/invalid", "--host-key is not a public key line", {
    hint: '--host-key "ssh-ed25519 AAAA…", as ssh-keyscan prints it without the address',
  });
}

/** As a policy has it. */
export function hostOf(target: RestoreTarget): Policy["host"] {
  return target === "local" ? target : { ssh: target };
}

/** What a run remembers of it. */
export function rememberedTarget(target: RestoreTarget): RunTarget {
  if (target === "local") return target;
  const { address, port, user, host_key } = target;
  return present({ address, port, user, host_key });
}

/** A policy from a snapshot names files of the machine that it was written for. */
async function ifThere(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  return access(file).then(
    () => file,
    () => undefined,
  );
}

/** Without the fields that are undefined. */
function present(ssh: { [Field in keyof SshPolicy]: SshPolicy[Field] | undefined }): SshPolicy {
  return Object.fromEntries(Object.entries(ssh).filter(([, value]) => value !== undefined)) as SshPolicy;
}
