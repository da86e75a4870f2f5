import assert from "node:assert/strict";
import { test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { checkPublicKey } from "../../src/seal/ssh-key.ts";
import { distinctSigners, parseSigners, signerLines } from "../../src/trust/signers-file.ts";

const newKey = (): string => checkPublicKey(newSigningKey("x").publicKey, "a new key");
const [first, second, lost] = [newKey(), newKey(), newKey()];

test("keys with and without comments, revoked ones, blank lines and remarks", () => {
  const text = `# of the sheet\n\n \t\n  # two\r\n${first} a comment\r\n  ${second}\nrevoked 2026-11-20T00:00:00.5Z ${lost} theirs`;
  assert.deepEqual(parseSigners(text, "signers.txt"), {
    signers: [first, second],
    revoked: [{ key: lost, before: new Date("2026-11-20T00:00:00.500Z") }],
  });
});

test("what is written is read back", () => {
  for (const before of ["2026-11-20T00:00:00Z", "2026-11-20T12:34:56.789Z"].map((time) => new Date(time))) {
    const signers = { signers: [second, first], revoked: [{ key: lost, before }] };
    assert.deepEqual(parseSigners(signerLines(signers).join("\n"), "it"), signers);
  }
  const nobody = { signers: [], revoked: [{ key: lost, before: new Date(0) }] };
  assert.deepEqual(
    parseSigners(signerLines(nobody).join("\n"), "it"),
    nobody,
    "revoked ones alone say something",
  );
});

const wrong: readonly { name: string; text: string; says: RegExp }[] = [
  { name: "no line", text: "\n# nobody\n", says: /^it has no signer$/ },
  { name: "half a key", text: `${first}\n${second.slice(0, -4)}`, says: /^it, line 2, is not an OpenSSH/ },
  { name: "another kind of key", text: "ssh-rsa AAAAB3NzaC1yc2E=", says: /^it, line 1, is not an OpenSSH/ },
  { name: "revoked, nobody knows when", text: `revoked ${first}`, says: /^it, line 1, is not an OpenSSH/ },
  { name: "a day that is none", text: `revoked 2026-13-41T00:00:00Z ${first}`, says: /an invalid time/ },
  {
    name: "a secret",
    text: "AGE-SECRET-KEY-1AAA",
    says: /^it, line 1, is not an OpenSSH public key of type/,
  },
];
for (const { name, text, says } of wrong) {
  test(`${name} is refused, and not repeated`, () => {
    assert.throws(
      () => parseSigners(text, "it"),
      (error) =>
        isFailure(error, "key/wrong") && says.test(error.message) && !error.message.includes("SECRET"),
    );
  });
}

test("each key once, whatever its comments; what is no key is left out", () => {
  assert.deepEqual(distinctSigners([`${first} a`, second, `${first} b`, "ssh-ed25519 AAAA"]), [
    first,
    second,
  ]);
});
