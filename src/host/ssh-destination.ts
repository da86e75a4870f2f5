import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { LOGIN_MS } from "../lib/limits.ts";
import type { SshPolicy } from "../policy/schema.ts";
import { openLocalHost } from "./local.ts";
import { ANY_EXIT } from "./run-to-end.ts";

/** Whose keys, agent and configuration are taken. */
export interface SshUser {
  readonly home: string;
  readonly agentSocket?: string | undefined;
}

/** A policy's `ssh` and what the OpenSSH configuration adds to it. */
export interface SshDestination {
  /** The address as the policy has it: what `Host` of the configuration is compared with. */
  readonly alias: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string | undefined;
  readonly hostKey: string | undefined;
  /** Tried in this order when there is no `keyFile`; those that are not there are passed over. */
  readonly identityFiles: readonly string[];
  /** Not read, but named when a login fails. */
  readonly certificateFiles: readonly string[];
  readonly agentSocket: string | undefined;
  /** Of the agent's keys only those of `identityFiles`. */
  readonly identitiesOnly: boolean;
  readonly knownHosts: readonly string[];
  /** The name that the host has in known_hosts, instead of its address and port. */
  readonly hostKeyAlias: string | undefined;
  /** A program of this machine whose input and output are the connection; it is given a file of `sshConfig`. */
  readonly proxy: ((config: string) => readonly string[]) | undefined;
}

const DEFAULT_USER = "root";
const SYSTEM_CONFIG = "/etc/ssh/ssh_config";
/** What changes how a host is reached or who is believed, and is not done; with what `ssh -G` prints where it is not set. */
const REFUSED = Object.entries({
  bindaddress: "none",
  bindinterface: "none",
  revokedhostkeys: "none",
  proxyusefdpass: "no",
});
/** Becomes part of a shell's line or of another program's arguments. */
const PLAIN = /^[\w.:%+][\w.:%+-]*$/;

/**
 * What the policy says, and for all else what `ssh -G` says of the user's and the system's configuration. Commands of `Match
 * exec` run in it, as they do whenever that user calls ssh. Without a program `ssh` that works OpenSSH's defaults count.
 *
 * @throws DropsError host/login-refused when there is a configuration that cannot be read, or that asks for what drops does not do
 */
export async function sshDestination(ssh: SshPolicy, how: SshUser & Cancel): Promise<SshDestination> {
  const told = await configured(ssh, how);
  const all = (word: string) => (told.get(word) ?? []).filter((value) => value !== "none");
  const one = (word: string) => all(word)[0];
  for (const [word, unset] of REFUSED) {
    if ((one(word) ?? unset) !== unset) throw notDone(ssh.address, word);
  }
  const address = one("hostname") ?? ssh.address;
  const user = ssh.user ?? one("user") ?? DEFAULT_USER;
  const port = ssh.port ?? Number(one("port") ?? 22);
  const tokens = { "%": "%", d: how.home, h: address, n: ssh.address, p: String(port), r: user };
  const paths = (words: readonly string[]) => words.map((word) => pathOf(word, tokens));
  const known = [...all("userknownhostsfile"), ...all("globalknownhostsfile")];
  return {
    alias: ssh.address,
    address,
    port,
    user,
    keyFile: ssh.key_file,
    hostKey: ssh.host_key,
    identityFiles: paths(all("identityfile")),
    certificateFiles: paths(all("certificatefile")),
    agentSocket: agentOf(told.get("identityagent")?.[0], tokens, how),
    identitiesOnly: one("identitiesonly") === "yes",
    knownHosts: paths(
      ssh.known_hosts === undefined ? known.flatMap((files) => files.split(" ")) : [ssh.known_hosts],
    ),
    hostKeyAlias: one("hostkeyalias"),
    proxy: proxyOf({ jump: one("proxyjump"), command: one("proxycommand") }, tokens),
  };
}

/**
 * A file for `ssh -F`: the configuration of `home` (ssh itself would take that of passwd) and of the system, then `defaults`.
 * Whoever reads it asks nobody anything and refuses a host key that is not known.
 */
