/**
 * Rounds of real backups and real prunes at once, on a real S3 server, on data that changes and becomes again what it once
 * was. In every round some of the processes are killed (SIGKILL) or stopped for a while, at any of their requests, before or
 * after the server has done it, or at any time. The repository waits for seconds where a usual one waits for days
 * (`condemn_after`, `delete_after`, `commit_within` of its repository.json), so that within a few rounds things are
 * forgotten, condemned and removed. After every round nothing that is listed lacks an object, and what is new is read back
 * to the last byte and compared; every tenth round everything is, and `drops verify --read-data` says the same. At the end
 * prunes that are left alone must take away whatever no snapshot needs.
 *
 *   sh scripts/node test/campaigns/prune-rounds.ts --rounds 100 --seed 1
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { PruneRounds } from "../support/prune-rounds.ts";
import { startS3 } from "../support/s3.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "100" }, seed: { type: "string", default: "1" } },
});
const constants = { condemn_after: 20, delete_after: 20, commit_within: 5 };

await using s3 = await startS3();
await using rounds = await PruneRounds.open({
  s3,
  seed: Number(values.seed),
  constants,
  mostStallMs: 25_000,
});
const began = performance.now();
for (let at = 1; at <= Number(values.rounds); at++) {
  const { words, listed, gone, bytes } = await rounds.round();
  console.log(`${at}: ${words.join("; ")}: ${listed} listed, ${gone} objects gone, ${bytes} bytes`);
  if (at % 10 === 0) {
    await rounds.verify();
    console.log(`everything was read and compared; ${inShort(at)}; load ${loadavg()[0]?.toFixed(1)}`);
  }
}
const { prunes, ms } = await rounds.settle();
await rounds.verify();
await rounds.restoreBothEnds();

console.log(
  `${inShort(Number(values.rounds))}; nothing unneeded was left after ${prunes} prunes in ${minutes(ms)}; 0 losses`,
);
for (const [sentence, many] of rounds.failures) console.log(`  ${many} × ${sentence}`);

function inShort(count: number): string {
  const { figures, ends } = rounds;
  const said = (counts: ReadonlyMap<string, number>) =>
    [...counts].map(([what, many]) => `${many} ${what}`).join("; ");
  return (
    `${count} rounds, seed ${values.seed}, waits of ${Object.values(constants).join(", ")} s, in ${minutes(performance.now() - began)}: ` +
    `${said(ends)}; snapshots: ${said(figures.states)}; ${figures.compared} times one was read back and compared; ` +
    `${figures.objectsGone} objects removed, ${figures.packsGone} of them packs; at most ${figures.mostBytes} bytes stored`
  );
}

function minutes(ms: number): string {
  return `${(ms / 60_000).toFixed(1)} min`;
}
