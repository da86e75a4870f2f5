import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, copyFile, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { expectSuccess } from "../src/host/expect-success.ts";
import type { Host } from "../src/host/host.ts";
import { openLocalHost } from "../src/host/local.ts";
import { openSshHost } from "../src/host/ssh.ts";
import { type FailureCode, isFailure } from "../src/lib/errors.ts";
import type { SshPolicy } from "../src/policy/schema.ts";
import { hostContract, rootHostContract } from "./contracts/host.ts";
import { freePort } from "./support/free-port.ts";
import { makeKey, PLAIN_USER, type Sshd, startSshd } from "./support/sshd.ts";
import { until } from "./support/until.ts";

const shell = promisify(execFile);
const signal = new AbortController().signal;
const isRoot = process.getuid?.() === 0;

hostContract("this machine", openLocalHost);
if (isRoot) rootHostContract("this machine", openLocalHost);

describe("over SSH", () => {
  let sshd: Sshd;
  const open = (policy: Partial<SshPolicy> = {}, agentSocket?: string): Promise<Host> =>
    openSshHost({ ...sshd.policy, ...policy }, { signal, home: sshd.directory, agentSocket });
  const fails = async (policy: Partial<SshPolicy>, code: FailureCode, says: RegExp, hint?: RegExp) => {
    await assert.rejects(open(policy), (error) => {
      assert.ok(isFailure(error, code), String(error));
      assert.match(error.message, says);
      if (hint !== undefined) assert.match(error.hint ?? "", hint);
      return true;
    });
  };
  const known = async (text: string): Promise<{ known_hosts: string }> => {
    const file = join(sshd.directory, `known-${Math.random()}`);
    await writeFile(file, text);
    return { known_hosts: file };
  };
  before(async () => {
    sshd = await startSshd({ plainUser: isRoot });
  });
  after(async () => {
    await sshd[Symbol.asyncDispose]();
  });

  hostContract("OpenSSH", () => open());
  if (isRoot) {
    rootHostContract("OpenSSH", () => open());
    hostContract("OpenSSH as a user without privileges", () => open({ user: PLAIN_USER }));
  }

  test("the label names user and machine", async () => {
    await using host = await open();
    assert.equal(host.label, `${sshd.policy.user}@127.0.0.1`);
  });

  test("the pinned key opens, without any known_hosts", async () => {
    await using host = await open({ host_key: sshd.hostKey, known_hosts: "/nonexistent" });
    await host.run(["true"], { signal });
  });

  test("another key than the pinned one is refused", async () => {
    const other = (await readFile(`${sshd.strangerKeyFile}.pub`, "utf8")).split(" ").slice(0, 2).join(" ");
    await fails(
      { host_key: other },
      "host/key-mismatch",
      /shows the host key ssh-ed25519 SHA256:.* instead of the pinned/,
      /host_key/,
    );
    const rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC3";
    await fails({ host_key: rsa }, "host/key-mismatch", /instead of the pinned/);
  });

  test("the pinned key wins over known_hosts", async () => {
    const other = (await readFile(`${sshd.strangerKeyFile}.pub`, "utf8")).split(" ").slice(0, 2).join(" ");
    await fails({ host_key: other, known_hosts: sshd.knownHostsFile }, "host/key-mismatch", /pinned/);
  });

  test("a changed key in known_hosts is refused", async () => {
    const stranger = await readFile(`${sshd.strangerKeyFile}.pub`, "utf8");
    const file = await known(`[127.0.0.1]:${sshd.port} ${stranger}`);
    await fails(file, "host/key-mismatch", /not the known one/, /ssh-keygen -R '\[127\.0\.0\.1\]:\d+'/);
  });

  test("a revoked key is refused", async () => {
    const file = await known(`@revoked * ${sshd.hostKey}\n[127.0.0.1]:${sshd.port} ${sshd.hostKey}\n`);
    await fails(file, "host/key-mismatch", /revoked/);
  });

  test("an unknown host is refused; the hint holds the line to pin", async () => {
    const print = (await shell("ssh-keygen", ["-lf", sshd.hostKeyFile])).stdout.split(" ")[1] ?? "none";
    await assert.rejects(open(await known("")), (error) => {
      assert.ok(isFailure(error, "host/key-mismatch"));
      assert.ok(error.message.includes(print), error.message);
      assert.ok(error.hint?.includes(`host_key: ${sshd.hostKey}`), error.hint);
      assert.match(error.hint ?? "", /echo .\[127\.0\.0\.1\]:\d+ ssh-ed25519 /);
      return true;
    });
  });

  test("names that ssh-keygen hashed are found", async () => {
    const file = await known(`[127.0.0.1]:${sshd.port} ${sshd.hostKey}\n`);
    await shell("ssh-keygen", ["-H", "-f", file.known_hosts]);
    assert.match(await readFile(file.known_hosts, "utf8"), /^\|1\|/);
    await using host = await open(file);
    await host.run(["true"], { signal });
  });

  test("known_hosts of the home directory is used by default", async () => {
    const home = join(sshd.directory, "home");
    await shell("mkdir", ["-p", join(home, ".ssh")]);
    await copyFile(sshd.knownHostsFile, join(home, ".ssh/known_hosts"));
    const { known_hosts: _, ...policy } = sshd.policy;
    await using host = await openSshHost(policy, { signal, home });
    await host.run(["true"], { signal });
  });

  test("a host with several keys shows the one that is known", async () => {
    await using several = await startSshd({ moreHostKeys: ["ecdsa", "rsa"] });
    for (const key of several.hostKeys) {
      const file = await known(`[127.0.0.1]:${several.port} ${key}\n`);
      await using host = await openSshHost(
        { ...several.policy, ...file },
        { signal, home: several.directory },
      );
      await host.run(["true"], { signal });
      await using pinned = await openSshHost({ ...several.policy, host_key: key }, { signal, home: "/" });
      await pinned.run(["true"], { signal });
    }
    assert.equal(several.hostKeys.length, 3);
  });

  test("a login that is refused", async () => {
    await fails(
      { key_file: sshd.strangerKeyFile },
      "host/login-refused",
      /cannot log in as .*not accepted/,
      /^ssh -p/,
    );
    await fails(
      { key_file: join(sshd.directory, "none") },
      "host/login-refused",
      /SSH key .*none does not exist/,
    );
    const noKey = join(sshd.directory, "no-key");
    await writeFile(noKey, "nothing", { mode: 0o600 });
    await fails({ key_file: noKey }, "host/login-refused", /is not an SSH private key/);
    await fails(
      { key_file: undefined as never },
      "host/login-refused",
      /no SSH key found for .*: no key_file, no SSH agent/,
      /ssh-add/,
    );
    const locked = join(sshd.directory, "locked");
    await makeKey(locked, { passphrase: "open sesame" });
    await fails({ key_file: locked }, "host/login-refused", /has a passphrase/, /ssh-add/);
  });

  test("a key that others can read is refused before the host is asked, as ssh does it", async () => {
    const key_file = join(sshd.directory, "open-key");
    await copyFile(sshd.clientKeyFile, key_file);
    for (const mode of [0o640, 0o604, 0o620, 0o644]) {
      await chmod(key_file, mode);
      const hint = new RegExp(`^chmod 600 ${key_file}$`);
      await fails({ key_file, port: 9 }, "host/login-refused", /SSH key .* is open to other users/, hint);
    }
    await chmod(key_file, 0o400);
    await using host = await open({ key_file });
    await host.run(["true"], { signal });
  });

  test("the agent's key opens", async () => {
    const socket = join(sshd.directory, "agent");
    const started = await shell("ssh-agent", ["-a", socket, "-s"]);
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started.stdout)?.[1]);
    try {
      await shell("ssh-add", ["-q", sshd.clientKeyFile], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
      const { key_file: _, ...policy } = sshd.policy;
      await using host = await openSshHost(policy, { signal, home: sshd.directory, agentSocket: socket });
      await host.run(["true"], { signal });
      const absent = openSshHost(policy, { signal, home: sshd.directory, agentSocket: `${socket}-none` });
      await assert.rejects(absent, (error) => isFailure(error, "host/login-refused"));
    } finally {
      process.kill(pid);
    }
  });

  test("a name with several addresses is tried at each", async () => {
    await using host = await open({ address: "localhost", host_key: sshd.hostKey });
    assert.equal(host.label, `${sshd.policy.user}@localhost`);
  });

  test("more commands at once than the host has sessions for is said, and the others go on", async () => {
    await using own = await startSshd({ config: ["MaxSessions 2"] });
    await using host = await openSshHost(own.policy, { signal, home: own.directory });
    await using first = await host.start(["cat"], { signal });
    await using second = await host.start(["cat"], { signal });
    await assert.rejects(host.start(["cat"], { signal }), (error) => {
      assert.ok(isFailure(error, "host/command-failed"), String(error));
      assert.match(error.hint ?? "", /MaxSessions/);
      return true;
    });
    first.stdin.end();
    second.stdin.end();
    await Promise.all([expectSuccess(first, "first"), expectSuccess(second, "second")]);
    await host.run(["true"], { signal });
  });

  test("a session that ends meanwhile makes room: the command waits for it", async () => {
    await using own = await startSshd({ config: ["MaxSessions 1"] });
    await using host = await openSshHost(own.policy, { signal, home: own.directory });
    await using first = await host.start(["cat"], { signal });
    const second = host.run(["echo", "second"], { signal });
    first.stdin.end();
    await expectSuccess(first, "first");
    assert.equal((await second).stdout.toString(), "second\n");
    for (let command = 1; command <= 20; command++) await host.run(["true"], { signal });
  });

  test("a login shell that prints text of its own is refused: it would be mixed into what is backed up", async () => {
    await using chatty = await startSshd({
      config: ['ForceCommand echo welcome; eval "$SSH_ORIGINAL_COMMAND"'],
    });
    const opening = openSshHost(chatty.policy, { signal, home: chatty.directory });
    await assert.rejects(opening, /prints text of its own/);
  });

  test("a machine that does not answer is unreachable", async () => {
    await fails(
      { port: await freePort() },
      "host/unreachable",
      /cannot reach .* on port \d+: .*ECONNREFUSED/,
      /^ssh -p/,
    );
  });

  test("waiting for a machine that says nothing ends with the signal", async () => {
    await using silent = await silentServer();
    const stop = AbortSignal.timeout(200);
    const began = Date.now();
    const opening = openSshHost({ ...sshd.policy, port: silent.port }, { signal: stop, home: "/" });
    await assert.rejects(opening, (error) => error === stop.reason);
    assert.ok(Date.now() - began < 15_000, "long before it would have given up by itself");
  });

  test("a connection lost in the middle fails what runs; the next command connects again", async () => {
    await using own = await startSshd();
    await using host = await openSshHost(own.policy, { signal, home: own.directory });
    await using reading = await host.start(["sh", "-c", "echo up; sleep 600"], { signal });
    const pieces = reading.stdout[Symbol.asyncIterator]();
    assert.equal(String((await pieces.next()).value), "up\n");
    await using writing = await host.start(["sleep", "600"], { signal });
    const begun = join(own.directory, "begun");
    const running = host.run(["sh", "-c", `touch ${begun}; exec sleep 600`], { signal });
    const lost = (error: unknown) => isFailure(error, "host/unreachable") && error.retryable;
    const all = [
      assert.rejects(running, lost),
      assert.rejects(reading.ended, lost),
      assert.rejects(pieces.next(), lost),
      assert.rejects(expectSuccess(writing, "writing"), lost),
      assert.rejects(writeForever(writing.stdin), lost),
    ];
    await until("all three run", () => existsSync(begun));
    assert.ok((await own.killConnections()) > 0);
    await Promise.all(all);
    const ran = await Promise.all([1, 2, 3].map(() => host.run(["echo", "again"], { signal })));
    assert.deepEqual(
      ran.map((one) => one.stdout.toString()),
      ["again\n", "again\n", "again\n"],
    );
    assert.equal(
      (await own.log()).match(/Accepted publickey/g)?.length,
      2,
      "one connection, and one after the loss",
    );
  });

  test("a command that was started is never started again", async () => {
    await using own = await startSshd();
    await using host = await openSshHost(own.policy, { signal, home: own.directory });
    const trace = join(own.directory, "trace");
    const running = host.run(["sh", "-c", `echo once >> ${trace}; sleep 600`], { signal });
    const failed = assert.rejects(running, (error) => isFailure(error, "host/unreachable"));
    await until("it runs", async () => (await readFile(trace, "utf8").catch(() => "")) !== "");
    await own.killConnections();
    await failed;
    await host.run(["true"], { signal });
    assert.equal(await readFile(trace, "utf8"), "once\n");
  });

  test("when the machine stays away the next command says so, after some tries", async () => {
    const own = await startSshd();
    await using host = await openSshHost(own.policy, { signal, home: own.directory });
    await own[Symbol.asyncDispose]();
    await assert.rejects(host.run(["true"], { signal }), (error) =>
      isFailure(error, "host/unreachable", "host/login-refused"),
    );
  });

  if (isRoot) {
    test("sudo that is refused, or that is not there, is a failed command with a hint", async () => {
      await using host = await open({ user: PLAIN_USER });
      await assert.rejects(host.run(["psql", "-c", "select 1"], { signal, as: "postgres" }), (error) => {
        assert.ok(isFailure(error, "host/command-failed"), String(error));
        assert.match(error.message, /sudo/);
        assert.match(error.hint ?? "", /root/);
        return true;
      });
    });
  }
});

async function writeForever(stdin: NodeJS.WritableStream): Promise<void> {
  for (;;) {
    await new Promise<void>((resolve, reject) => {
      stdin.once("error", reject);
      stdin.write(Buffer.alloc(1024 * 1024), () => resolve());
    });
  }
}

async function silentServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => sockets.add(socket));
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