export async function sshConfig(
  home: string,
  defaults: readonly string[] = [],
): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = await mkdtemp(join(tmpdir(), "drops-ssh-"));
  const path = join(directory, "config");
  const lines = [
    "BatchMode yes",
    "StrictHostKeyChecking yes",
    `Include "${join(home, ".ssh/config")}"`,
    `Include ${SYSTEM_CONFIG}`,
    `UserKnownHostsFile ${home}/.ssh/known_hosts ${home}/.ssh/known_hosts2`,
    ...defaults,
  ];
  await writeFile(path, `${lines.join("\n")}\n`, { mode: 0o600 });
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/** What `ssh -G` prints: words in small letters, some of them several times. */
async function configured(
  ssh: SshPolicy,
  how: SshUser & Cancel,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const user = ssh.user === undefined ? [] : ["-l", ssh.user];
  const port = ssh.port === undefined ? [] : ["-p", String(ssh.port)];
  await using here = await openLocalHost();
  await using config = await sshConfig(how.home, [`User ${DEFAULT_USER}`]);
  const told = await here.run(["ssh", "-T", "-G", "-F", config.path, ...user, ...port, "--", ssh.address], {
    signal: how.signal,
    okExits: ANY_EXIT,
    within: LOGIN_MS,
  });
  // in a container ssh does not work for a user without an entry
  if (told.exit === 127 || /^No user exists for uid/.test(told.stderr)) return withoutSsh(how.home);
  if (told.exit !== 0) {
    throw new DropsError(
      "host/login-refused",
      `the OpenSSH configuration for ${ssh.address} cannot be read: ${told.stderr}`,
      { hint: "ssh -G ADDRESS  shows what ssh makes of ~/.ssh/config" },
    );
  }
  const found = new Map<string, string[]>();
  for (const line of told.stdout.toString("utf8").trimEnd().split("\n")) {
    const [word = "", ...value] = line.split(" ");
    found.set(word, [...(found.get(word) ?? []), value.join(" ")]);
  }
  return found;
}

/** OpenSSH's defaults. Throws host/login-refused when there is a configuration, which is ssh's to read. */
function withoutSsh(home: string): ReadonlyMap<string, readonly string[]> {
  const config = join(home, ".ssh/config");
  if (existsSync(config)) {
    throw new DropsError(
      "host/login-refused",
      `${config} cannot be read: there is no working ssh program on this machine`,
      {
        hint: "try: ssh -G localhost; install OpenSSH's client (openssh-client on Debian), or move that file away",
      },
    );
  }
  return new Map([
    ["identityfile", ["rsa", "ecdsa", "ed25519"].map((type) => `~/.ssh/id_${type}`)],
    ["userknownhostsfile", ["~/.ssh/known_hosts ~/.ssh/known_hosts2"]],
    ["globalknownhostsfile", ["/etc/ssh/ssh_known_hosts"]],
  ]);
}

type Tokens = Readonly<Record<"%" | "d" | "h" | "n" | "p" | "r", string>>;

function agentOf(word: string | undefined, tokens: Tokens, how: SshUser): string | undefined {
  if (word === undefined || word === "SSH_AUTH_SOCK") return how.agentSocket;
  return word === "none" ? undefined : pathOf(word, tokens);
}

function proxyOf(
  { jump, command }: { readonly jump: string | undefined; readonly command: string | undefined },
  tokens: Tokens,
): SshDestination["proxy"] {
  if (jump === undefined && command === undefined) return undefined;
  for (const value of [tokens.h, tokens.n, tokens.r]) {
    if (PLAIN.test(value)) continue;
    throw new DropsError("host/login-refused", `"${value}" cannot be handed to the proxy of ${tokens.n}`);
  }
  if (command !== undefined) return () => ["sh", "-c", `exec ${expand(command, tokens)}`];
  // as ssh does it: the last hop opens the connection, through those before it
  const hops = (jump ?? "").split(",").map((hop) => (hop.startsWith("ssh://") ? hop : `ssh://${hop}`));
  const last = hops.pop() ?? "";
  const before = hops.length === 0 ? [] : ["-J", hops.join(",")];
  return (config) => ["ssh", "-F", config, ...before, "-W", `[${tokens.h}]:${tokens.p}`, "--", last];
}

function pathOf(words: string, tokens: Tokens): string {
  const path = expand(words.replace(/^~(?=\/)/, "%d"), tokens);
  if (path.startsWith("/")) return path;
  throw notDone(tokens.n, `the file "${words}"`);
}

function expand(words: string, tokens: Tokens): string {
  return words.replace(/%(.?)/g, (token, letter: keyof Tokens) => {
    const value = tokens[letter];
    if (value !== undefined) return value;
    throw notDone(tokens.n, `${token} in "${words}"`);
  });
}

function notDone(alias: string, what: string): DropsError {
  return new DropsError(
    "host/login-refused",
    `the OpenSSH configuration for ${alias} sets ${what}, which drops does not support`,
    { hint: "remove it for this host in ~/.ssh/config; supported settings: docs/ssh.md" },
  );
}
