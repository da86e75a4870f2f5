import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { open, seal } from "../../src/seal/age-stream.ts";
import { makeKeys } from "../../src/seal/keygen.ts";
import { checkRecipients, readIdentityFile, recipientsOf } from "../../src/seal/recipients.ts";
import { KeygenReport } from "../../src/seal/report.ts";
import { loadSigner, samePublicKey } from "../../src/seal/sshsig.ts";

const NAMES = [
  "metadata-identity.txt",
  "recovery-identity.txt",
  "recovery-recipients.txt",
  "signing-key",
  "signing-key.pub",
];
const now = new Date("2026-11-23T02:30:00Z");

let dir = "";
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "drops-keygen-"));
});
after(() => rm(dir, { recursive: true }));

for (const postQuantum of [false, true]) {
  test(`the keys fit together${postQuantum ? ", post-quantum" : ""}`, async () => {
    const to = join(dir, `new-${postQuantum}`, "keys");
    const report = await makeKeys(to, { now, postQuantum });
    assert.deepEqual(KeygenReport.parse(report), report, "the report is what the command line shows");
    assert.deepEqual((await readdir(to)).sort(), NAMES);
    for (const { path, secret } of report.files) {
      assert.equal((await stat(path)).mode & 0o777, secret ? 0o600 : 0o644, path);
    }
    const recovery = await readIdentityFile(join(to, "recovery-identity.txt"));
    const recipients = (await readFile(join(to, "recovery-recipients.txt"), "utf8")).trim().split("\n");
    assert.deepEqual(await recipientsOf(recovery.identities), recipients);
    const metadata = await readIdentityFile(join(to, "metadata-identity.txt"));
    checkRecipients([...recipients, ...(await recipientsOf(metadata.identities))], "a manifest's recipients");
    assert.deepEqual(await open(recovery.identities, await seal(recipients, now2)), now2);
    const signer = await loadSigner(join(to, "signing-key"));
    assert.deepEqual(recovery.trustedSigners, [signer.publicKey]);
    assert.ok(samePublicKey(await readFile(join(to, "signing-key.pub"), "utf8"), signer.publicKey));
    assert.match(
      await readFile(join(to, "recovery-identity.txt"), "utf8"),
      /^# created: 2026-11-23T02:30:00.000Z$/m,
    );
  });
}
const now2 = new TextEncoder().encode("plain");

test("standard tools use the keys: age decrypts with the recovery identity, ssh-keygen reads the signing key", async () => {
  const to = join(dir, "standard");
  await makeKeys(to, { now });
  const sealed = await seal([(await readFile(join(to, "recovery-recipients.txt"), "utf8")).trim()], now2);
  const age = spawnSync("age", ["-d", "-i", join(to, "recovery-identity.txt")], { input: sealed });
  if (age.error) throw new Error("age is missing: apt-get install age", { cause: age.error });
  assert.deepEqual(new Uint8Array(age.stdout), now2, age.stderr.toString());
  const listed = spawnSync("ssh-keygen", ["-y", "-f", join(to, "signing-key")], { encoding: "utf8" });
  assert.equal(listed.stdout, await readFile(join(to, "signing-key.pub"), "utf8"), listed.stderr);
});

test("no key is ever overwritten: if one file exists, none is written and it stays as it was", async () => {
  for (const name of NAMES) {
    const to = join(dir, `has-${name}`);
    await mkdir(to);
    await writeFile(join(to, name), "precious");
    await assert.rejects(makeKeys(to, { now }), (error) => {
      assert.ok(isFailure(error, "safety/refused"), String(error));
      return error.message.includes(basename(name));
    });
    assert.deepEqual(await readdir(to), [name]);
    assert.equal(await readFile(join(to, name), "utf8"), "precious");
  }
});

test("a second run changes nothing", async () => {
  const to = join(dir, "twice");
  await makeKeys(to, { now });
  const before = await readFile(join(to, "recovery-identity.txt"), "utf8");
  await assert.rejects(makeKeys(to, { now }), (error) => isFailure(error, "safety/refused"));
  assert.equal(await readFile(join(to, "recovery-identity.txt"), "utf8"), before);
  assert.deepEqual((await readdir(to)).sort(), NAMES);
});

test("a place that is no directory is refused", async () => {
  await writeFile(join(dir, "file"), "x");
  for (const to of ["file", "file/below"]) {
    await assert.rejects(makeKeys(join(dir, to), { now }), (error) => isFailure(error, "usage/invalid"));
  }
  assert.equal(await readFile(join(dir, "file"), "utf8"), "x");
});
