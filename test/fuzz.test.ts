/** Hostile input for every parser of foreign bytes; long campaigns: test/campaigns/fuzz.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzParsers } from "./fuzz/fuzz-parsers.ts";
import { TARGETS } from "./fuzz/targets.ts";

/** Of each parser: always the same ones. */
const INPUTS = 40;

test("every parser of foreign bytes answers or refuses, within bounds of time and memory", async () => {
  const targets = TARGETS.map(({ name }) => name);
  const how = { targets, from: 1, count: INPUTS, forMs: Number.POSITIVE_INFINITY };
  const outcomes = await fuzzParsers(how);
  assert.deepEqual(
    outcomes.flatMap(({ target, faults }) => faults.map((fault) => ({ target, ...fault }))),
    [],
  );
  assert.deepEqual(
    outcomes.map(({ target, executions }) => [target, executions]),
    targets.map((target) => [target, INPUTS]),
  );
});
