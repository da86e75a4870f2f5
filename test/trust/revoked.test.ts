import assert from "node:assert/strict";
import { before, test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { SNAPSHOT_NAMESPACE, signerFromText } from "../../src/seal/sshsig.ts";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import { readRepository } from "../../src/snapshot/repository.ts";
import { REPOSITORY_KEY, REPOSITORY_SIGNATURE_KEY, signatureKey } from "../../src/store/keys.ts";
import { type Trust, trustOf } from "../../src/trust/trust.ts";
import { trustedSigner } from "../../src/trust/trusted-signer.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

// A key was stolen at some time. What it signed is believed when it landed before, by the store's clock alone.
const HOW = { signal: new AbortController().signal };
const STOLEN = new Date("2026-11-20T00:00:00Z");
const [GOOD, BAD] = ["2026-11-19T02:00:00.000Z", "2026-11-21T02:00:00.000Z"];
const successor = signerFromText(newSigningKey("new").privateKey, "the new key");

let now = new Date(GOOD);
let tiny: TinyRepository;
before(async () => {
  tiny = await TinyRepository.create(openMemoryStore(() => now));
});

const revoking = (more: Partial<Trust> = {}): Trust => ({
  ...trustOf(undefined, {
    signers: [tiny.signer.publicKey, successor.publicKey],
    revoked: [{ key: tiny.signer.publicKey, before: STOLEN }],
  }),
  ...more,
});

const rows: readonly {
  name: string;
  claims: string;
  landed: string;
  /** When its signature landed, if not with it. */
  signed?: string;
  by?: "the new key";
  believed: boolean;
}[] = [
  { name: "in time", claims: GOOD, landed: GOOD, believed: true },
  { name: "a second before", claims: GOOD, landed: "2026-11-19T23:59:59.000Z", believed: true },
  { name: "at that very time", claims: GOOD, landed: "2026-11-20T00:00:00.000Z", believed: false },
  { name: "too late", claims: BAD, landed: BAD, believed: false },
  { name: "a date from before, landed too late", claims: GOOD, landed: BAD, believed: false },
  {
    name: "waited there unsigned, signed too late",
    claims: GOOD,
    landed: GOOD,
    signed: BAD,
    believed: false,
  },
  { name: "signed in time, put over too late", claims: GOOD, landed: BAD, signed: GOOD, believed: false },
  { name: "a date from after, landed in time", claims: BAD, landed: GOOD, believed: true },
  { name: "the new key's, late", claims: BAD, landed: BAD, by: "the new key", believed: true },
];
for (const { name, claims, landed, signed, by, believed } of rows) {
  test(`${name}: ${believed ? "believed" : "not believed"}`, async () => {
    now = new Date(landed);
    const signer = by ? successor : tiny.signer;
    const { record, key } = await tiny.commit([], { started: claims, ended: claims, signer });
    if (signed !== undefined) {
      now = new Date(signed);
      await tiny.replace(signatureKey(key), await tiny.get(signatureKey(key)));
    }
    const found = await readCatalog(tiny.store, tiny, POLICY, revoking(), HOW);
    const listed = found.snapshots.find((snapshot) => snapshot.record.id === record.id);
    const refused = found.unreadable.find((one) => one.key === key);
    assert.deepEqual(
      [listed?.signer, refused !== undefined],
      [believed ? signer.publicKey : undefined, !believed],
    );
    if (believed) return;
    assert.equal(refused?.why.code, "signature/untrusted");
    assert.match(
      refused.why.message,
      /signed by a revoked key and was not in the store before 2026-11-20T00:00:00.000Z$/,
    );
    const anyway = await readCatalog(tiny.store, tiny, POLICY, revoking({ allowUnsigned: true }), HOW);
    assert.equal(
      anyway.snapshots.find((one) => one.key === key)?.signer,
      undefined,
      "nor vouched for when nobody asks",
    );
  });
}

test("the repository's description is held to the same", async () => {
  assert.equal((await readRepository(tiny.store, revoking(), HOW)).id, tiny.id);
  for (const key of [REPOSITORY_KEY, REPOSITORY_SIGNATURE_KEY]) {
    const fresh = await TinyRepository.create(openMemoryStore(() => now));
    const trust = trustOf(undefined, { revoked: [{ key: fresh.signer.publicKey, before: STOLEN }] });
    now = new Date(BAD);
    await fresh.replace(key, await fresh.get(key));
    await assert.rejects(readRepository(fresh.store, trust, HOW), (error) =>
      isFailure(error, "signature/untrusted"),
    );
    now = new Date(GOOD);
  }
});

test("where nobody knows when a thing landed, a revoked key is not believed", () => {
  const bytes = Buffer.from("a record");
  const signature = tiny.signer.sign(SNAPSHOT_NAMESPACE, bytes);
  const ask = (trust: Trust) => trustedSigner("snapshot", { what: "it", bytes, signature }, trust);
  assert.equal(ask(tiny.trust), tiny.signer.publicKey);
  assert.throws(() => ask(revoking()), /revoked/);
});
