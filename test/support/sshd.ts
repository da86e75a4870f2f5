import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type Socket, connect as tcpConnect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SshPolicy } from "../../src/policy/schema.ts";
import { freePort } from "./free-port.ts";
import { until } from "./until.ts";

const run = promisify(execFile);
const SSHD = "/usr/sbin/sshd";

/** A user without privileges that the tests log in as; made when the tests run as root and it is absent. */
export const PLAIN_USER = "drops-test";

export interface Sshd extends AsyncDisposable {
  readonly directory: string;
  readonly port: number;
  /** The public host key: type and base64. */
  readonly hostKey: string;
  /** All of them: that one first. */
  readonly hostKeys: readonly string[];
  readonly hostKeyFile: string;
  readonly clientKeyFile: string;
  /** A key that nobody authorized. */
  readonly strangerKeyFile: string;
  readonly knownHostsFile: string;
  /** Logs in as the current user with the key, the host key from the known_hosts file. */
  readonly policy: SshPolicy;
  /** The same as `PLAIN_USER`; only when started with `plainUser`. */
  readonly plainPolicy: SshPolicy;
  /** End every connection as if the network had gone: no goodbye from SSH. Resolves to their number. */
  killConnections(): Promise<number>;
  /** What it wrote to its log so far. */
  log(): Promise<string>;
}

/** A throwaway OpenSSH server on loopback, as whoever runs the tests. */
export async function startSshd(
  options: {
    readonly plainUser?: boolean;
    readonly moreHostKeys?: readonly ("ecdsa" | "rsa")[];
    readonly config?: readonly string[];
    /** Logins may open connections from here, as through a jump host. */
    readonly forwarding?: boolean;
  } = {},
): Promise<Sshd> {
  const directory = await mkdtemp(join(tmpdir(), "drops-sshd-"));
  const inside = (name: string) => join(directory, name);
  if (options.plainUser === true) await ensurePlainUser();
  for (const name of ["host", "client", "stranger"]) await makeKey(inside(name));
  const more = options.moreHostKeys ?? [];
  for (const type of more) await makeKey(inside(`host-${type}`), { type });
  const hostKeyFiles = [inside("host"), ...more.map((type) => inside(`host-${type}`))];
  const publicKey = await readFile(inside("client.pub"), "utf8");
  // as docs/backup-host.md advises: no forwarding, no terminal, from one address
  const allowed = options.forwarding === true ? "restrict,port-forwarding" : "restrict";
  await writeFile(inside("authorized_keys"), `${allowed},from="127.0.0.1" ${publicKey}`, { mode: 0o644 });
  await run("chmod", ["755", directory]); // the plain user's login reads authorized_keys as that user
  const port = await freePort();
  await writeFile(inside("sshd_config"), configOf(directory, port, hostKeyFiles, options.config ?? []));
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true }); // for its privilege separation
  const server = spawn("setpriv", ["--pdeathsig", "TERM", SSHD, "-D", "-e", "-f", inside("sshd_config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  server.once("error", (error) => {
    log += `${error.message}; install the Debian package openssh-server`;
  });
  await untilItAnswers(
    port,
    () => server.exitCode !== null || server.pid === undefined,
    () => log,
  );
  const hostKeys = await Promise.all(hostKeyFiles.map(publicKeyOf));
  const [hostKey = ""] = hostKeys;
  await writeFile(inside("known_hosts"), `[127.0.0.1]:${port} ${hostKey}\n`);
  const policy: SshPolicy = {
    address: "127.0.0.1",
    port,
    user: userInfo().username,
    key_file: inside("client"),
    known_hosts: inside("known_hosts"),
  };
  const pid = server.pid ?? 0;
  return {
    directory,
    port,
    hostKey,
    hostKeys,
    hostKeyFile: inside("host"),
    clientKeyFile: inside("client"),
    strangerKeyFile: inside("stranger"),
    knownHostsFile: inside("known_hosts"),
    policy,
    plainPolicy: { ...policy, user: PLAIN_USER },
    killConnections: () => killBelow(pid),
    log: async () => log,
    async [Symbol.asyncDispose]() {
      await killBelow(pid);
      if (server.exitCode === null) {
        server.kill("SIGTERM");
        await once(server, "exit");
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function configOf(
  directory: string,
  port: number,
  hostKeyFiles: readonly string[],
  more: readonly string[],
): string {
  return [
    ...more, // the first of two settings counts
    "ListenAddress 127.0.0.1",
    `Port ${port}`,
    ...hostKeyFiles.map((file) => `HostKey ${file}`),
    `PidFile ${directory}/sshd.pid`,
    `AuthorizedKeysFile ${directory}/authorized_keys`,
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin prohibit-password",
    "UseDNS no",
    "MaxStartups 100",
    `SetEnv HOME=${directory}`, // start-up files of the real home have no part in this
    "",
  ].join("\n");
}

/** A key pair (ed25519, without a passphrase, unless told otherwise) at `file` and `file`.pub. */
export async function makeKey(
  file: string,
  how: { readonly passphrase?: string; readonly type?: "ed25519" | "ecdsa" | "rsa" } = {},
): Promise<void> {
  const { passphrase = "", type = "ed25519" } = how;
  await run("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "test", "-f", file]);
}

/** Type and base64, without the comment. */
async function publicKeyOf(file: string): Promise<string> {
  return (await readFile(`${file}.pub`, "utf8")).split(" ").slice(0, 2).join(" ").trim();
}

async function ensurePlainUser(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("a second user needs root");
  const isThere = () =>
    run("id", ["-u", PLAIN_USER]).then(
      () => true,
      () => false,
    );
  if (await isThere()) return;
  // a password that matches nothing, but not a locked account: without PAM sshd refuses those
  const making = run("useradd", ["--create-home", "--shell", "/bin/sh", "--password", "*", PLAIN_USER]);
  await making.catch(() => until("another test file has made the user", isThere));
}

async function untilItAnswers(port: number, hasEnded: () => boolean, log: () => string): Promise<void> {
  await until("sshd answers", async () => {
    if (hasEnded()) throw new Error(`sshd did not start: ${log()}`);
    return answers(port);
  });
}

async function answers(port: number): Promise<boolean> {
  const socket: Socket = tcpConnect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Kill the processes that a server made for its connections, but not itself; parents first, so that none says goodbye. */
async function killBelow(pid: number): Promise<number> {
  const below = await childrenOf(pid);
  for (const child of below) {
    try {
      process.kill(child, "SIGKILL");
    } catch {
      // it ended by itself
    }
  }
  return below.length;
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = text
    .split(" ")
    .map(Number)
    .filter((child) => child > 0);
  const below = await Promise.all(children.map(childrenOf));
  return [...children, ...below.flat()];
}
