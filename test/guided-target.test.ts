import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { again } from "../src/guided/again.ts";
import { targetOf } from "../src/guided/target.ts";
import { isFailure } from "../src/lib/errors.ts";
import { hostWords, parseHost } from "../src/policy/host-words.ts";
import { scratchDirectory } from "./support/scratch.ts";

const hosts: readonly [string, object][] = [
  ["server.example.org", { address: "server.example.org" }],
  ["root@203.0.113.7", { user: "root", address: "203.0.113.7" }],
  ["root@203.0.113.7:2222", { user: "root", address: "203.0.113.7", port: 2222 }],
  ["[2001:db8::7]:22", { address: "2001:db8::7", port: 22 }],
  ["root@[2001:db8::7]", { user: "root", address: "2001:db8::7" }],
  ["2001:db8::7", { address: "2001:db8::7" }],
  ["a_b-c@x", { user: "a_b-c", address: "x" }],
];
for (const [words, parsed] of hosts) {
  test(`--host ${words} is read`, () => assert.deepEqual(parseHost(words), parsed));
}
for (const words of [
  "",
  "a b",
  "root@",
  "@x",
  "x:0",
  "x:65536",
  "x:y",
  "-oProxyCommand=x",
  "root@-x",
  "x/y",
  "x\ny",
]) {
  test(`--host ${JSON.stringify(words)} is refused`, () => {
    assert.throws(
      () => parseHost(words),
      (error: unknown) => isFailure(error, "usage/invalid"),
    );
  });
}
test("what --host takes is what is printed", () => {
  for (const words of ["root@x", "root@x:2222", "a@[2001:db8::7]:23", "a@[2001:db8::7]"]) {
    assert.equal(hostWords(parseHost(words)), words);
  }
});

const nothing = { host: undefined, sshKey: undefined, hostKey: undefined };
const PIN = "ssh-ed25519 AAAAC3Nz";
const OTHER = "ssh-ed25519 BBBBC3Nz";

test("the policy's machine is the target, with all that it says", async () => {
  await using scratch = await scratchDirectory();
  const key = join(scratch.path, "key");
  await writeFile(key, "");
  const ssh = { address: "old", port: 2222, user: "admin", key_file: key, host_key: PIN, known_hosts: "/k" };
  assert.deepEqual(await targetOf(nothing, { ssh }), ssh);
  assert.equal(await targetOf(nothing, "local"), "local");
  assert.equal(await targetOf({ ...nothing, host: "local" }, { ssh }), "local");

  const elsewhere = await targetOf({ ...nothing, host: "root@new" }, { ssh });
  assert.deepEqual(
    elsewhere,
    { address: "new", user: "root", key_file: key, known_hosts: "/k" },
    "a pin is of one machine",
  );
  const pinned = await targetOf({ host: "new", sshKey: "/mine", hostKey: `${OTHER} comment` }, { ssh });
  assert.deepEqual(pinned, {
    address: "new",
    user: "admin",
    key_file: "/mine",
    host_key: OTHER,
    known_hosts: "/k",
  });
  const same = await targetOf({ ...nothing, host: "old:2222" }, { ssh });
  assert.deepEqual(same, ssh);
});

test("a key file of the machine that the policy was written for is not missed on another one", async () => {
  const ssh = { address: "old", port: 22, user: "root", key_file: "/nowhere/key" };
  assert.deepEqual(await targetOf(nothing, { ssh }), { address: "old", port: 22, user: "root" });
});

test("no machine, or a host key that is none, is refused", async () => {
  const isUsage = (error: unknown) => isFailure(error, "usage/invalid");
  await assert.rejects(targetOf(nothing, undefined), isUsage);
  await assert.rejects(targetOf({ ...nothing, host: "x", hostKey: "SHA256:abc" }, undefined), isUsage);
});

test("a hint's command is one that a shell reads back", () => {
  const access = {
    policy: undefined,
    store: "s3://b/p?endpoint=https://x&region=y",
    identities: ["my identity.txt"],
    trustedSigners: [PIN],
    trustUnsigned: true,
    host: "root@new",
    sshKey: undefined,
    hostKey: undefined,
  };
  assert.equal(
    again("restore", access),
    `drops restore --store 's3://b/p?endpoint=https://x&region=y' --identity 'my identity.txt' --trusted-signer '${PIN}' --trust-unsigned --host root@new`,
  );
});
