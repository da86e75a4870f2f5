/** Between a listing and a look at what is listed, another run may remove it, or the store may go away. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { listPolicies, readCatalog } from "../../src/snapshot/catalog.ts";
import { putMark, readCondemned, readMarks } from "../../src/snapshot/condemned.ts";
import { damagedNames, putDamaged } from "../../src/snapshot/damaged.ts";
import { putFound, readProofs } from "../../src/snapshot/finding.ts";
import { putNote, readNotes } from "../../src/snapshot/pin.ts";
import { readRepository } from "../../src/snapshot/repository.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { goneSince, unreachable } from "../support/gone-since.ts";
import { POLICY, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const AT = "2026-11-21T00:00:00.000Z";
const NAME = "d".repeat(64);
const tiny = await TinyRepository.create();
const { trust, signer, store } = tiny;
const place = { repository: tiny.id, policy: POLICY };
const { record } = await tiny.snapshot({ name: "files", entries: [] });
const mark = { drops: "condemned", format: 1, ...place, at: AT } as const;
await putMark(
  store,
  { ...mark, objects: [{ kind: "pack", name: NAME }] },
  { ...HOW, id: "0".repeat(16), signer },
);
const note = { drops: "pin", format: 1, ...place, snapshot: record.id, at: AT, why: "good" } as const;
await putNote(store, note, { ...HOW, signer });
const damage = { drops: "damaged", format: 1, ...place, at: AT, kind: "pack", name: NAME } as const;
await putDamaged(store, { ...damage, problem: "another hash" }, { ...HOW, signer });
const recovery = { recipients: ["age1x"], snapshot: record.id };
await putFound(store, { ...place, at: AT, tool: "drops test", recovery }, { ...HOW, signer });

const readers: readonly {
  readonly name: string;
  /** What of it may be gone. */
  readonly key: RegExp;
  readonly read: (store: BlobStore) => Promise<unknown>;
  readonly there: unknown;
  readonly gone: unknown;
}[] = [
  {
    name: "a record",
    key: /\/snapshots\/.*\.json$/,
    read: async (from) => {
      const { snapshots, unreadable } = await readCatalog(from, tiny, POLICY, trust, HOW);
      return [snapshots.map((one) => one.record.id), unreadable];
    },
    there: [[record.id], []],
    gone: [[], []],
  },
  {
    name: "a mark that a backup looks at",
    key: /\/condemned\/.*\.json$/,
    read: async (from) => [...(await readCondemned(from, POLICY, HOW))],
    there: [NAME],
    gone: [],
  },
  {
    name: "a mark that a prune looks at",
    key: /\/condemned\/.*\.json$/,
    read: async (from) => {
      const { marks, unreadable } = await readMarks(from, place, trust, HOW);
      return [marks.flatMap(({ objects, trusted }) => [objects.length, trusted]), unreadable];
    },
    there: [[1, true], []],
    gone: [[], []],
  },
  {
    name: "a pin",
    key: /\/pins\/.*\.json$/,
    read: async (from) => {
      const { notes, unreadable } = await readNotes(from, place, "pin", trust, HOW);
      return [notes.map((one) => one.trusted), unreadable];
    },
    there: [[true], []],
    gone: [[], []],
  },
  {
    name: "what a doctor found",
    key: /\/doctor\/.*\.json$/,
    read: async (from) => {
      const { destroy, recovery: proof, refused } = await readProofs(from, place, trust, HOW);
      return [destroy, proof?.snapshot, refused.map((why) => why.replace(/^.* is/, "is"))];
    },
    there: [undefined, record.id, []],
    gone: [undefined, undefined, ["is not there any more"]],
  },
  {
    name: "the description's signature",
    key: /^repository\.json\.sig$/,
    read: (from) =>
      readRepository(from, trust, HOW).then(
        ({ id }) => id,
        (error) => isFailure(error, "signature/untrusted") || Promise.reject(error),
      ),
    there: tiny.id,
    gone: true,
  },
  {
    name: "the description",
    key: /^repository\.json$/,
    read: (from) =>
      readRepository(from, trust, HOW).then(
        ({ id }) => id,
        (error) => isFailure(error, "repository/missing") || Promise.reject(error),
      ),
    there: tiny.id,
    gone: true,
  },
];

for (const { name, key, read, there, gone } of readers) {
  test(`${name} that goes while it is read is passed over; a store that goes away is not taken for that`, async () => {
    assert.deepEqual(await read(store), there);
    assert.deepEqual(await read(goneSince(store, key)), gone);
    await assert.rejects(read(unreachable(store, key)), { code: "store/unavailable" });
  });
}

test("names alone say what is damaged; other names there say nothing", async () => {
  assert.deepEqual([...(await damagedNames(store, POLICY, HOW))], [NAME]);
  await store.put(`${POLICY}/damaged/README`, Buffer.from("?"), HOW);
  await store.put(`${POLICY}/damaged/${"e".repeat(64)}.text`, Buffer.from("?"), HOW);
  assert.deepEqual([...(await damagedNames(store, POLICY, HOW))], [NAME]);
});

test("policies are those with a folder of snapshots", async () => {
  await store.put("another/snapshots/x", Buffer.from("?"), HOW);
  await store.put("no-policy/packs/x", Buffer.from("?"), HOW);
  assert.deepEqual(await listPolicies(store, HOW), ["another", POLICY]);
});
