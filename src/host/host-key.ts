import { DropsError, messageOf, systemCode } from "../lib/errors.ts";
import { readText } from "../lib/read-at-most.ts";
import {
  fingerprint,
  hostName,
  judgeKey,
  type KeyVerdict,
  type KnownHost,
  knownTypes,
  parseKnownHosts,
} from "./known-hosts.ts";
import { quote } from "./quote.ts";
import type { SshDestination } from "./ssh-destination.ts";

/** Decides whether the machine that answers is the one that is meant. */
export interface HostKeyCheck {
  /** Host key algorithms to offer, those of known keys first: a host with several keys then shows one that we know. */
  readonly algorithms: readonly HostKeyAlgorithm[];
  /** The failure (host/key-mismatch) when `key`, as it travels, is not trusted. */
  judge(key: Uint8Array): DropsError | undefined;
}

const ALGORITHMS = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
] as const;

type HostKeyAlgorithm = (typeof ALGORITHMS)[number];

/** The pinned key of the policy alone when there is one, else the known_hosts files. A key is always needed. */
export async function hostKeyCheck(to: SshDestination): Promise<HostKeyCheck> {
  const host = { address: to.hostKeyAlias ?? to.address, port: to.hostKeyAlias ? 22 : to.port };
  if (to.hostKey !== undefined) {
    const [type = "", key = ""] = to.hostKey.split(" ");
    return {
      algorithms: inOrder([type]),
      judge: (shown) => judgePinned(host, Buffer.from(key, "base64"), shown),
    };
  }
  const lines = (await Promise.all(to.knownHosts.map(readLines))).flat();
  return {
    algorithms: inOrder(knownTypes(lines, host)),
    judge: (shown) => failureOf(judgeKey(lines, host, shown), { to, host, shown }),
  };
}

type Named = { readonly address: string; readonly port: number };

function judgePinned(host: Named, pinned: Buffer, shown: Uint8Array): DropsError | undefined {
  if (pinned.equals(shown)) return undefined;
  return new DropsError(
    "host/key-mismatch",
    `${hostName(host)} shows the host key ${typeOf(shown)} ${fingerprint(shown)} instead of the pinned ${fingerprint(pinned)}`,
    {
      hint: `if the machine was rebuilt, check that key on its console (${CONSOLE}), then put the new one in host_key of the policy`,
    },
  );
}

function failureOf(
  verdict: KeyVerdict,
  at: { readonly to: SshDestination; readonly host: Named; readonly shown: Uint8Array },
): DropsError | undefined {
  const { to, shown } = at;
  const name = hostName(at.host);
  const [file = ""] = to.knownHosts;
  const key = `${typeOf(shown)} ${fingerprint(shown)}`;
  switch (verdict) {
    case "known":
      return undefined;
    case "revoked":
      return new DropsError(
        "host/key-mismatch",
        `${name} shows the host key ${key}, which is marked as revoked`,
      );
    case "changed":
      return new DropsError(
        "host/key-mismatch",
        `${name} shows the host key ${key}, which is not the known one`,
        {
          hint: `if the machine was rebuilt, check that key on its console (${CONSOLE}), then: ssh-keygen -R ${quote(name)} -f ${quote(file)}`,
        },
      );
    case "certified":
      return new DropsError(
        "host/key-mismatch",
        `${name} shows the host key ${key}, and known_hosts has only @cert-authority for it: drops does not read host certificates`,
        { hint: pinHint(to, at.host, shown) },
      );
    case "unknown":
      return new DropsError("host/key-mismatch", `${name} has an unknown host key: ${key}`, {
        hint: pinHint(to, at.host, shown),
      });
  }
}

function pinHint(to: SshDestination, host: Named, shown: Uint8Array): string {
  const line = `${typeOf(shown)} ${Buffer.from(shown).toString("base64")}`;
  return [
    `check it on the machine's console (${CONSOLE}), then put in the policy:`,
    `host_key: ${line}`,
    `or, for a machine given by --host, add: --host-key '${line}'`,
    `or run: echo ${quote(`${hostName(host)} ${line}`)} >> ${quote(to.knownHosts[0] ?? "")}`,
  ].join("\n");
}

const CONSOLE = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub";

/** A key as it travels begins with its type: a 32-bit length and the letters (RFC 4253 6.6). */
function typeOf(key: Uint8Array): string {
  const bytes = Buffer.from(key);
  if (bytes.length < 4) return "of an unknown type";
  return bytes.subarray(4, 4 + bytes.readUInt32BE(0)).toString("latin1");
}

function inOrder(types: readonly string[]): readonly HostKeyAlgorithm[] {
  const first = ALGORITHMS.filter((name) => types.includes(name.startsWith("rsa-") ? "ssh-rsa" : name));
  return [...new Set([...first, ...ALGORITHMS])];
}

async function readLines(file: string): Promise<readonly KnownHost[]> {
  try {
    return parseKnownHosts(await readText(file));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw new DropsError("host/key-mismatch", `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}
