import { connect as connectTcp, type Socket } from "node:net";
import type { Client } from "ssh2";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, messageOf } from "../lib/errors.ts";
import { within } from "../lib/waiting.ts";
import { type HostKeyCheck, hostKeyCheck } from "./host-key.ts";
import { type SshDestination, type SshUser, sshConfig } from "./ssh-destination.ts";
import { type SshLogin, sshLogin } from "./ssh-login.ts";
import { openProxy } from "./ssh-proxy.ts";
import { isQuick, quicken } from "./ssh-quick.ts";

const CONNECT_MS = 20_000;
const KEEPALIVE_MS = 15_000;
const KEEPALIVES_MISSED = 4;
const READ_BYTES = 256 * 1024;
const GOODBYE_MS = 1000;

/** AES-GCM first: on the machines at hand it is four times as fast as CTR with a MAC, and six times ChaCha20. */
const CIPHERS = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "aes128-ctr",
  "aes192-ctr",
  "aes256-ctr",
  "chacha20-poly1305@openssh.com",
] as const;

const KEY_EXCHANGES = [
  "curve25519-sha256",
  "curve25519-sha256@libssh.org",
  "ecdh-sha2-nistp256",
  "ecdh-sha2-nistp384",
  "ecdh-sha2-nistp521",
  "diffie-hellman-group16-sha512",
  "diffie-hellman-group18-sha512",
  "diffie-hellman-group14-sha256",
] as const;

const MACS = [
  "hmac-sha2-256-etm@openssh.com",
  "hmac-sha2-512-etm@openssh.com",
  "hmac-sha2-256",
  "hmac-sha2-512",
] as const;

/** An authenticated connection to a host whose key was verified. */
export interface SshConnection {
  readonly client: Client;
  readonly isAlive: () => boolean;
  close(): Promise<void>;
}

/**
 * Connect and log in, once. Throws host/key-mismatch, host/login-refused or host/unreachable (20 s without an answer
 * included); a later loss is noticed after four unanswered keep-alives of 15 s.
 */
export async function connect(to: SshDestination, how: SshUser & Cancel): Promise<SshConnection> {
  const check = await hostKeyCheck(to);
  const login = await sshLogin(to);
  const { NodeSSH } = await import("node-ssh"); // 70 ms that only those pay who need it
  how.signal.throwIfAborted();
  let untrusted: DropsError | undefined;
  const session = new NodeSSH();
  await using config = to.proxy && (await sshConfig(how.home));
  const proxy = to.proxy && config && (await openProxy(to.proxy(config.path), how));
  const socket =
    proxy?.socket ?? openSocket(to, () => session.connection !== null && isQuick(session.connection));
  const connecting = session.connect({
    ...configOf(to, check),
    authHandler: [...login.methods],
    sock: socket,
    hostVerifier: (key: Buffer) => {
      untrusted = check.judge(key);
      return untrusted === undefined;
    },
  });
  const { connection: client } = session;
  const stop = () => {
    client?.destroy();
    socket.destroy(); // not the client's yet when it refused the key
  };
  how.signal.addEventListener("abort", stop, { once: true });
  client?.on("error", () => {}); // each command is told by its channel; without this line Node would stop the program
  if (client !== null) quicken(client);
  try {
    await connecting;
  } catch (error) {
    stop();
    how.signal.throwIfAborted();
    throw untrusted ?? failureOf(error, { to, login, said: await proxy?.said() });
  } finally {
    how.signal.removeEventListener("abort", stop);
  }
  if (client === null) throw new DropsError("host/unreachable", `the connection to ${to.alias} was lost`);
  return watch(client);
}

function watch(client: Client): SshConnection {
  client.setMaxListeners(0); // one for each command that is being started
  let alive = true;
  const closed = new Promise<void>((resolve) => {
    client.once("close", () => {
      alive = false;
      resolve();
    });
  });
  client.once("end", () => {
    alive = false;
  });
  return {
    client,
    isAlive: () => alive,
    async close() {
      if (!alive) return;
      client.end();
      await within(GOODBYE_MS, closed);
      client.destroy();
    },
  };
}

/**
 * A TCP connection that is read in large pieces into one buffer, a copy of which is handed on unless `mayLend`: then
 * nothing of it is looked at after the listeners have returned.
 */
function openSocket(to: SshDestination, mayLend: () => boolean): Socket {
  const socket = connectTcp({
    host: to.address,
    port: to.port,
    noDelay: true, // else delayed acknowledgements add 80 ms to every command
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length, buffer) => {
        const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
        socket.emit("data", mayLend() ? bytes : Buffer.from(bytes));
        return true;
      },
    },
  });
  socket.on("error", () => {}); // the client tells, once it has the socket
  return socket;
}

function configOf(to: SshDestination, check: HostKeyCheck) {
  return {
    host: to.address,
    username: to.user,
    readyTimeout: CONNECT_MS,
    keepaliveInterval: KEEPALIVE_MS,
    keepaliveCountMax: KEEPALIVES_MISSED,
    algorithms: {
      cipher: [...CIPHERS],
      kex: [...KEY_EXCHANGES],
      hmac: [...MACS],
      serverHostKey: [...check.algorithms],
      compress: ["none" as const], // packs are compressed before they are stored, and dumps need the speed
    },
  };
}

function failureOf(
  error: unknown,
  at: { readonly to: SshDestination; readonly login: SshLogin; readonly said: string | undefined },
): DropsError {
  const { user, alias, port, proxy } = at.to;
  const { level } = error as { level?: string };
  if (level === "client-authentication") return at.login.refused(error);
  const way = proxy === undefined ? `on port ${port}` : "through its proxy";
  const why = at.said === undefined || at.said === "" ? messageOf(error) : at.said;
  return new DropsError("host/unreachable", `cannot reach ${user}@${alias} ${way}: ${why}`, {
    hint: `ssh -p ${port} ${user}@${alias} true`,
    cause: error,
  });
}
