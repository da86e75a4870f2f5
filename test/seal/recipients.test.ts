import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { hash } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import {
  checkRecipients,
  parseIdentityFile,
  readIdentityFile,
  recipientSetHash,
  recipientsOf,
} from "../../src/seal/recipients.ts";

const classic = await generateX25519Identity();
const hybrid = await generateHybridIdentity();
const [classicRecipient, hybridRecipient] = [
  await identityToRecipient(classic),
  await identityToRecipient(hybrid),
];
const signer = newSigningKey("backup@host").publicKey;
const bareSigner = signer.split(" ").slice(0, 2).join(" ");

let dir = "";
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "drops-recipients-"));
});
after(() => rm(dir, { recursive: true }));

/** The failure, which must have `code`, match `words` and hold nothing of a secret, in any of its parts. */
function refused(error: unknown, code: FailureCode, words: RegExp, name: string): true {
  assert.ok(isFailure(error, code), `${name}: ${error}`);
  assert.match(error.message, words, name);
  const all = `${error.message} ${error.hint} ${error.stack} ${error.cause}`.toUpperCase();
  for (const secret of [classic, hybrid])
    assert.ok(!all.includes(secret.slice(20, 40)), `${name} tells a secret`);
  return true;
}

test("a set of recipients has one name, whatever its order", () => {
  const name = hash("sha256", ["age1aa", "age1bb"].join("\n"));
  assert.equal(recipientSetHash(["age1bb", "age1aa"]), name);
  assert.equal(recipientSetHash(["age1aa", "age1bb", "age1aa"]), name);
  assert.notEqual(recipientSetHash(["age1aa"]), name);
});

test("recipients of either kind are taken", () => {
  checkRecipients([classicRecipient], "policy x");
  checkRecipients([hybridRecipient, hybridRecipient], "policy x");
});

const TAG = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
const badRecipients: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["none", [], /names no recipient/],
  ["both kinds", [classicRecipient, hybridRecipient], /mixes/],
  ["a secret", [classic], /secret identity/],
  ["a secret in small letters", [classic.toLowerCase()], /secret identity/],
  ["a post-quantum secret", [hybrid], /secret identity/],
  [
    "a wrong letter",
    [`${classicRecipient.slice(0, -1)}${classicRecipient.endsWith("q") ? "p" : "q"}`],
    /neither/,
  ],
  ["cut short", [classicRecipient.slice(0, 40)], /neither/],
  ["a post-quantum one cut short", [hybridRecipient.slice(0, 400)], /neither/],
  ["capitals", [classicRecipient.toUpperCase()], /no age recipient/],
  ["an SSH key", [signer], /no age recipient/],
  ["a tag", [TAG], /neither/],
  ["a plugin", ["age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt"], /neither/],
  ["a second one that is bad", [classicRecipient, "age1"], /no age recipient/],
];
for (const [name, recipients, words] of badRecipients) {
  test(`recipients are refused: ${name}`, () => {
    assert.throws(
      () => checkRecipients(recipients, "policy x"),
      (error) => refused(error, "key/wrong", words, name) && /policy x/.test(String(error)),
    );
  });
}

test("an identity file gives its identities and the signers in its comments", () => {
  const text = `# a note\r\n\n  ${classic}  \n# public key: ${classicRecipient}\n#trusted signer:  ${signer}\n${hybrid}`;
  assert.deepEqual(parseIdentityFile(text, "f"), {
    identities: [classic, hybrid],
    trustedSigners: [bareSigner],
  });
});

const badFiles: readonly (readonly [string, string, RegExp])[] = [
  ["empty", "", /holds no identity/],
  ["comments only", "# nothing\n", /holds no identity/],
  ["a wrong letter", `${classic.slice(0, -1)}${classic.endsWith("Q") ? "P" : "Q"}`, /line 1, is not/],
  ["cut short", `# x\n${classic.slice(0, 50)}`, /line 2, is not/],
  ["small letters", classic.toLowerCase(), /line 1, is not/],
  ["two on a line", `${classic} ${classic}`, /line 1, is not/],
  ["a recipient", classicRecipient, /line 1, is not/],
  ["a plugin", "AGE-PLUGIN-YUBIKEY-1QQPQZQXXXX", /line 1, is not/],
  ["a passphrase around it", "age-encryption.org/v1\n-> scrypt x 18\n", /passphrase/],
  ["a passphrase around it, armored", "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", /passphrase/],
  ["an SSH key", newSigningKey("x").privateKey, /another kind/],
  [
    "a signer that is none",
    `# trusted signer: ssh-rsa AAAA\n${classic}`,
    /line 1, is not an OpenSSH public key/,
  ],
];
for (const [name, text, words] of badFiles) {
  test(`an identity file is refused: ${name}`, () => {
    assert.throws(
      () => parseIdentityFile(text, "identity file f"),
      (error) => refused(error, "key/wrong", words, name),
    );
  });
}

test("an identity file must be there and closed to other users", async () => {
  const path = join(dir, "identity");
  await assert.rejects(readIdentityFile(path), (error) =>
    refused(error, "key/missing", /does not exist/, "absent"),
  );
  await writeFile(path, classic);
  for (const [mode, taken] of [
    [0o600, true],
    [0o400, true],
    [0o640, false],
    [0o644, false],
    [0o602, false],
  ] as const) {
    await chmod(path, mode);
    if (taken) assert.deepEqual((await readIdentityFile(path)).identities, [classic]);
    else {
      await assert.rejects(readIdentityFile(path), (error) => {
        assert.ok(isFailure(error) && error.hint?.startsWith("chmod 600"));
        return refused(error, "key/wrong", /open to other users/, String(mode));
      });
    }
  }
  await assert.rejects(readIdentityFile(dir), (error) =>
    refused(error, "key/wrong", /is a directory/, "directory"),
  );
  await writeFile(join(dir, "large"), Buffer.alloc(2_000_000), { mode: 0o600 });
  await assert.rejects(readIdentityFile(join(dir, "large")), (error) =>
    refused(error, "key/wrong", /too large/, "large"),
  );
});

test("an identity that age-keygen made has the recipient that age-keygen says", async () => {
  const path = join(dir, "age-keygen");
  const made = spawnSync("age-keygen", ["-o", path], { encoding: "utf8" });
  if (made.error) throw new Error("age-keygen is missing: apt-get install age", { cause: made.error });
  const { identities } = await readIdentityFile(path);
  const said = spawnSync("age-keygen", ["-y", path], { encoding: "utf8" }).stdout.trim();
  assert.deepEqual(await recipientsOf(identities), [said]);
  checkRecipients([said], "age-keygen");
});

test("an identity that is none has no recipient, and is not told", async () => {
  const broken = `${classic.slice(0, -3)}QQQ`;
  await assert.rejects(recipientsOf([broken]), (error) => refused(error, "key/wrong", /is not/, "broken"));
});
