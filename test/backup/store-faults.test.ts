import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { type Fault, faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { type Rehearsal, rehearse } from "../support/rehearsal.ts";
import { readWhole } from "../support/whole-repository.ts";

const SOURCES = `  - { name: first, kind: command, argv: [cat, "@DIR@/first"] }
  - { name: second, kind: command, argv: [cat, "@DIR@/second"] }
`;

/** A repository with one good night, and changed sources for the next. */
async function secondNight(): Promise<Rehearsal> {
  const rehearsal = await rehearse({
    sources: SOURCES,
    store: openMemoryStore(),
    checkpoint: { afterBytes: 1_500_000, afterMs: 2 ** 40 },
  });
  for (const name of ["first", "second"])
    await writeFile(join(rehearsal.directory, name), fixedBytes(name, 600_000));
  await rehearsal.night();
  await writeFile(join(rehearsal.directory, "first"), fixedBytes("changed", 3_000_000));
  return rehearsal;
}

function whole({ store, recovery, signer }: Rehearsal) {
  return readWhole(store, { identity: recovery.identity, signer: signer.publicKey, policy: "rehearsal" });
}

async function callsOfOneNight(): Promise<readonly string[]> {
  await using rehearsal = await secondNight();
  const counting = faultyStore(rehearsal.store, []);
  await rehearsal.night({ store: counting });
  return counting.calls;
}

test("whichever store call fails, what is listed can be restored and the next night succeeds", async (t) => {
  const calls = await callsOfOneNight();
  assert.ok(
    calls.filter((call) => call.startsWith("put rehearsal/snapshots/")).length >= 4,
    "a checkpoint and a snapshot",
  );
  for (const when of ["before", "after"] as const) {
    for (const [index, call] of calls.entries()) {
      await t.test(
        `call ${index + 1} of ${calls.length}, ${when} its effect: ${call.replaceAll(/[0-9a-f]{16,}/g, "…")}`,
        async () => {
          const fault: Fault = { nth: index + 1, when };
          await using rehearsal = await secondNight();
          const first = await rehearsal.night({ store: faultyStore(rehearsal.store, [fault]) }).then(
            () => undefined,
            (error: unknown) => error,
          );
          assert.ok(first === undefined || isFailure(first, "store/unavailable"), String(first));
          const listed = await whole(rehearsal); // throws when anything listed cannot be read back
          assert.ok(first !== undefined || listed.at(-1)?.record.state === "complete");
          const next = await rehearsal.night();
          assert.equal(next.record.state, "complete");
          const newest = (await whole(rehearsal)).at(-1);
          assert.deepEqual(newest?.sources.get("first")?.get("output"), fixedBytes("changed", 3_000_000));
          assert.deepEqual(newest?.sources.get("second")?.get("output"), fixedBytes("second", 600_000));
        },
      );
    }
  }
});

test("a record whose answer was lost is not written twice", async () => {
  await using rehearsal = await secondNight();
  const lost: Fault = { nth: 1, call: "put", key: /snapshots\/[^.]*\.json$/, when: "after", stays: true };
  const run = await rehearsal.night({
    store: faultyStore(rehearsal.store, [lost]),
    checkpoint: { afterBytes: 2 ** 40, afterMs: 2 ** 40 },
  });
  assert.equal(run.record.state, "complete");
  assert.equal((await whole(rehearsal)).length, 2);
});
