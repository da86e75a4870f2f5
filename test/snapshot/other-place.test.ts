/** What is copied to another name, policy or repository says nothing there, however rightly it is signed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PRUNE_NAMESPACE, SNAPSHOT_NAMESPACE } from "../../src/seal/sshsig.ts";
import { encodeDocument } from "../../src/snapshot/canonical-json.ts";
import { readCatalog } from "../../src/snapshot/catalog.ts";
import { readMarks } from "../../src/snapshot/condemned.ts";
import { isInForce, type Note, noteKey, readNotes } from "../../src/snapshot/pin.ts";
import { encodeRecord, type SnapshotRecord } from "../../src/snapshot/record.ts";
import { markKey, pinKey, recordKey, signatureKey } from "../../src/store/keys.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const OTHER = "e".repeat(32);

async function put(tiny: TinyRepository, key: string, namespace: string, bytes: Uint8Array): Promise<void> {
  await tiny.store.put(key, bytes, HOW);
  await tiny.store.put(signatureKey(key), tiny.signer.sign(namespace, bytes), HOW);
}

const records: readonly { name: string; change: Partial<SnapshotRecord>; is: boolean }[] = [
  { name: "its own place", change: {}, is: true },
  { name: "another repository", change: { repository: OTHER }, is: false },
  { name: "another policy", change: { policy: "other" }, is: false },
  { name: "another id", change: { id: "1".repeat(16) }, is: false },
  { name: "another second", change: { ended: "2026-11-20T01:32:01.000Z" }, is: false },
  {
    name: "another millisecond, which no name tells",
    change: { ended: "2026-11-20T01:32:00.999Z" },
    is: true,
  },
];
for (const { name, change, is } of records) {
  test(`a record of ${name} is ${is ? "read" : "unreadable"}`, async () => {
    const tiny = await TinyRepository.create();
    const { record } = await tiny.commit([]);
    const key = recordKey(POLICY, "20261120T013200Z", "2".repeat(16));
    await put(tiny, key, SNAPSHOT_NAMESPACE, encodeRecord({ ...record, id: "2".repeat(16), ...change }));
    const { snapshots, unreadable } = await readCatalog(tiny.store, tiny, POLICY, tiny.trust, HOW);
    assert.equal(snapshots.length, is ? 2 : 1);
    assert.deepEqual(
      unreadable.map(({ key: wrong, why }) => [wrong, /belongs to another place/.test(why.message)]),
      is ? [] : [[key, true]],
    );
  });
}

test("within a second the time that a record says decides, then its sequence", async () => {
  const tiny = await TinyRepository.create();
  const commit = (id: string, ms: string) => tiny.commit([], { id, ended: `2026-11-20T01:32:00.${ms}Z` });
  for (const [id, ms] of [
    ["b", "500"],
    ["c", "500"],
    ["a", "900"],
    ["d", "100"],
  ] as const)
    await commit(id.repeat(16), ms);
  const { snapshots } = await readCatalog(tiny.store, tiny, POLICY, tiny.trust, HOW);
  assert.equal(snapshots.map(({ record }) => record.id[0]).join(""), "dbca");
});

test("a record without a signature is unreadable, and listed where nobody's is asked for", async () => {
  const tiny = await TinyRepository.create();
  const { key, record } = await tiny.commit([]);
  await tiny.store.remove(signatureKey(key), HOW);
  const read = (allowUnsigned: boolean) =>
    readCatalog(tiny.store, tiny, POLICY, { ...tiny.trust, allowUnsigned }, HOW);
  const { snapshots, unreadable } = await read(false);
  assert.deepEqual([snapshots, unreadable.map((one) => one.why.code)], [[], ["signature/untrusted"]]);
  assert.deepEqual(
    (await read(true)).snapshots.map((one) => [one.record.id, one.signer]),
    [[record.id, undefined]],
  );
});

const notes: readonly { name: string; change: Partial<Note>; key?: string }[] = [
  { name: "another repository", change: { repository: OTHER } },
  { name: "another policy", change: { policy: "other" } },
  { name: "a withdrawal", change: { drops: "withdrawn" } },
  { name: "another snapshot", change: { snapshot: "2".repeat(16) } },
];
for (const { name, change } of notes) {
  test(`a pin of ${name} is unreadable`, async () => {
    const tiny = await TinyRepository.create();
    const snapshot = "1".repeat(16);
    const place = { repository: tiny.id, policy: POLICY };
    const note: Note = { drops: "pin", format: 1, ...place, snapshot, at: "2026-11-21T00:00:00Z", why: "" };
    const key = pinKey(POLICY, snapshot);
    assert.equal(noteKey(note), key);
    await put(tiny, key, PRUNE_NAMESPACE, encodeDocument({ ...note, ...change }));
    const found = await readNotes(tiny.store, place, "pin", tiny.trust, HOW);
    assert.deepEqual([found.notes, found.unreadable.map((one) => one.key)], [[], [key]]);
  });
}

for (const change of [{ repository: OTHER }, { policy: "other" }, {}]) {
  test(`a mark of ${Object.keys(change)[0] ?? "this place"} is heeded here only`, async () => {
    const tiny = await TinyRepository.create();
    const place = { repository: tiny.id, policy: POLICY };
    const mark = { drops: "condemned", format: 1, ...place, at: "2026-11-21T00:00:00Z", objects: [] };
    const key = markKey(POLICY, "20261121T000000Z", "3".repeat(16));
    await put(tiny, key, PRUNE_NAMESPACE, encodeDocument({ ...mark, ...change }));
    const { marks } = await readMarks(tiny.store, place, tiny.trust, HOW);
    assert.deepEqual(
      marks.map(({ trusted }) => trusted),
      [Object.keys(change).length === 0],
    );
  });
}

test("a pin counts until its time, one without a time for ever", () => {
  const at = new Date("2026-11-21T00:00:00Z");
  const until = (time?: string) => isInForce({ ...(time === undefined ? {} : { until: time }) } as Note, at);
  assert.deepEqual(
    [until(), until("2026-11-21T00:00:00.001Z"), until("2026-11-21T00:00:00Z")],
    [true, true, false],
  );
});
