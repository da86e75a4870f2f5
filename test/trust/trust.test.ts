import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import {
  EVIDENCE_NAMESPACE,
  FINDING_NAMESPACE,
  PRUNE_NAMESPACE,
  REPOSITORY_NAMESPACE,
  type Signer,
  SNAPSHOT_NAMESPACE,
  signerFromText,
} from "../../src/seal/sshsig.ts";
import { loadBelieved, ownKeys, trustHere } from "../../src/trust/own-keys.ts";
import { type Claim, trustInside, trusting, trustOf } from "../../src/trust/trust.ts";
import { isTrusted, trustedSigner } from "../../src/trust/trusted-signer.ts";
import { scratchDirectory } from "../support/scratch.ts";

const key = (name: string): Signer => signerFromText(newSigningKey(name).privateKey, `the key of ${name}`);
const [writer, janitor, driller, verifier, stranger] = [
  "writer",
  "janitor",
  "driller",
  "verifier",
  "stranger",
].map(key) as [Signer, Signer, Signer, Signer, Signer];
const SIGNERS = { writer, janitor, driller, verifier, stranger };
type Who = keyof typeof SIGNERS;

const SINCE = "2026-11-20T00:00:00Z";
const [BEFORE, AFTER] = [new Date("2026-11-19T23:59:59Z"), new Date("2026-11-20T00:00:00Z")];
const CLAIMS: readonly Claim[] = ["snapshot", "note", "drill", "verify", "finding"];
const NAMESPACES: Readonly<Record<Claim | "repository", string>> = {
  repository: REPOSITORY_NAMESPACE,
  snapshot: SNAPSHOT_NAMESPACE,
  note: PRUNE_NAMESPACE,
  drill: EVIDENCE_NAMESPACE,
  verify: EVIDENCE_NAMESPACE,
  finding: FINDING_NAMESPACE,
};
const BYTES = Buffer.from("what somebody claims");

function policyWith({ prune = "", revoked = "", keys = "/none" }) {
  const text = `name: ops
zone: UTC
host: local
store: { directory: /srv/backup }
keys:
  recovery_recipients: [age1qqqq]
  metadata_identity_file: /none
  signing_key_file: ${keys}/signing-key
${revoked}
sources: [{ name: db, kind: command, argv: [cat, db] }]
${prune}
`;
  return parsePolicy(text, "p.yaml").policy;
}

const OWN = { signing: writer.publicKey, prune: janitor.publicKey, verify: verifier.publicKey };
const ROLES = `prune: { signing_key_file: /none, drill_signers: ["${driller.publicKey} its comment"] }`;
const signed = (claim: keyof typeof NAMESPACES, who: Who, landed?: Date) => {
  return { what: "it", bytes: BYTES, signature: SIGNERS[who].sign(NAMESPACES[claim], BYTES), landed };
};
const believes = (trust: ReturnType<typeof trustOf>, claim: Claim, who: Who, landed: Date): boolean =>
  claim === "snapshot"
    ? attempt(() => trustedSigner(claim, signed(claim, who, landed), trust)) === SIGNERS[who].publicKey
    : isTrusted(claim, signed(claim, who, landed), trust);

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (isFailure(error, "signature/untrusted")) return undefined;
    throw error;
  }
}

const revoking = (who: Who) => `  revoked_signers: [{ key: "${SIGNERS[who].publicKey}", before: ${SINCE} }]`;

// Whose word counts for what, where the policy names a key for each, and where it names none.
const NAMED: readonly { roles: string; believed: Readonly<Record<Claim, readonly Who[]>> }[] = [
  {
    roles: ROLES,
    believed: {
      snapshot: ["writer"],
      note: ["janitor"],
      drill: ["driller"],
      verify: ["janitor", "driller", "verifier"],
      finding: ["writer", "driller"],
    },
  },
  {
    roles: "",
    believed: {
      snapshot: ["writer"],
      note: ["writer"],
      drill: ["writer"],
      verify: ["writer", "janitor", "verifier"],
      finding: ["writer"],
    },
  },
];
for (const { roles, believed } of NAMED) {
  for (const claim of CLAIMS) {
    test(`${claim}, named${roles ? " by role" : " as the signer of snapshots"}: ${believed[claim].join(", ")}`, () => {
      const trust = trustOf(policyWith({ prune: roles }), { own: OWN });
      const names = Object.keys(SIGNERS) as Who[];
      assert.deepEqual(
        names.filter((who) => believes(trust, claim, who, AFTER)),
        believed[claim],
      );
    });
  }
}

