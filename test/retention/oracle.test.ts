import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type CompactCase, expand, keptTimes } from "../support/histories.ts";

/** Recorded by test/campaigns/retention-oracle.ts. */
const { cases, zones } = JSON.parse(
  readFileSync(new URL("../golden/retention-oracle.json", import.meta.url), "utf8"),
) as { cases: CompactCase[]; zones: string[] };

for (const [rules, oracle] of [
  ["independent", "restic"],
  ["sequential", "borg"],
] as const) {
  test(`${rules} rules keep what ${oracle} kept of the same histories`, () => {
    const recorded = cases.filter((one) => one[0] === rules).map((one) => expand(one, zones));
    assert.ok(recorded.length >= 1000, `${recorded.length} cases`);
    for (const one of recorded) assert.deepEqual(keptTimes(one), one.kept, JSON.stringify(one));
  });
}
