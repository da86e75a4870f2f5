import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { after } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { rehearse } from "../support/rehearsal.ts";
import { readWhole } from "../support/whole-repository.ts";

const SOURCES = `  - { name: first, kind: command, argv: [cat, "@DIR@/first"] }
  - { name: second, kind: command, argv: [cat, "@DIR@/second"] }
`;

const HOW = { signal: new AbortController().signal };

/** A repository with one good night, and changed sources for the next. */
const base = await rehearse({
  sources: SOURCES,
  checkpoint: { afterBytes: 1_500_000, afterMs: 2 ** 40 },
});
for (const name of ["first", "second"])
  await writeFile(join(base.directory, name), fixedBytes(name, 600_000));
await base.night();
await writeFile(join(base.directory, "first"), fixedBytes("changed", 3_000_000));
after(() => base[Symbol.asyncDispose]());

async function copyOf(store: BlobStore): Promise<BlobStore> {
  const copy = openMemoryStore();
  for await (const { key, size } of store.list("", HOW)) {
    await copy.put(key, await store.get(key, { ...HOW, maxSize: size }), HOW);
  }
  return copy;
}

function whole(store: BlobStore) {
  const { recovery, signer } = base;
  return readWhole(store, { identity: recovery.identity, signer: signer.publicKey, policy: "rehearsal" });
}

const counting = faultyStore(await copyOf(base.store), []);
await base.night({ store: counting });

test("the second night has a checkpoint and a snapshot to lose", () => {
  const records = counting.calls.filter((call) => /^put .*\/snapshots\/[^.]*\.json$/.test(call));
  assert.ok(records.length >= 2);
});

for (const when of ["before", "after"] as const) {
  for (const [index, call] of counting.calls.entries()) {
    const name = call.replaceAll(/[0-9a-f]{16,}/g, "…");
    test(`call ${index + 1} fails ${when} its effect (${name}): what is listed can be restored, the next night succeeds`, async () => {
      const store = await copyOf(base.store);
      const faulty = faultyStore(store, [{ nth: index + 1, when }]);
      const failure = await base.night({ store: faulty }).then(
        () => undefined,
        (error: unknown) => error,
      );
      assert.ok(failure === undefined || isFailure(failure, "store/unavailable"), String(failure));
      const listed = await whole(store); // throws when anything listed cannot be read back
      assert.ok(failure !== undefined || listed.at(-1)?.record.state === "complete");
      assert.equal((await base.night({ store })).record.state, "complete");
      const newest = (await whole(store)).at(-1);
      assert.deepEqual(newest?.sources.get("first")?.get("output"), fixedBytes("changed", 3_000_000));
      assert.deepEqual(newest?.sources.get("second")?.get("output"), fixedBytes("second", 600_000));
    });
  }
}

test("a record whose answer was lost is not written twice", async () => {
  const store = await copyOf(base.store);
  const lost = { nth: 1, call: "put", key: /snapshots\/[^.]*\.json$/, when: "after", stays: true } as const;
  const checkpoint = { afterBytes: 2 ** 40, afterMs: 2 ** 40 };
  const run = await base.night({ store: faultyStore(store, [lost]), checkpoint });
  assert.equal(run.record.state, "complete");
  assert.equal((await whole(store)).length, 2);
});

test("a machine that slept for a day between its last look and the commit commits nothing", async () => {
  const store = await copyOf(base.store);
  let asleep = 0;
  const sleep = () => {
    asleep = 25 * 3_600_000;
    return undefined;
  };
  const nap = { nth: 1, call: "put", key: /snapshots\/.*\.sig$/, when: "after", error: sleep } as const;
  const before = (await whole(store)).length;
  const checkpoint = { afterBytes: 2 ** 40, afterMs: 2 ** 40 };
  const now = () => new Date(Date.now() + asleep);
  const failure = await base
    .night({ store: faultyStore(store, [nap]), checkpoint, now })
    .catch((error: unknown) => error);
  assert.ok(isFailure(failure, "safety/refused"), String(failure));
  assert.equal((await whole(store)).length, before);
});