// A key that is revoked, and perhaps named as well: a snapshot that landed before is believed, and nothing else.
for (const claim of CLAIMS) {
  for (const isNamed of [false, true]) {
    for (const landed of [BEFORE, AFTER]) {
      const expected = claim === "snapshot" && landed === BEFORE;
      const how = `${isNamed ? "named and revoked" : "revoked"}, landed ${landed === BEFORE ? "before" : "after"}`;
      test(`${claim}, ${how}: ${expected ? "believed" : "not believed"}`, () => {
        const who: Who = claim === "drill" ? "driller" : claim === "note" ? "janitor" : "writer";
        const policy = policyWith({ prune: isNamed ? ROLES : "", revoked: revoking(who) });
        const given = isNamed ? { own: OWN, signers: [`${SIGNERS[who].publicKey} given as well`] } : {};
        const trust = trustOf(policy, given);
        assert.equal(believes(trust, claim, who, landed), expected);
        assert.ok(!trust.signers[claim].some((line) => line.startsWith(SIGNERS[who].publicKey)));
        // and however the signers were put together
        const added = { ...trust, signers: { ...trust.signers, [claim]: [SIGNERS[who].publicKey] } };
        assert.equal(believes(added, claim, who, landed), expected);
        const alone = trusting(trust, claim, [SIGNERS[who].publicKey, stranger.publicKey]);
        assert.deepEqual(alone.signers[claim], [stranger.publicKey]);
      });
    }
  }
}

test("all drill signers revoked: nobody stands in for them", () => {
  const trust = trustOf(policyWith({ prune: ROLES, revoked: revoking("driller") }), { own: OWN });
  assert.deepEqual(trust.signers.drill, []);
});

test("where it is not known when a snapshot landed, a revoked key is not believed", () => {
  const trust = trustOf(policyWith({ revoked: revoking("writer") }), { own: OWN });
  assert.throws(() => trustedSigner("snapshot", signed("snapshot", "writer"), trust), {
    message: /^it is signed by a revoked key and was not in the store before 2026-11-20T00:00:00.000Z$/,
  });
  assert.throws(() => trustedSigner("note", signed("note", "writer"), trust), {
    message: /^it is signed by a revoked key$/, // whenever it landed
  });
});

test("the repository is believed as its snapshots are, and needs a signature for its own purpose", () => {
  const trust = trustOf(policyWith({}), { own: OWN });
  assert.equal(trustedSigner("repository", signed("repository", "writer"), trust), writer.publicKey);
  assert.throws(() => trustedSigner("repository", signed("snapshot", "writer"), trust), {
    code: "signature/untrusted",
    message: /^it: /,
  });
});

test("--trust-unsigned is for snapshots: no note, drill, verify or finding is believed without a signature", () => {
  const trust = trustOf(undefined, { allowUnsigned: true });
  const bare = { what: "it", bytes: BYTES, signature: undefined };
  assert.equal(trustedSigner("snapshot", bare, trust), undefined);
  for (const claim of CLAIMS) {
    if (claim === "snapshot") continue;
    assert.equal(isTrusted(claim, bare, trust), false, claim);
    assert.throws(() => trustedSigner(claim, bare, trust), { message: /^it is not signed$/ });
    assert.equal(isTrusted(claim, signed(claim, "writer"), trust), false, claim);
  }
});

test("the hint of a stranger's signature says whether anybody is known", () => {
  for (const [trust, hint] of [
    [trustOf(undefined), /give --trusted-signer/],
    [trustOf(undefined, { signers: [writer.publicKey] }), /compare with the recovery sheet/],
  ] as const) {
    assert.throws(() => trustedSigner("snapshot", signed("snapshot", "stranger"), trust), { hint });
  }
});

