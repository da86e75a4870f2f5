import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { breathe, mayBreathe, sortWithBreaths } from "../../src/lib/breathe.ts";

/** A loop that never lets a timer run would go on for ever; here it is told so. */
const NEVER = 2 ** 32;

test("a loop over small things, and one over large ones, let timers run", async () => {
  for (const isSmall of [true, false]) {
    let isOver = false;
    setTimeout(() => {
      isOver = true;
    }, 1);
    for (let count = 0; !isOver; count++) {
      if (!isSmall || mayBreathe(count)) await breathe();
      assert.ok(count < NEVER);
    }
  }
});

test("between two breaths are no more than 20 ms of work, and no less", async () => {
  let now = 1_000_000;
  const { now: real } = performance;
  performance.now = () => now;
  try {
    let turns = 0;
    const count = () => {
      turns++;
      setImmediate(count).unref();
    };
    await breathe();
    setImmediate(count).unref();
    const seen: number[] = [];
    for (let ms = 0; ms < 100; ms += 5) {
      now += 5;
      const before = turns;
      await breathe();
      if (turns > before) seen.push(ms);
    }
    assert.deepEqual(seen, [15, 35, 55, 75, 95]);
  } finally {
    performance.now = real;
  }
});

test("sorting is what sort does, stable", async () => {
  const keys = fc.array(fc.nat(50), { maxLength: 300, size: "max" });
  await fc.assert(
    fc.asyncProperty(keys, fc.integer({ min: 1, max: 60 }), async (some, times) => {
      const all = Array.from({ length: times }, () => some).flat();
      const compare = (a: number, b: number) => (all[a] as number) - (all[b] as number);
      const order = Uint32Array.from(all.keys());
      const wanted = Uint32Array.from(order).sort(compare);
      assert.deepEqual(await sortWithBreaths(order, compare), wanted);
    }),
    { numRuns: 30 },
  );
});
