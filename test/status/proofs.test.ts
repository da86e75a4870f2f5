import assert from "node:assert/strict";
import { test } from "node:test";
import type { Proofs } from "../../src/snapshot/finding.ts";
import { statusOf } from "../../src/status/status.ts";
import { greenSeen, NOW } from "../support/sample-status.ts";

const days = (count: number) => new Date(NOW.getTime() - count * 86_400_000).toISOString();
const destroy = (answer: "yes" | "no", at: string): Proofs => ({
  refused: [],
  destroy: { answer, at, found: ["deleting is refused"] },
});

const table: readonly [name: string, proofs: Proofs, answer: string, why: RegExp][] = [
  ["nobody tried", { refused: [] }, "not proven", /^not proven: take it that/],
  [
    "it cannot",
    destroy("no", days(3)),
    "no",
    /^no: this backup host cannot .* \(tried 3 d ago: deleting is refused\)/,
  ],
  ["it can", destroy("yes", days(0)), "yes", /^YES: this backup host can destroy every snapshot/],
  [
    "tried too long ago",
    destroy("no", days(101)),
    "not proven",
    /^not proven: 101 d ago it was "no", too long ago/,
  ],
];
for (const [name, proofs, answer, why] of table) {
  test(`who can destroy it: ${name}`, () => {
    const { recovery } = greenSeen().proofs;
    const status = statusOf(greenSeen({ proofs: { ...proofs, ...(recovery && { recovery }) } }));
    assert.equal(status.destroy.answer, answer);
    assert.equal(status.destroy.proven, answer !== "not proven");
    assert.match(status.destroy.why, why);
    assert.equal(status.state, "green", "it is said every day and is no alarm");
  });
}

test("the recovery key: not proven until one was shown, then when and on what", () => {
  const { recoveryKey } = statusOf(greenSeen({ proofs: { refused: [] } }));
  assert.deepEqual([recoveryKey.proven, recoveryKey.at], [false, undefined]);
  const recovery = { at: days(10), recipients: ["age1x", "age1y"], snapshot: "0123456789abcdef" };
  const proven = statusOf(greenSeen({ proofs: { refused: ["a is not signed"], recovery } }));
  assert.deepEqual(proven.recoveryKey, {
    proven: true,
    at: days(10),
    why: "2 of them opened snapshot 0123456789abcdef, 10 d ago",
  });
  assert.deepEqual(proven.notes, ["not trusted: a is not signed"]);
});
