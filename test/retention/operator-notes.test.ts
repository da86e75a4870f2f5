import assert from "node:assert/strict";
import { test } from "node:test";
import { unpin, writeNote } from "../../src/retention/operator-notes.ts";
import type { Note } from "../../src/snapshot/pin.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { pinKey, signatureKey } from "../../src/store/keys.ts";
import { unreachable } from "../support/gone-since.ts";
import { keysOf } from "../support/nights.ts";
import { TinyNights } from "../support/tiny-nights.ts";
import { POLICY } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };

async function world() {
  const nights = await TinyNights.create();
  const { record } = await nights.snapshot(10, [await nights.source("db", "rows")]);
  const { tiny } = nights;
  const parts = (store: BlobStore = tiny.store) => ({
    ...nights.parts(),
    store,
    signer: tiny.signer,
    zone: "Europe/Berlin",
  });
  const write = (kind: Note["drops"], until?: string, store?: BlobStore) =>
    writeNote(parts(store), { kind, snapshot: record.id, until, why: "good" }, HOW);
  return { nights, record, parts, write, key: pinKey(POLICY, record.id) };
}

const dates: readonly { until: string; becomes: string | undefined }[] = [
  { until: "2026-11-25", becomes: "2026-11-25T23:00:00.000Z" },
  { until: "2026-11-24", becomes: "2026-11-24T23:00:00.000Z" },
  { until: "2026-11-25T10:00", becomes: "2026-11-25T09:00:59.999Z" },
  { until: "2026-11-23", becomes: undefined },
  { until: "2026-11-24T12:59", becomes: undefined },
  { until: "latest", becomes: undefined },
  { until: "0123456789abcdef", becomes: undefined },
];
for (const { until, becomes } of dates) {
  test(`a pin until ${until} ${becomes ? `counts until ${becomes}` : "is refused"}`, async () => {
    const { write } = await world();
    if (becomes) return assert.equal((await write("pin", until)).note.until, becomes);
    await assert.rejects(write("pin", until), {
      code: "usage/invalid",
      message: /is not a date in the future$/,
    });
  });
}

const twice: readonly { kind: Note["drops"]; until?: string; says: RegExp; hint: RegExp | undefined }[] = [
  { kind: "pin", says: / is pinned already: good$/, hint: /^drops unpin / },
  {
    kind: "pin",
    until: "2026-12-01",
    says: / is pinned until 2026-12-02 00:00:00 \+01:00 already/,
    hint: /^drops unpin /,
  },
  { kind: "withdrawn", says: / is withdrawn already: good$/, hint: undefined },
];
for (const { kind, until, says, hint } of twice) {
  test(`a second note of a snapshot: ${says.source}`, async () => {
    const { write } = await world();
    await write(kind, until);
    await assert.rejects(write(kind), (error: Error & { hint?: string }) => {
      assert.match(error.message, says);
      assert.equal(hint?.test(error.hint ?? ""), hint && true);
      return hint !== undefined || error.hint === undefined;
    });
  });
}

test("a pin that has run out makes way", async () => {
  const { nights, write } = await world();
  await write("pin", "2026-11-25");
  nights.clock.now = new Date("2026-11-25T23:00:00Z");
  assert.equal((await write("pin")).note.until, undefined);
});

test("what a killed one left makes way; a store that goes away is told", async () => {
  const { nights, write, key } = await world();
  const { store } = nights.tiny;
  await store.put(signatureKey(key), Buffer.from("left"), HOW);
  await assert.rejects(write("pin", undefined, unreachable(store, new RegExp(`^${signatureKey(key)}$`))), {
    code: "store/unavailable",
  });
  await write("pin");
  const [{ trusted } = { trusted: false }] = (await nights.survey()).pins;
  assert.ok(trusted);
});

test("what is pinned can be unpinned, and nothing else", async () => {
  const { nights, record, parts, write } = await world();
  await assert.rejects(unpin(parts(), record.id, HOW), { code: "snapshot/missing" });
  await write("pin");
  assert.equal((await unpin(parts(), record.id, HOW)).note.snapshot, record.id);
  assert.equal((await keysOf(nights.tiny.store, `${POLICY}/pins/`)).size, 0);
});
