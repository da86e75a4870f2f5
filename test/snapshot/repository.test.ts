import assert from "node:assert/strict";
import { test } from "node:test";
import { DropsError } from "../../src/lib/errors.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { REPOSITORY_NAMESPACE, SNAPSHOT_NAMESPACE, signerFromText } from "../../src/seal/sshsig.ts";
import { encodeDocument } from "../../src/snapshot/canonical-json.ts";
import { encodeRecord } from "../../src/snapshot/record.ts";
import {
  newRepository,
  type Repository,
  readRepository,
  requireUnderstood,
  writeRepository,
} from "../../src/snapshot/repository.ts";
import { repositoryOfRecords, UNKNOWN_TIME } from "../../src/snapshot/repository-of-records.ts";
import { REPOSITORY_KEY, REPOSITORY_SIGNATURE_KEY, recordKey, signatureKey } from "../../src/store/keys.ts";
import { faultyStore } from "../support/faulty-store.ts";
import { goneSince, unreachable } from "../support/gone-since.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const ID = "a".repeat(32);
const signer = signerFromText(newSigningKey("own").privateKey, "own");
const stranger = signerFromText(newSigningKey("stranger").privateKey, "a stranger's");
const described = newRepository(ID, new Date("2026-01-01T00:00:00Z"));

test("init writes over nothing, also when another one was faster; a failure of the store stays one", async () => {
  const store = openMemoryStore();
  const init = (into = store) => writeRepository(into, described, signer, HOW);
  await assert.rejects(init(unreachable(store, /^repository\.json$/)), { code: "store/unavailable" });
  await assert.rejects(init(unreachable(store, /sig$/)), { code: "store/unavailable" });
  await init();
  await assert.rejects(init(), { code: "repository/exists" });
  await assert.rejects(init(goneSince(store, /^repository\.json$/)), { code: "repository/exists" });
});

const unknown: readonly { name: string; change: Partial<Repository> }[] = [
  { name: "something that it does not know", change: { requires: ["levitation"] } },
  ...(["min", "average", "max"] as const).map((what) => ({
    name: `chunks of another ${what}`,
    change: { chunker: { ...described.chunker, [what]: 1 } },
  })),
  { name: "another way to cut", change: { chunker: { ...described.chunker, algorithm: "rabin" } } },
];
for (const { name, change } of unknown) {
  test(`a repository that asks for ${name} is read and not written to`, async () => {
    const repository = { ...described, ...change };
    const store = openMemoryStore();
    await store.put(REPOSITORY_KEY, encodeDocument(repository), HOW);
    assert.deepEqual(await readRepository(store, undefined, HOW), repository);
    assert.throws(() => requireUnderstood(repository), { code: "format/unsupported" });
  });
}

test("another format is named before its shape is looked at; what says none is damaged", async () => {
  const store = openMemoryStore();
  await store.put(REPOSITORY_KEY, Buffer.from('{\n  "shape": "other",\n  "format": 2\n}\n'), HOW);
  await assert.rejects(readRepository(store, undefined, HOW), {
    code: "format/unsupported",
    message: /has format 2; this drops reads format 1$/,
  });
  await store.remove(REPOSITORY_KEY, HOW);
  await store.put(REPOSITORY_KEY, encodeDocument({ shape: "other" }), HOW);
  await assert.rejects(readRepository(store, undefined, HOW), { code: "data/damaged" });
});

test("a description by a revoked key is believed when it and its signature landed before, and both are listed", async () => {
  const tiny = await TinyRepository.create();
  const before = (time: Date) => ({
    ...tiny.trust,
    signers: { ...tiny.trust.signers, snapshot: [] },
    revoked: [{ key: tiny.signer.publicKey, before: time }],
  });
  const later = new Date(Date.now() + 60_000);
  assert.equal((await readRepository(tiny.store, before(later), HOW)).id, tiny.id);
  await assert.rejects(readRepository(tiny.store, before(new Date(0)), HOW), { code: "signature/untrusted" });
  for (const hidden of [REPOSITORY_KEY, REPOSITORY_SIGNATURE_KEY]) {
    const store = faultyStore(tiny.store, []);
    store.list = async function* (prefix, how) {
      for await (const blob of tiny.store.list(prefix, how)) if (blob.key !== hidden) yield blob;
    };
    await assert.rejects(readRepository(store, before(later), HOW), { code: "signature/untrusted" });
  }
});

test("a description without a signature is read where the operator asks for none", async () => {
  const tiny = await TinyRepository.create();
  await tiny.store.remove(REPOSITORY_SIGNATURE_KEY, HOW);
  const read = (allowUnsigned: boolean) => readRepository(tiny.store, { ...tiny.trust, allowUnsigned }, HOW);
  await assert.rejects(read(false), { code: "signature/untrusted" });
  assert.equal((await read(true)).id, tiny.id);
});

test("a lost description is put together from believed records of this policy, when they all agree", async () => {
  const lost = new DropsError("repository/missing", "lost");
  const tiny = await TinyRepository.create();
  const read = (store = tiny.store, allowUnsigned = false) =>
    repositoryOfRecords(store, POLICY, { ...tiny.trust, allowUnsigned }, lost, HOW);
  await assert.rejects(read(), lost, "there is no record");
  const { record, key } = await tiny.commit([]);
  const again = { ...newRepository(tiny.id, new Date(UNKNOWN_TIME)) };
  assert.deepEqual(await read(), again);
  await assert.rejects(read(tiny.store, true), lost, "nobody's word is asked for");
  await assert.rejects(read(goneSince(tiny.store, /\.json$/)), lost);
  await assert.rejects(read(unreachable(tiny.store, /\.json\.sig$/)), { code: "store/unavailable" });
  let count = 0;
  const put = async (bytes: Uint8Array, by = tiny.signer, namespace = SNAPSHOT_NAMESPACE) => {
    const other = recordKey(POLICY, "20261120T013200Z", String(++count).padStart(16, "0"));
    await tiny.store.put(other, bytes, HOW);
    await tiny.store.put(signatureKey(other), by.sign(namespace, bytes), HOW);
  };
  const other = encodeRecord({ ...record, repository: "b".repeat(32) });
  await put(other, stranger);
  await put(other, tiny.signer, REPOSITORY_NAMESPACE);
  await put(encodeRecord({ ...record, repository: "b".repeat(32), policy: "other" }));
  await put(Buffer.from("no record"));
  await tiny.store.put(`${POLICY}/snapshots/README`, Buffer.from("?"), HOW);
  assert.deepEqual(await read(), again, "what is not believed, or of another policy, has no say");
  await put(other);
  await assert.rejects(read(), lost, "two believed ones do not agree");
  await tiny.store.remove(key, HOW);
  assert.equal((await read()).id, "b".repeat(32));
});
