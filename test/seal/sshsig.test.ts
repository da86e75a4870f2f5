import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import {
  fingerprint,
  loadSigner,
  type Signer,
  SNAPSHOT_NAMESPACE,
  samePublicKey,
  signerFromText,
  verifySshsig,
} from "../../src/seal/sshsig.ts";

let dir = "";
let signer: Signer;
const message = Buffer.from('{"format":1}\n');

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "drops-sshsig-"));
  sshKeygen(["-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", join(dir, "key")]);
  signer = await loadSigner(join(dir, "key"));
});
after(() => rm(dir, { recursive: true }));

const code = (wanted: FailureCode) => (error: unknown) => isFailure(error, wanted);

function sshKeygen(args: readonly string[], input?: Uint8Array): string {
  const ran = spawnSync("ssh-keygen", args, { input: input ?? "", encoding: "utf8" });
  if (ran.error)
    throw new Error("ssh-keygen is missing: apt-get install openssh-client", { cause: ran.error });
  assert.equal(ran.status, 0, `ssh-keygen ${args.join(" ")}: ${ran.stderr}${ran.stdout}`);
  return ran.stdout;
}

/** Let ssh-keygen verify, with `publicKey` as the only allowed signer. */
async function opensshVerifies(publicKey: string, namespace: string, armored: Uint8Array, text: Uint8Array) {
  await writeFile(join(dir, "allowed"), `backup ${publicKey}\n`);
  await writeFile(join(dir, "sig"), armored);
  const args = [
    "-Y",
    "verify",
    "-f",
    join(dir, "allowed"),
    "-I",
    "backup",
    "-n",
    namespace,
    "-s",
    join(dir, "sig"),
  ];
  return spawnSync("ssh-keygen", args, { input: text }).status === 0;
}

test("the public half and the fingerprint are what ssh-keygen says", async () => {
  const line = (await readFile(join(dir, "key.pub"), "utf8")).trim();
  assert.equal(`${signer.publicKey} a comment`, line);
  assert.equal(sshKeygen(["-l", "-f", join(dir, "key.pub")]).split(" ")[1], fingerprint(line));
});

test("ssh-keygen verifies our signatures, of any bytes, and of no other bytes or namespace", async () => {
  for (const size of [0, 1, 127, 128, 100_000]) {
    const text = Buffer.alloc(size, size % 251);
    const armored = signer.sign(SNAPSHOT_NAMESPACE, text);
    assert.ok(await opensshVerifies(signer.publicKey, SNAPSHOT_NAMESPACE, armored, text), `${size} bytes`);
    assert.ok(
      !(await opensshVerifies(signer.publicKey, SNAPSHOT_NAMESPACE, armored, Buffer.from(`${text}!`))),
    );
    assert.ok(!(await opensshVerifies(signer.publicKey, "drops-prune-v1", armored, text)));
  }
});

test("we verify the signatures of ssh-keygen, and make the very same", async () => {
  await writeFile(join(dir, "text"), message);
  sshKeygen(["-q", "-Y", "sign", "-f", join(dir, "key"), "-n", SNAPSHOT_NAMESPACE, join(dir, "text")]);
  const theirs = await readFile(join(dir, "text.sig"));
  assert.deepEqual(verifySshsig(theirs, SNAPSHOT_NAMESPACE, message), { publicKey: signer.publicKey });
  assert.deepEqual(signer.sign(SNAPSHOT_NAMESPACE, message), theirs);
});

test("signatures of ssh-keygen of kinds that we do not use are not believed", async () => {
  await writeFile(join(dir, "text"), message);
  sshKeygen(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", join(dir, "rsa")]);
  for (const [key, ...more] of [["rsa"], ["key", "-Ohashalg=sha256"]]) {
    await rm(join(dir, "text.sig"), { force: true });
    sshKeygen(["-q", "-Y", "sign", "-f", join(dir, key ?? ""), ...more, "-n", "n", join(dir, "text")]);
    const armored = await readFile(join(dir, "text.sig"));
    assert.throws(() => verifySshsig(armored, "n", message), code("signature/untrusted"), key);
  }
});

test("another message or namespace is not believed", () => {
  const armored = signer.sign(SNAPSHOT_NAMESPACE, message);
  assert.throws(
    () => verifySshsig(armored, SNAPSHOT_NAMESPACE, Buffer.from("other")),
    code("signature/untrusted"),
  );
  assert.throws(() => verifySshsig(armored, "drops-prune-v1", message), code("signature/untrusted"));
});

test("no changed bit is believed, wherever it is", () => {
  const armored = signer.sign(SNAPSHOT_NAMESPACE, message);
  for (let at = 0; at < armored.length * 8; at += 1) {
    const changed = Buffer.from(armored);
    changed.writeUInt8(changed.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
    let believed: string | undefined;
    try {
      believed = verifySshsig(changed, SNAPSHOT_NAMESPACE, message).publicKey;
    } catch (error) {
      assert.ok(isFailure(error, "data/damaged", "signature/untrusted"), `bit ${at}: ${error}`);
    }
    // White space at the end is nobody's message.
    assert.ok(believed === undefined || at >> 3 === armored.length - 1, `bit ${at}`);
  }
});

test("property: hostile bytes inside the armor are damaged or not believed, and nothing else", () => {
  const inside = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.uint8Array({ maxLength: 400 }).map((rest) => Buffer.concat([Buffer.from("SSHSIG\0\0\0\x01"), rest])),
    fc
      .array(fc.uint8Array({ maxLength: 60 }), { maxLength: 7 })
      .map((parts) =>
        Buffer.concat([Buffer.from("SSHSIG\0\0\0\x01"), ...parts.flatMap((part) => [len(part), part])]),
      ),
  );
  fc.assert(
    fc.property(inside, (bytes) => {
      const armored = Buffer.from(
        `-----BEGIN SSH SIGNATURE-----\n${Buffer.from(bytes).toString("base64")}\n-----END SSH SIGNATURE-----\n`,
      );
      assert.throws(() => verifySshsig(armored, "n", message), code("data/damaged"));
    }),
  );
  assert.throws(() => verifySshsig(Buffer.alloc(100_000_000), "n", message), code("data/damaged"));
});

function len(part: Uint8Array): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(part.length);
  return out;
}

