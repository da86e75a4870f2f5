/** What a prune sees of the store, before it decides anything. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { DropsError } from "../../src/lib/errors.ts";
import { heldBytes } from "../../src/retention/held.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { putNote } from "../../src/snapshot/pin.ts";
import { References } from "../../src/snapshot/references.ts";
import { listObjects, storedKey } from "../../src/snapshot/stored-objects.ts";
import {
  listKey,
  manifestKey,
  packKey,
  packsPrefix,
  signatureKey,
  withdrawnKey,
} from "../../src/store/keys.ts";
import { faultyVersions } from "../support/faulty-store.ts";
import { unreachable } from "../support/gone-since.ts";
import { TinyNights } from "../support/tiny-nights.ts";
import { POLICY } from "../support/tiny-repository.ts";
import type { VersionedMemory } from "../support/versioned-memory.ts";

const HOW = { signal: new AbortController().signal };
const HASH = "c".repeat(64);

test("objects are what bears the name of its own place; a signature alone is one, other names among records are strange", async () => {
  const nights = await TinyNights.create();
  const { store } = nights.tiny;
  const { key } = await nights.snapshot(10, [await nights.source("db", "rows")]);
  const before = await listObjects(store, POLICY, HOW);
  assert.deepEqual([before.objects.size, before.records, before.strangers], [3, [key], []]);
  const lone = `${POLICY}/snapshots/20261124T000000Z-${"1".repeat(16)}.json.sig`;
  const strange = [`${POLICY}/snapshots/README`, `${POLICY}/snapshots/README.sig`];
  const ignored = [`${packsPrefix(POLICY)}zz/${HASH}`, `${packsPrefix(POLICY)}cc/README`];
  for (const name of [lone, ...strange, ...ignored]) await store.put(name, Buffer.from("?"), HOW);
  const after = await listObjects(store, POLICY, HOW);
  assert.deepEqual([after.objects.size, after.records, after.strangers], [4, [key], strange]);
});

test("where an object lies follows from its kind and name alone", () => {
  const record = `20261124T000000Z-${"1".repeat(16)}.json`;
  const table = [
    ["pack", HASH, packKey(POLICY, HASH)],
    ["list", HASH, listKey(POLICY, HASH)],
    ["manifest", HASH, manifestKey(POLICY, HASH)],
    ["signature", record, signatureKey(`${POLICY}/snapshots/${record}`)],
  ] as const;
  for (const [kind, name, key] of table) assert.equal(storedKey(POLICY, { kind, name }), key);
  for (const [kind] of table)
    assert.throws(() => storedKey(POLICY, { kind, name: "../../repository.json" }), TypeError);
});

test("references: what is whole, and what of a record is listed", async () => {
  const nights = await TinyNights.create();
  const { store } = nights.tiny;
  const source = await nights.source("db", "rows");
  const { record } = await nights.snapshot(10, [source]);
  const { objects } = await listObjects(store, POLICY, HOW);
  const { manifest, list, ...nothing } = source;
  assert.ok(manifest && list);
  const of = async (damaged: readonly string[] = [], listed = objects) => {
    const references = new References(listed, new Set(damaged));
    await references.read(store, POLICY, [record], HOW);
    return references;
  };
  const sourcesOf = (...sources: (typeof record)["sources"]) => ({ ...record, sources });
  const references = await of();
  const [pack] = [...objects.values()].filter(({ kind }) => kind === "pack");
  assert.ok(pack);
  const whole: readonly [boolean, References, ReturnType<typeof sourcesOf>][] = [
    [true, references, record],
    [true, references, sourcesOf(nothing)],
    [true, references, sourcesOf({ ...nothing, list })],
    [false, references, sourcesOf({ ...nothing, manifest })],
    [false, references, sourcesOf({ ...source, manifest: { ...manifest, size: 1 } })],
    [false, references, sourcesOf({ ...source, list: { ...list, size: 1 } })],
    [false, await of([manifest.sha256]), record],
    [false, await of([list.sha256]), record],
    [false, await of([pack.name]), record],
    [false, new References(objects), record],
  ];
  for (const [at, [is, from, asked]] of whole.entries()) assert.equal(from.areWhole(asked), is, `${at}`);
  const sizes = (asked: typeof record) => references.objectsOf(asked).size;
  assert.deepEqual(
    [record, sourcesOf(nothing), sourcesOf({ ...nothing, manifest }), sourcesOf({ ...nothing, list })].map(
      sizes,
    ),
    [3, 0, 1, 2],
  );
  assert.deepEqual(new References(objects).list(list.sha256), { state: "missing" });
  const other = new Map([...objects].map(([key, object]) => [key, { ...object, size: object.size + 1 }]));
  const odd = (await of([], other)).list(list.sha256);
  assert.deepEqual(odd.state === "read" && odd.packs, [{ sha256: pack.name, size: pack.size }]);
  const away = new References(objects).read(unreachable(store, /\/lists\//), POLICY, [record], HOW);
  await assert.rejects(away, { code: "store/unavailable" });
});

test("what nobody trusted signed is told, and so is what is no note", async () => {
  const nights = await TinyNights.create();
  const { record } = await nights.snapshot(10, [await nights.source("db", "rows")]);
  const { store } = nights.tiny;
  const stranger = signerFromText(newSigningKey("stranger").privateKey, "a stranger's");
  const at = nights.clock.now.toISOString();
  const note = {
    format: 1,
    repository: nights.tiny.id,
    policy: POLICY,
    snapshot: record.id,
    at,
    why: "",
  } as const;
  const put = (drops: "pin" | "withdrawn") =>
    putNote(store, { drops, ...note }, { ...HOW, signer: stranger });
  const [pin, withdrawn] = [await put("pin"), await put("withdrawn")];
  const odd = withdrawnKey(POLICY, "deadbeefdeadbeef");
  await store.put(odd, Buffer.from("garbage"), HOW);
  const { notes, obstacles, withdrawn: heeded } = await nights.survey();
  assert.deepEqual([heeded, obstacles], [[], []]);
  assert.deepEqual(notes, [
    `not heeded: ${odd} is not JSON`,
    `not heeded: nobody trusted signed ${withdrawn}`,
    `nobody trusted signed ${pin}; it counts all the same`,
  ]);
});

test("bytes that versions hold: what is neither shown nor a marker; nothing without versions; unknown where the store does not say", async () => {
  const [plain, versioned] = [await TinyNights.create(), await TinyNights.create({ versions: true })];
  assert.deepEqual(await heldBytes(plain.tiny.store, POLICY, HOW), { objects: 0, bytes: 0 });
  const store = versioned.tiny.store as unknown as VersionedMemory;
  await store.put(`${POLICY}/a`, Buffer.from("12345"), HOW);
  await store.put(`${POLICY}/b`, Buffer.from("123"), HOW);
  assert.deepEqual(await heldBytes(store, POLICY, HOW), { objects: 0, bytes: 0 });
  await store.remove(`${POLICY}/a`, HOW);
  store.putOver(`${POLICY}/b`, Buffer.from("1"));
  assert.deepEqual(await heldBytes(store, POLICY, HOW), { objects: 2, bytes: 8 });
  const failing = (error: Error) =>
    faultyVersions(store, [{ nth: 1, call: "listVersions", when: "before", error: () => error }]);
  for (const code of ["store/refused", "store/unavailable"] as const)
    assert.equal(await heldBytes(failing(new DropsError(code, "no")), POLICY, HOW), undefined);
  await assert.rejects(heldBytes(failing(new TypeError("a bug")), POLICY, HOW), TypeError);
  await assert.rejects(heldBytes(store, POLICY, { signal: AbortSignal.abort() }), { name: "AbortError" });
});
