import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { copyOf, keysOf, nights } from "../support/nights.ts";

const HOW = { signal: new AbortController().signal };

/** A repository whose next prune has everything to do: forget, condemn, remove, take spent marks away. */
const site = await nights({
  sources: `  - { name: db, kind: command, argv: [cat, "@DIR@/db"] }\n`,
  rules: { daily: 3, weekly: 0, monthly: 0 },
  limits: { maxShare: 100 },
});
after(() => site[Symbol.asyncDispose]());
await site.store.put("rehearsal/condemned/20260101T000000Z-aaaaaaaa.json.sig", Buffer.from("lone"), HOW);
for (let day = 0; day < 10; day++) {
  site.sleep();
  await site.write("db", fixedBytes(`night ${day}`, 50_000));
  await site.backup();
  if (day < 7) await site.prune();
}
const { forget, sweep } = (await site.plan()).plan;
const counting = faultyStore(await copyOf(site.store, site.clock), []);
await site.prune({ store: counting });

/** The keys that are left when nothing is to be done any more. By then no mark is. */
async function settled(store: BlobStore): Promise<string[]> {
  const began = site.clock.now;
  try {
    for (let visit = 0; visit < 7; visit++) {
      await site.prune({ store }, { limits: { ...site.how.limits, rpoSeconds: 30 * 86_400 } });
      site.sleep(25);
    }
    return [...(await keysOf(store)).keys()];
  } finally {
    site.clock.now = began;
  }
}

const wanted = await settled(await copyOf(site.store, site.clock));
const kept = (await site.plan()).plan.decisions.filter(({ keep }) => keep).map(({ snapshot }) => snapshot.id);

test("the prune has everything to do", () => {
  assert.ok(forget.length > 2);
  assert.ok(sweep.condemn.length > 2 && sweep.remove.length > 2 && sweep.spentMarks.length > 0);
  assert.ok(counting.calls.some((call) => call.startsWith("removeAll") && call.endsWith(".json.sig")));
  assert.equal(wanted.filter((key) => key.includes("condemned")).length, 0);
  assert.equal(wanted.filter((key) => key.includes("packs")).length, 3);
});

for (const when of ["before", "after"] as const) {
  for (const [index, call] of counting.calls.entries()) {
    const name = call.replaceAll(/[0-9a-f]{16,}/g, "…");
    test(`call ${index + 1} fails ${when} its effect (${name}): nothing that is kept is lost, the next prune finishes`, async () => {
      const store = await copyOf(site.store, site.clock);
      const faulty = faultyStore(store, [{ nth: index + 1, when }]);
      const failure = await site.prune({ store: faulty }).then(
        () => undefined,
        (error: unknown) => error,
      );
      assert.ok(isFailure(failure, "store/unavailable"), String(failure));
      const hasForgotten = faulty.calls.slice(0, index).some((call) => /^remove .*\.json$/.test(call));
      assert.equal(
        /forgotten before: [1-9]\d* snapshots/.test(failure.message),
        hasForgotten,
        failure.message,
      );
      const listed = (await site.readAll(store)).map(({ record }) => record.id); // throws when one lacks anything
      assert.deepEqual(
        listed.filter((id) => kept.includes(id)),
        kept,
      );
      assert.deepEqual(await settled(store), wanted);
      assert.deepEqual(
        (await site.readAll(store)).map(({ record }) => record.id),
        kept,
      );
    });
  }
}
