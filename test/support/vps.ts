import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { makeKey } from "./sshd.ts";
import { PATIENCE_MS } from "./until.ts";

/** A throwaway server: Debian with systemd as process 1, OpenSSH and PostgreSQL, its own network and memory cap. */
export interface Vps extends AsyncDisposable {
  readonly ssh: {
    /** Reached from this machine alone. */
    readonly address: string;
    readonly port: 22;
    readonly user: "root";
    readonly keyFile: string;
    /** Type and base64. */
    readonly hostKey: string;
    readonly hostKeyFile: string;
    /** Holds the host key of this machine alone. */
    readonly knownHostsFile: string;
  };
  /** Of this machine, on the line to that one: what listens here is reached from there alone, while it is on. */
  readonly here: string;
  /** A directory of this side that the machine has at /mnt/shared: what is written to it survives a power cut. */
  readonly shared: string;
  /** A shell command as root; what it printed, without the last newline. Throws when it fails. */
  exec(command: string, how?: { input?: string | Buffer }): Promise<string>;
  /** All processes end at once; the disk keeps what was synced, and nothing that was not. */
  powerCut(): Promise<void>;
  /** Power on again with the same disk; resolves when everything that starts by itself has started, or has failed to. */
  boot(): Promise<void>;
  /** An orderly restart from within. */
  reboot(): Promise<void>;
  /** Packets go nowhere, in both directions; nobody is told. */
  cutNetwork(): Promise<void>;
  healNetwork(): Promise<void>;
  /** End all SSH connections as a router that forgot them would. */
  dropConnections(): Promise<void>;
}

export interface VpsOptions {
  /** A private host key of an earlier machine, for one that was prepared with it; default: a new one. */
  readonly hostKeyFile?: string;
  /** Of all its processes, with their page cache. */
  readonly memory?: `${number}M`;
  /** Directories and files of this machine, readable at a path over there. */
  readonly binds?: Readonly<Record<string, string>>;
}

const run = promisify(execFile);
const scripts = new URL("./vps/", import.meta.url).pathname;
const READY_MS = PATIENCE_MS;
/** Where Node over there finds TypeScript that another process has read already: at half the work, for hundreds of processes. */
const COMPILED = "/var/cache/node-compiled";

