import assert from "node:assert/strict";
import { test } from "node:test";
import { runChecks } from "../../src/doctor/run-checks.ts";
import { type Check, ok, warn } from "../../src/doctor/types.ts";
import { DropsError } from "../../src/lib/errors.ts";

const HOW = { signal: new AbortController().signal };
const there = { host: Promise.resolve(), store: Promise.resolve() };
const check = (more: Partial<Check> & Pick<Check, "run">): Check => ({
  group: "store",
  name: "one",
  why: "because",
  ...more,
});

test("what a check finds keeps its order, and gets the check's name and reason unless it has its own", async () => {
  const own = { ...warn("b", "do it"), why: "another reason" };
  const found = await runChecks([check({ run: async () => [ok("a"), own] })], there, HOW);
  assert.deepEqual(found, [
    { group: "store", check: "one", result: "ok", what: "a", why: "because" },
    { group: "store", check: "one", result: "warn", what: "b", why: "another reason", fix: "do it" },
  ]);
});

test("a foreseen failure is a finding with its hint; anything else is a bug", async () => {
  const failing = check({
    run: async () => {
      throw new DropsError("store/refused", "no", { hint: "ask" });
    },
  });
  const [found] = await runChecks([failing], there, HOW);
  assert.deepEqual([found?.result, found?.what, found?.fix], ["fail", "no", "ask"]);
  const buggy = check({ run: () => Promise.reject(new TypeError("boom")) });
  await assert.rejects(runChecks([buggy], there, HOW), { name: "TypeError" });
});

test("a check that is never answered could not run; the others did", async () => {
  const hanging = check({ limitMs: 50, run: () => new Promise(() => {}) });
  const [late, other] = await runChecks([hanging, check({ run: async () => [ok("a")] })], there, HOW);
  assert.deepEqual([late?.result, other?.result], ["unable", "ok"]);
  assert.match(late?.what ?? "", /one had no answer within 0 s/);
});

test("a check without what it needs is not run, and is not well", async () => {
  const lost = { ...there, host: Promise.reject(new DropsError("host/unreachable", "gone")) };
  let ran = false;
  const needy = check({
    needs: "host",
    run: async () => {
      ran = true;
      return [ok("a")];
    },
  });
  const [found] = await runChecks([needy], lost, HOW);
  assert.deepEqual([found?.result, ran], ["unable", false]);
  assert.match(found?.fix ?? "", /connection/);
});

test("interrupted, it throws the reason and not a finding", async () => {
  const stop = new AbortController();
  const running = runChecks([check({ run: () => new Promise(() => {}) })], there, { signal: stop.signal });
  stop.abort(new DropsError("interrupted", "interrupted by SIGINT"));
  await assert.rejects(running, { code: "interrupted" });
});
