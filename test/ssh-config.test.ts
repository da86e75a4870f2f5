import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { openSshHost } from "../src/host/ssh.ts";
import { sshDestination } from "../src/host/ssh-destination.ts";
import { isFailure } from "../src/lib/errors.ts";
import type { SshPolicy } from "../src/policy/schema.ts";
import { freePort } from "./support/free-port.ts";
import { makeKey, type Sshd, startSshd } from "./support/sshd.ts";

const shell = promisify(execFile);
const signal = new AbortController().signal;

describe("SSH as the user has it", () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(async () => {
    await sshd[Symbol.asyncDispose]();
  });

  /** A home directory: its `.ssh` with this configuration, the host key, and the client's key by these names. */
  const home = async (config: string, keys: readonly string[] = []): Promise<string> => {
    const directory = await mkdtemp(join(sshd.directory, "home-"));
    const inside = (name: string) => join(directory, ".ssh", name);
    await mkdir(inside(""), { mode: 0o700 });
    if (config !== "") await writeFile(inside("config"), config, { mode: 0o600 });
    await writeFile(inside("known_hosts"), `[127.0.0.1]:${sshd.port} ${sshd.hostKey}\n`);
    for (const key of keys) {
      await copyFile(sshd.clientKeyFile, inside(key));
      await chmod(inside(key), 0o600);
      await copyFile(`${sshd.clientKeyFile}.pub`, inside(`${key}.pub`));
    }
    return directory;
  };
  const whoami = async (policy: SshPolicy, directory: string, agentSocket?: string): Promise<string> => {
    await using host = await openSshHost(policy, { signal, home: directory, agentSocket });
    return (await host.run(["id", "-un"], { signal })).stdout.toString().trim();
  };
  const direct = () => ({ address: "127.0.0.1", port: sshd.port, user: sshd.policy.user ?? "" });
  const fails = async (policy: SshPolicy, directory: string, says: RegExp, hint?: RegExp) => {
    await assert.rejects(whoami(policy, directory), (error) => {
      assert.ok(
        isFailure(error, "host/login-refused", "host/key-mismatch", "host/command-failed"),
        String(error),
      );
      assert.match(error.message, says);
      if (hint) assert.match(error.hint ?? "", hint);
      return true;
    });
  };

  const isUnreachable = (policy: SshPolicy, directory: string, says: RegExp) =>
    assert.rejects(whoami(policy, directory), (error) => {
      assert.ok(isFailure(error, "host/unreachable"), String(error));
      assert.match(error.message, says);
      return true;
    });

  for (const key of ["id_ed25519", "id_ecdsa", "id_rsa"]) {
    test(`the default key ~/.ssh/${key} is found`, async () => {
      assert.equal(await whoami(direct(), await home("", [key])), sshd.policy.user);
    });
  }

  test("a default key that others can read is refused", async () => {
    const directory = await home("", ["id_ed25519"]);
    await chmod(join(directory, ".ssh/id_ed25519"), 0o644);
    await fails(direct(), directory, /id_ed25519 is open to other users/, /chmod 600/);
  });

  test("a default key with a passphrase is named when no other key is there", async () => {
    const directory = await home("");
    await makeKey(join(directory, ".ssh/id_ed25519"), { passphrase: "open sesame" });
    await fails(direct(), directory, /no SSH agent, and the SSH key .*id_ed25519 has a passphrase/);
  });

  test("the agent's keys are tried before default keys; one that does not answer is named", async () => {
    const directory = await home("", []);
    const socket = join(directory, "agent");
    await makeKey(join(directory, ".ssh/id_ed25519"));
    const dead = openSshHost(direct(), { signal, home: directory, agentSocket: socket });
    await assert.rejects(dead, /tried: those of the SSH agent, .*id_ed25519.*agent does not answer/);
    const started = await shell("ssh-agent", ["-a", socket, "-s"]);
    try {
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      await shell("ssh-add", ["-q", sshd.clientKeyFile], { env });
      assert.equal(await whoami(direct(), directory, socket), sshd.policy.user);
      const config = "Host *\n  IdentitiesOnly yes\n";
      await writeFile(join(directory, ".ssh/config"), config, { mode: 0o600 });
      await fails(direct(), directory, /not accepted/);
      const only = openSshHost(direct(), { signal, home: directory, agentSocket: socket });
      await assert.rejects(only, /not accepted/, "the agent's key is not one of the files'");
      const twice = `IdentityFile ${sshd.clientKeyFile}-locked\n${config}`;
      await copyFile(`${sshd.clientKeyFile}.pub`, `${sshd.clientKeyFile}-locked.pub`);
      await writeFile(join(directory, ".ssh/config"), twice, { mode: 0o600 });
      assert.equal(await whoami(direct(), directory, socket), sshd.policy.user);
    } finally {
      process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(started.stdout)?.[1]));
    }
  });

  const alias = () => `Host drops-al* !drops-alias-not
  HostName 127.0.0.1
  Port ${sshd.port}
  User ${sshd.policy.user}
  IdentityFile ~/.ssh/mine
`;

  test("an alias: HostName, Port, User and IdentityFile", async () => {
    const directory = await home(alias(), ["mine"]);
    await using host = await openSshHost({ address: "drops-alias" }, { signal, home: directory });
    assert.equal(host.label, `${sshd.policy.user}@drops-alias`);
    await host.run(["true"], { signal });
    const not = await sshDestination({ address: "drops-alias-not" }, { signal, home: directory });
    assert.deepEqual([not.address, not.port, not.user], ["drops-alias-not", 22, "root"]);
  });

  test("the policy wins over the configuration, one field at a time", async () => {
    const directory = await home(alias());
    const to = await sshDestination(
      { address: "drops-alias", user: "other", port: 23, key_file: "/k", known_hosts: "/h" },
      { signal, home: directory },
    );
    assert.deepEqual([to.address, to.user, to.port, to.keyFile], ["127.0.0.1", "other", 23, "/k"]);
    assert.deepEqual(to.knownHosts, ["/h"]);
  });

  test("Include, Match and Match exec are ssh's to read", async () => {
    const directory = await home("");
    const mark = join(directory, "ran");
    await writeFile(join(directory, "more"), `Match host drops-alias exec "touch ${mark}"\n  Port 77\n`, {
      mode: 0o600,
    });
    await writeFile(
      join(directory, ".ssh/config"),
      `Include ${directory}/more\nMatch all\n  User u%%\n  User x\n`,
      {
        mode: 0o600,
      },
    );
    const how = { signal, home: directory };
    assert.equal((await sshDestination({ address: "other" }, how)).port, 22);
    await assert.rejects(readFile(mark), /ENOENT/);
    assert.equal((await sshDestination({ address: "drops-alias" }, how)).port, 77);
    await readFile(mark);
  });

  test("HostKeyAlias and UserKnownHostsFile", async () => {
    const hosts = join(sshd.directory, "hosts");
    const config = `${alias()}  HostKeyAlias the-name\n  UserKnownHostsFile ${hosts}\n`;
    const directory = await home(config, ["mine"]);
    await fails({ address: "drops-alias" }, directory, /^the-name has an unknown host key/);
    await writeFile(hosts, `the-name ${sshd.hostKey}\n`);
    await whoami({ address: "drops-alias" }, directory);
  });

  test("what is not done is named, and so is a configuration that ssh refuses", async () => {
    const policy = { address: "drops-alias" };
    await fails(
      policy,
      await home(`${alias()}  BindAddress 127.0.0.2\n`),
      /sets bindaddress, which drops does not support/,
    );
    await fails(policy, await home(`${alias()}  RevokedHostKeys /x\n`), /sets revokedhostkeys/);
    await fails(policy, await home(`${alias()}  IdentityFile ~/k_%C\n`), /sets %C in/);
    await fails(policy, await home("Nonsense yes\n"), /cannot be read: .*nonsense/i);
    const open = await home(alias());
    await chmod(join(open, ".ssh/config"), 0o666);
    await fails(policy, open, /cannot be read: .*Bad owner or permissions/);
  });

  test("ProxyJump: through two servers, whose host keys are checked too", async () => {
    await using jump = await startSshd({ forwarding: true });
    const hop = `Host drops-hop
  HostName 127.0.0.1
  Port ${jump.port}
  User ${jump.policy.user}
  IdentityFile ${jump.clientKeyFile}
  StrictHostKeyChecking no
`;
    const directory = await home(`${alias()}  ProxyJump drops-hop\n${hop}`, ["mine"]);
    await isUnreachable(
      { address: "drops-alias" },
      directory,
      /through its proxy: .*Host key verification failed/s,
    );
    const known = join(directory, ".ssh/known_hosts");
    await writeFile(known, `${await readFile(known, "utf8")}[127.0.0.1]:${jump.port} ${jump.hostKey}\n`);
    assert.equal(await whoami({ address: "drops-alias" }, directory), sshd.policy.user);
    assert.match(await jump.log(), /Accepted publickey/);
    const bytes = Buffer.alloc(3_000_001, "drops");
    await using host = await openSshHost({ address: "drops-alias" }, { signal, home: directory });
    assert.ok((await host.run(["cat"], { signal, stdin: bytes })).stdout.equals(bytes));
  });
  test("ProxyCommand: its input and output are the connection; its words are told when it fails", async () => {
    const nc = `${process.execPath} -e 'const s=require("net").connect(+process.argv[2],process.argv[1]);process.stdin.pipe(s).pipe(process.stdout)' %h %p`;
    const directory = await home(`${alias()}  ProxyCommand ${nc}\n`, ["mine"]);
    assert.equal(await whoami({ address: "drops-alias" }, directory), sshd.policy.user);
    const broken = await home(`${alias()}  ProxyCommand echo no way >&2\n`, ["mine"]);
    await isUnreachable({ address: "drops-alias" }, broken, /through its proxy: no way/);
    const hostile = await home("Host *\n  ProxyCommand echo %n >&2\n", ["id_rsa"]);
    await fails({ address: "$(id)" }, hostile, /cannot be (read|handed to the proxy)/);
  });

  test("a host that only a @cert-authority is known for is refused, with what to do", async () => {
    const directory = await home("", ["id_ed25519"]);
    const ca = (await readFile(`${sshd.strangerKeyFile}.pub`, "utf8")).trim();
    await writeFile(join(directory, ".ssh/known_hosts"), `@cert-authority * ${ca}\n`);
    await fails(
      direct(),
      directory,
      /only @cert-authority .*does not read host certificates/,
      /host_key: ssh-ed25519/,
    );
  });

  test("a user certificate is named when the key alone is refused", async () => {
    const directory = await home("");
    const key = join(directory, ".ssh/id_ed25519");
    await makeKey(key);
    await shell("ssh-keygen", ["-q", "-s", sshd.strangerKeyFile, "-I", "x", "-n", "root", `${key}.pub`]);
    await fails(
      direct(),
      directory,
      /does not read certificates such as .*id_ed25519-cert\.pub/,
      /authorized_keys/,
    );
  });

  test("fish as the login shell", async () => {
    await using fishy = await startSshd({ config: ['ForceCommand exec fish -c "$SSH_ORIGINAL_COMMAND"'] });
    await using host = await openSshHost(fishy.policy, { signal, home: fishy.directory });
    const words = [
      "",
      "a b",
      "$HOME",
      "`id`",
      "'",
      '"',
      "\\",
      "a\\'b",
      "\\\\",
      "\n",
      "*",
      "(id)",
      "{a,b}",
      "~",
      "ä€",
      "%self",
      "-n",
    ];
    const ran = await host.run(["printf", "%s\\0", ...words], { signal });
    assert.deepEqual(ran.stdout.toString().split("\0").slice(0, -1), words);
    await assert.rejects(host.run(["sh", "-c", "kill -9 $$"], { signal }), /was ended by SIGKILL/);
    await using long = await host.start(["sleep", "600"], { signal });
    assert.ok(long.stdout.readable);
  });

  for (const [words, said] of [
    ["/usr/sbin/nologin", /runs no commands \(exit status 1\): .*not available/],
    ["/bin/false", /runs no commands \(exit status 1\)$/],
  ] as const) {
    test(`${words} as the login shell is named`, async () => {
      await using closed = await startSshd({ config: [`ForceCommand ${words}`] });
      await fails(closed.policy, closed.directory, said, /getent passwd .*chsh/);
    });
  }

  const useless = async () => {
    const directory = await home("");
    const script = "#!/bin/sh\necho No user exists for uid 54321 >&2; exit 255\n";
    await writeFile(join(directory, "ssh"), script, { mode: 0o755 });
    return directory;
  };
  for (const [what, directory] of [
    ["no program ssh", async () => "/nonexistent"],
    ["an ssh that does not know its user", useless],
  ] as const) {
    test(`with ${what} the defaults count, and a configuration is not passed over`, async () => {
      const path = process.env["PATH"];
      process.env["PATH"] = await directory();
      try {
        const to = await sshDestination(direct(), { signal, home: await home("") });
        assert.equal(to.identityFiles.length, 3);
        await assert.rejects(
          sshDestination(direct(), { signal, home: await home(alias()) }),
          /config cannot be read: there is no working ssh program/,
        );
      } finally {
        process.env["PATH"] = path;
      }
    });
  }

  test("a machine that does not answer is named by its alias", async () => {
    const directory = await home(`Host drops-alias\n  HostName 127.0.0.1\n  Port ${await freePort()}\n`, [
      "id_rsa",
    ]);
    await isUnreachable({ address: "drops-alias" }, directory, /cannot reach root@drops-alias on port/);
  });
});
