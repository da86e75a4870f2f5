import assert from "node:assert/strict";
import { test } from "node:test";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { PRUNE_NAMESPACE, type Signer, signerFromText } from "../../src/seal/sshsig.ts";
import { type FoundByDoctor, putFound, readProofs } from "../../src/snapshot/finding.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { openMemoryStore } from "../support/memory-store.ts";

const HOW = { signal: new AbortController().signal };
const PLACE = { repository: "a".repeat(32), policy: "ops" };
const [own, stranger] = ["own", "stranger"].map((name) =>
  signerFromText(newSigningKey(name).privateKey, name),
);
assert.ok(own && stranger);
const TRUST = trustOf(undefined, { signers: [own.publicKey] });

type What = Pick<FoundByDoctor, "destroy" | "recovery">;
const no: What = { destroy: { answer: "no", found: ["deleting is refused"] } };
const yes: What = { destroy: { answer: "yes", found: ["deleting is possible"] } };
const shown: What = { recovery: { recipients: ["age1x"], snapshot: "0123456789abcdef" } };

function world() {
  const store = openMemoryStore();
  const put = (day: number, what: What, signer: Signer = own as Signer, place = PLACE) => {
    const at = new Date(Date.UTC(2026, 10, day)).toISOString();
    return putFound(store, { ...place, at, tool: "drops test", ...what }, { ...HOW, signer });
  };
  const read = () => readProofs(store, PLACE, TRUST, HOW);
  return { store, put, read };
}

test("the newest of each counts, whichever run found it", async () => {
  const { put, read } = world();
  assert.deepEqual(await read(), { refused: [] });
  await put(1, { ...yes, ...shown });
  await put(3, no);
  await put(2, yes);
  const { destroy, recovery } = await read();
  assert.deepEqual([destroy?.answer, destroy?.at], ["no", "2026-11-03T00:00:00.000Z"]);
  assert.deepEqual([recovery?.snapshot, recovery?.at], ["0123456789abcdef", "2026-11-01T00:00:00.000Z"]);
});

test("each may be found by a run of its own", async () => {
  const { put, read } = world();
  await put(1, shown);
  await put(2, no);
  const { destroy, recovery } = await read();
  assert.deepEqual([destroy?.answer, recovery?.snapshot], ["no", "0123456789abcdef"]);
});

test("what nobody trusted signed is refused and named, and hides nothing older", async () => {
  const { put, read } = world();
  await put(1, yes);
  const forged = await put(2, no, stranger);
  const { destroy, refused } = await read();
  assert.equal(destroy?.answer, "yes");
  assert.equal(refused.length, 1);
  assert.match(refused[0] ?? "", new RegExp(`^${forged} is signed by a key that is not trusted`));
});

test("copied from another repository, to another name, changed, unsigned or signed for another purpose: refused", async () => {
  const { store, put, read } = world();
  const key = await put(1, no, own, { ...PLACE, repository: "b".repeat(32) });
  const bytes = await store.get(key, { ...HOW, maxSize: 10_000 });
  const signature = await store.get(`${key}.sig`, { ...HOW, maxSize: 10_000 });
  const at = (name: string) => `ops/doctor/2026110${name}.json`;
  const copies: readonly [name: string, bytes: Uint8Array, signature: Uint8Array | undefined][] = [
    ["2T000000Z-0000000000000000", bytes, signature],
    [
      "3T000000Z-0000000000000000",
      Buffer.from(Buffer.from(bytes).toString().replace("no", "yes")),
      signature,
    ],
    ["4T000000Z-0000000000000000", bytes, undefined],
    ["5T000000Z-0000000000000000", bytes, own?.sign(PRUNE_NAMESPACE, bytes)],
  ];
  for (const [name, body, signed] of copies) {
    await store.put(at(name), body, HOW);
    if (signed) await store.put(`${at(name)}.sig`, signed, HOW);
  }
  const { refused, ...proofs } = await read();
  assert.deepEqual(proofs, {});
  assert.equal(refused.length, 5);
});
