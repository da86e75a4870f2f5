import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { judgeKey, knownTypes, parseKnownHosts } from "../../../src/host/known-hosts.ts";
import { open } from "../../../src/seal/age-stream.ts";
import { parseIdentityFile } from "../../../src/seal/recipients.ts";
import { checkPublicKey, parsePrivateKey, readPublicKeyBlob } from "../../../src/seal/ssh-key.ts";
import { SNAPSHOT_NAMESPACE, signerFromText, verifySshsig } from "../../../src/seal/sshsig.ts";
import { parseVariables } from "../../../src/store/credentials.ts";
import { parseSigners, signerLines } from "../../../src/trust/signers-file.ts";
import * as golden from "../../support/golden-repository.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { corpus } from "../inputs.ts";

const MESSAGE = Buffer.from("a message");
const ARMOR = /^(-----BEGIN [^\n]*-----\n)([A-Za-z0-9+/=\n]*)(\n-----END [^\n]*-----\n?)$/;

/** Change the bytes inside of an armor: an odd first byte tells that the rest is to be put into one. */
function armored(kind: string, bytes: Buffer): Buffer {
  if (((bytes[0] ?? 0) & 1) === 0) return bytes.subarray(1);
  const lines =
    bytes
      .subarray(1)
      .toString("base64")
      .match(/.{1,70}/g) ?? [];
  return Buffer.from(`-----BEGIN ${kind}-----\n${lines.join("\n")}\n-----END ${kind}-----\n`);
}

function unarmored(text: Buffer): Buffer {
  const [, , body = ""] = ARMOR.exec(text.toString()) ?? [];
  return Buffer.concat([Buffer.from([1]), Buffer.from(body, "base64")]);
}

const plain = (text: Buffer) => Buffer.concat([Buffer.from([0]), text]);

const SSHSIG: FuzzTarget = {
  name: "sshsig",
  mayThrow: ["data/damaged", "signature/untrusted"],
  seeds: () => {
    const signature = Buffer.from(
      signerFromText(golden.SIGNING_KEY, "golden").sign(SNAPSHOT_NAMESPACE, MESSAGE),
    );
    return [plain(signature), unarmored(signature)];
  },
  words: [
    Buffer.from([0, 0, 0, 0]),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    "ssh-ed25519",
    SNAPSHOT_NAMESPACE,
  ],
  run(bytes) {
    const { publicKey } = verifySshsig(armored("SSH SIGNATURE", bytes), SNAPSHOT_NAMESPACE, MESSAGE);
    assert.equal(publicKey, golden.SIGNER, "nobody else has signed it");
    return publicKey.length;
  },
};

const SSH_KEY: FuzzTarget = {
  name: "ssh-key",
  mayThrow: ["key/wrong"],
  seeds: () =>
    [corpus("ssh-key"), Buffer.from(golden.SIGNING_KEY)].flatMap((key) => [plain(key), unarmored(key)]),
  words: [
    Buffer.from([0, 0, 0, 0]),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    "ssh-ed25519",
    "bcrypt",
    "aes256-ctr",
  ],
  run: (bytes) => parsePrivateKey(armored("OPENSSH PRIVATE KEY", bytes).toString(), "a key").publicKey.length,
};

const PUBLIC_KEY: FuzzTarget = {
  name: "public-key",
  mayThrow: ["key/wrong"],
  seeds: () => [corpus("ssh-key.pub")],
  words: ["ssh-ed25519 ", "AAAAC3NzaC1lZDI1NTE5AAAAI"],
  run(bytes) {
    readPublicKeyBlob(bytes);
    const line = checkPublicKey(bytes.toString(), "a key");
    assert.equal(checkPublicKey(line, "a key"), line);
    return line.length;
  },
};

const IDENTITY: FuzzTarget = {
  name: "identity-file",
  mayThrow: ["key/wrong"],
  seeds: () => [Buffer.from(`# trusted signer: ${golden.SIGNER}\n# made 2026-11-20\n${golden.IDENTITY}\n`)],
  words: ["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1", "AGE-PLUGIN-X-1", "# trusted signer: "],
  run(bytes) {
    const { identities, trustedSigners } = parseIdentityFile(bytes.toString(), "a file");
    return [...identities, ...trustedSigners].join("").length;
  },
};

const SIGNERS: FuzzTarget = {
  name: "signers-file",
  mayThrow: ["key/wrong"],
  seeds: () => [
    Buffer.from(`# keys\n${golden.SIGNER} ops\nrevoked 2026-11-20T00:00:00.5Z ${golden.SIGNER}\n`),
  ],
  words: ["revoked ", "2026-02-30T00:00:00Z", "9999-99-99T99:99:99Z"],
  run(bytes) {
    const signers = parseSigners(bytes.toString(), "a file");
    assert.deepEqual(parseSigners(signerLines(signers).join("\n"), "a file"), signers);
    return 100 * (signers.signers.length + signers.revoked.length);
  },
};

const AGE: FuzzTarget = {
  name: "age",
  mayThrow: ["data/damaged", "key/wrong"],
  seeds: () =>
    golden.PACKS.map(({ sha256 }) =>
      readFileSync(`${golden.DIRECTORY}${golden.POLICY}/packs/${sha256.slice(0, 2)}/${sha256}`),
    ),
  words: ["-> X25519 ", "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n", "\n--- ", "-> grease\n"],
  run: async (bytes) => (await open([golden.IDENTITY], bytes)).length,
};

const KNOWN_HOSTS: FuzzTarget = {
  name: "known-hosts",
  mayThrow: [],
  seeds: () => [corpus("known_hosts"), corpus("known_hosts.hashed")],
  words: ["*a", "?*", "|1|", "!", "*.example.org,", "@cert-authority ", "[*]:2222"],
  run(bytes) {
    const lines = parseKnownHosts(bytes.toString());
    const hosts = [
      { address: "example.org", port: 2222 },
      { address: `${"a".repeat(63)}.${"a".repeat(63)}.example.org`, port: 22 },
    ];
    for (const host of hosts) {
      judgeKey(lines, host, Buffer.from("key"));
      knownTypes(lines, host);
    }
    return 64 * lines.length;
  },
};

const CREDENTIALS: FuzzTarget = {
  name: "credentials",
  mayThrow: ["key/wrong", "key/missing"],
  seeds: () => [Buffer.from("# s3\nexport AWS_ACCESS_KEY_ID='AKIA'\r\nAWS_SECRET_ACCESS_KEY=\"a b\"\nX=\n")],
  words: ["__proto__=x\n", "export ", "toString=y\n", "\ufeff"],
  run: (bytes) => Object.values(parseVariables(bytes.toString(), "a file")).join("").length,
};

export const KEY_TARGETS: readonly FuzzTarget[] = [
  ...[SSHSIG, SSH_KEY, PUBLIC_KEY, IDENTITY, SIGNERS, AGE, KNOWN_HOSTS, CREDENTIALS],
];