/** Boots one; needs root. Its root directory is built once and kept in the user's cache. */
export async function startVps(options: VpsOptions = {}): Promise<Vps> {
  const root = await buildRoot();
  await using stack = new AsyncDisposableStack();
  const holder = spawn("sh", [join(scripts, "hold.sh"), tmpdir()], { stdio: ["pipe", "pipe", "inherit"] });
  stack.defer(() => ended(holder));
  const [number = "", here = "", address = "", directory = ""] = (await firstLine(holder)).split(" ");
  const ssh = await prepare(directory, address, options.hostKeyFile);
  const binds = Object.entries(options.binds ?? {}).map(([from, to]) => `--bind-ro=${from}:${to}`);
  const compiled = process.env["NODE_COMPILE_CACHE"] ?? join(directory, "compiled");
  await mkdir(compiled, { recursive: true });
  binds.push(`--bind=${compiled}:${COMPILED}`);
  const machine = new Machine({
    argv: [root, directory, number, here, address, options.memory ?? "1536M", ...binds],
    directory,
    link: `drops-vps${number}`,
    ssh,
  });
  stack.defer(() => machine.powerCut());
  await machine.boot();
  const closing = stack.move();
  return {
    ssh,
    here,
    shared: join(directory, "shared"),
    exec: (command, how) => machine.exec(command, how),
    powerCut: () => machine.powerCut(),
    boot: () => machine.boot(),
    reboot: () => machine.reboot(),
    cutNetwork: () => machine.network("down"),
    healNetwork: () => machine.network("up"),
    dropConnections: () => machine.dropConnections(),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

async function buildRoot(): Promise<string> {
  if (process.getuid?.() !== 0)
    throw new Error("the servers of the tests run in namespaces: run the tests as root");
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "drops-test");
  const { stdout } = await run("sh", [join(scripts, "build.sh"), cache]).catch((error: unknown) => {
    throw new Error("no server for the tests", { cause: error });
  });
  return stdout.trim();
}

/** What a hosting company puts onto a disk before the first boot: who it is and who may log in. */
async function prepare(directory: string, address: string, hostKeyFile?: string): Promise<Vps["ssh"]> {
  const seed = join(directory, "seed");
  const [etc, ssh, home] = [join(seed, "etc"), join(seed, "etc", "ssh"), join(seed, "root")];
  await mkdir(join(ssh, "sshd_config.d"), { recursive: true });
  await mkdir(join(home, ".ssh"), { recursive: true, mode: 0o700 });
  const units = join(etc, "systemd", "system.conf.d");
  await mkdir(units, { recursive: true });
  for (const path of [seed, etc, ssh, join(ssh, "sshd_config.d"), join(etc, "systemd"), units])
    await chmod(path, 0o755);
  await chmod(home, 0o700);
  const own = join(ssh, "ssh_host_ed25519_key");
  if (hostKeyFile === undefined) await makeKey(own);
  else for (const suffix of ["", ".pub"]) await copyFile(hostKeyFile + suffix, own + suffix);
  await chmod(own, 0o600);
  const keyFile = join(directory, "login");
  await makeKey(keyFile);
  await copyFile(`${keyFile}.pub`, join(home, ".ssh", "authorized_keys"));
  await writeFile(join(etc, "machine-id"), `${randomUUID().replaceAll("-", "")}\n`);
  await writeFile(
    join(ssh, "sshd_config.d", "tests.conf"),
    "HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nUseDNS no\nMaxStartups 100\n" +
      `SetEnv NODE_COMPILE_CACHE=${COMPILED}\n`,
  );
  await writeFile(
    join(units, "tests.conf"),
    `[Manager]\nDefaultEnvironment=NODE_COMPILE_CACHE=${COMPILED}\n`,
  );
  const hostKey = (await readFile(`${own}.pub`, "utf8")).split(" ").slice(0, 2).join(" ").trim();
  const knownHostsFile = join(directory, "known_hosts");
  await writeFile(knownHostsFile, `${address} ${hostKey}\n`);
  return { address, port: 22, user: "root", keyFile, hostKey, hostKeyFile: own, knownHostsFile };
}

class Machine {
  readonly #parts: { argv: readonly string[]; directory: string; link: string; ssh: Vps["ssh"] };
  #power: ChildProcess | undefined;

  constructor(parts: { argv: readonly string[]; directory: string; link: string; ssh: Vps["ssh"] }) {
    this.#parts = parts;
  }

  async boot(): Promise<void> {
    if (this.#power !== undefined) throw new Error("it is on already");
    this.#power = spawn("sh", [join(scripts, "boot.sh"), ...this.#parts.argv], {
      stdio: ["pipe", "inherit", "inherit"],
      detached: true, // an interrupt at the terminal shall reach it as the end of its input, so that it cleans up
    });
    await this.#started();
  }

  async powerCut(): Promise<void> {
    if (this.#power === undefined) return;
    await ended(this.#power);
    this.#power = undefined;
  }

  async reboot(): Promise<void> {
    const startOfSystemd = "cut -d ' ' -f 22 /proc/1/stat";
    const before = await this.exec(startOfSystemd);
    await this.exec("systemctl reboot").catch(() => {}); // it may be gone before it answers
    // The limit is for the whole handshake: longer each time, for it may be this machine that is slow.
    for (let [until, patience] = [Date.now() + READY_MS, 1]; ; patience += 1, await sleep(50)) {
      const now = await this.exec(startOfSystemd, { patience }).catch(() => before);
      if (now !== before) break;
      if (Date.now() > until) throw new Error(`it did not reboot: ${await this.#lastWords()}`);
    }
    await this.#started();
  }

  async network(state: "up" | "down"): Promise<void> {
    await run("ip", ["link", "set", this.#parts.link, state]);
  }

  async dropConnections(): Promise<void> {
    await this.exec(DROP_OTHERS);
  }

  async exec(command: string, how: { input?: string | Buffer; patience?: number } = {}): Promise<string> {
    const { address, keyFile, knownHostsFile } = this.#parts.ssh;
    const options = [
      "BatchMode=yes",
      `ConnectTimeout=${how.patience ?? 60}`,
      `UserKnownHostsFile=${knownHostsFile}`,
    ];
    const flags = ["-q", "-F", "none", "-i", keyFile, ...options.flatMap((option) => ["-o", option])];
    const call = run("ssh", [...flags, `root@${address}`, command], { maxBuffer: 256 * 1024 * 1024 });
    call.child.stdin?.on("error", () => {}).end(how.input ?? "");
    return (await call).stdout.replace(/\n$/, "");
  }

  async #started(): Promise<void> {
    for (let [until, patience] = [Date.now() + READY_MS, 1]; ; patience += 1, await sleep(50)) {
      // Degraded is an answer too: a unit that fails is the business of whoever looks at it.
      const asked = this.exec("systemctl is-system-running --wait || true", { patience });
      const state = await asked.catch(() => "");
      if (state === "running" || state === "degraded") return;
      if (this.#power?.exitCode !== null) throw new Error(`it went off: ${await this.#lastWords()}`);
      if (Date.now() > until) throw new Error(`it did not boot (${state}): ${await this.#lastWords()}`);
    }
  }

  async #lastWords(): Promise<string> {
    const console = await readFile(join(this.#parts.directory, "console.log"), "utf8").catch(() => "");
    return console.slice(-1500);
  }
}

/** All but the session that this runs in, and the server. */
const DROP_OTHERS = `
mine=" "; pid=$$
while [ "$pid" -gt 1 ]; do mine="$mine$pid "; pid=$(ps -o ppid= -p "$pid" | tr -d ' '); done
for pid in $(pgrep -x sshd); do
  case $mine in *" $pid "*) ;; *) kill -KILL "$pid" 2>/dev/null || true ;; esac
done`;

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error("no standard output");
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), once(child, "close").then(() => [""])]);
  if (!line) throw new Error("no place for a server of the tests");
  return line;
}

/** By closing its input; it then cleans up. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.stdin?.end();
  await closed;
}