test("what is no signature is not believed; a bug is not taken for one", () => {
  const trust = trustOf(undefined, { signers: [writer.publicKey] });
  const broken = { what: "it", bytes: BYTES, signature: Buffer.from("no signature") };
  assert.equal(isTrusted("note", broken, trust), false);
  assert.throws(() => trustedSigner("snapshot", broken, trust), { message: /^it: / });
  const bugs = {
    ...trust,
    get revoked(): never {
      throw new TypeError("a bug");
    },
  };
  assert.throws(() => isTrusted("note", signed("note", "writer"), bugs), TypeError);
  const odd = { ...signed("note", "writer"), bytes: 5 as unknown as Uint8Array };
  assert.throws(() => trustedSigner("note", odd, trust), TypeError);
});

test("a policy out of a snapshot says who drills and withdraws, never whose snapshots are believed", () => {
  const inside = policyWith({
    prune: `prune: { trusted_signers: ["${janitor.publicKey}"], drill_signers: ["${driller.publicKey}"] }`,
  });
  const before = trustOf(undefined, { signers: [writer.publicKey] });
  const { signers, revoked } = trustInside(before, {
    ...inside,
    ...{ keys: { ...inside.keys, trusted_signers: [stranger.publicKey] } },
  });
  assert.deepEqual([signers.snapshot, signers.drill, revoked], [[writer.publicKey], [driller.publicKey], []]);
  assert.deepEqual(signers.note, [writer.publicKey, janitor.publicKey]);
});

test("a revoked key that is no key would revoke nothing: refused", () => {
  const policy = policyWith({ revoked: `  revoked_signers: [{ key: ssh-ed25519 AAAA, before: ${SINCE} }]` });
  assert.throws(() => trustOf(policy), { code: "key/wrong", message: /^keys.revoked_signers of policy ops/ });
});

for (const role of ["prune", "verify"] as const) {
  test(`the ${role} key of this machine: absent, or no key, it is nobody; a key is itself`, async () => {
    await using at = await scratchDirectory();
    const file = join(at.path, "key");
    const policy = policyWith({ keys: at.path, prune: `${role}: { signing_key_file: ${file} }` });
    const read = async () => (await ownKeys(policy))[role];
    assert.equal(await read(), undefined);
    await writeFile(file, "no key", { mode: 0o600 });
    assert.equal(await read(), undefined);
    await writeFile(file, newSigningKey("role").privateKey);
    assert.match((await read()) ?? "", /^ssh-ed25519 /);
    await chmod(file, 0o644);
    assert.equal(await read(), undefined, "everybody can read it: whoever signs with it is told");
  });
}

test("keys of this machine: absent ones are nobody; one that signs snapshots must be one", async () => {
  await using at = await scratchDirectory();
  const file = (name: string) => join(at.path, name);
  const prune = `prune: { signing_key_file: ${file("prune-key")} }\nverify: { signing_key_file: ${file("verify-key")} }`;
  const policy = policyWith({ keys: at.path, prune });
  assert.deepEqual(await ownKeys(policyWith({ keys: at.path })), {
    signing: undefined,
    prune: undefined,
    verify: undefined,
  });
  await assert.rejects(trustHere(policy), { code: "key/missing" });
  const { privateKey } = newSigningKey("here");
  const { publicKey } = signerFromText(privateKey, "here");
  await writeFile(file("signing-key"), privateKey, { mode: 0o600 });
  await writeFile(file("prune-key"), "no key", { mode: 0o600 });
  assert.deepEqual(await ownKeys(policy), { signing: publicKey, prune: undefined, verify: undefined });
  const { trust, signer } = await trustHere(policy);
  assert.deepEqual([signer.publicKey, trust.signers.snapshot], [publicKey, [publicKey]]);
  await assert.rejects(loadBelieved(file("signing-key"), { revoked: [{ key: publicKey, before: AFTER }] }), {
    code: "key/wrong",
    message: /is among keys.revoked_signers$/,
  });
  await writeFile(file("signing-key"), "no key");
  await chmod(file("signing-key"), 0o600);
  await assert.rejects(ownKeys(policy), { code: "key/wrong" });
});