test("public keys are compared by what they are, and what is no key is like nothing", () => {
  const other = signerFromText(newSigningKey("other").privateKey, "other").publicKey;
  const rows: readonly (readonly [string, string, boolean])[] = [
    [signer.publicKey, signer.publicKey, true],
    [signer.publicKey, `  ${signer.publicKey}  somebody@host \n`, true],
    [signer.publicKey, other, false],
    [signer.publicKey, signer.publicKey.replace("ssh-ed25519", "ssh-rsa"), false],
    [signer.publicKey, `${signer.publicKey}AAAA`, false],
    ["", "", false],
    ["ssh-ed25519", "ssh-ed25519", false],
    ["ssh-rsa AAAA", "ssh-rsa AAAA", false],
  ];
  for (const [a, b, same] of rows) assert.equal(samePublicKey(a, b), same, `${a} ${b}`);
  assert.throws(() => fingerprint("ssh-ed25519 AAAA"), code("key/wrong"));
});

test("a signing key must be there, private, unlocked and Ed25519", async () => {
  const file = (name: string) => join(dir, name);
  sshKeygen(["-q", "-t", "ed25519", "-N", "a passphrase", "-f", file("locked")]);
  sshKeygen(["-q", "-t", "ecdsa", "-N", "", "-f", file("ecdsa")]);
  sshKeygen(["-q", "-t", "rsa", "-m", "PEM", "-b", "2048", "-N", "", "-f", file("pem")]);
  await writeFile(file("open"), await readFile(file("key")), { mode: 0o600 });
  await chmod(file("open"), 0o640);
  await writeFile(file("cut"), (await readFile(file("key"))).subarray(0, 200), { mode: 0o600 });
  const rows: readonly (readonly [string, FailureCode, RegExp])[] = [
    ["absent", "key/missing", /does not exist/],
    ["locked", "key/wrong", /passphrase/],
    ["ecdsa", "key/wrong", /another type/],
    ["pem", "key/wrong", /not an OpenSSH private key/],
    ["key.pub", "key/wrong", /open to other users|not an OpenSSH private key/],
    ["open", "key/wrong", /open to other users/],
    ["cut", "key/wrong", /not an OpenSSH private key/],
    [".", "key/wrong", /is a directory/],
  ];
  for (const [name, wanted, words] of rows) {
    await assert.rejects(loadSigner(file(name)), (error) => {
      assert.ok(isFailure(error, wanted), `${name}: ${error}`);
      assert.match(error.message, words, name);
      return true;
    });
  }
});

test("a private key file with any changed byte is refused or is still the same key", async () => {
  const text = await readFile(join(dir, "key"), "latin1");
  for (let at = 0; at < text.length; at += 1) {
    const changed = `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;
    try {
      assert.equal(signerFromText(changed, "changed").publicKey, signer.publicKey, `byte ${at}`);
    } catch (error) {
      assert.ok(isFailure(error, "key/wrong"), `byte ${at}: ${error}`);
    }
  }
});

test("keys that we write are read by ssh-keygen and by us, whatever their first bytes are", async () => {
  for (let round = 0; round < 20; round += 1) {
    const pair = newSigningKey(`round-${"x".repeat(round)}`);
    const path = join(dir, `made-${round}`);
    await writeFile(path, pair.privateKey, { mode: 0o600 });
    assert.equal(sshKeygen(["-y", "-f", path]).trim(), pair.publicKey);
    assert.equal((await loadSigner(path)).publicKey, pair.publicKey.split(" ").slice(0, 2).join(" "));
  }
});
