import assert from "node:assert/strict";
import { after, test } from "node:test";
import { PruneRounds } from "../support/prune-rounds.ts";
import { startS3 } from "../support/s3.ts";

// A hundred rounds: test/campaigns/prune-rounds.ts.
const ROUNDS = 3;

const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());

test("backups and prunes at once, some killed, some stopped: what is listed restores, what nothing needs goes", async (t) => {
  await using rounds = await PruneRounds.open({
    s3,
    seed: 1, // of which two processes are killed in three rounds
    constants: { condemn_after: 4, delete_after: 10, commit_within: 2 },
    mostStallMs: 3000,
  });
  for (let at = 1; at <= ROUNDS; at++) t.diagnostic((await rounds.round()).words.join("; "));
  await rounds.settle();
  await rounds.verify();
  await rounds.restoreBothEnds();
  assert.ok(rounds.figures.packsGone > 0, "nothing was ever removed");
  assert.ok([...rounds.ends.keys()].some((end) => end.includes("killed")));
});
