/**
 * Thousands of schedules of two backups, two prunes and a restore on one store, with kills, stalls of up to 40 hours at any
 * call, and listings that are up to an hour old: no listed snapshot ever lacks an object. The store and the data of backups
 * are a model, everything else is the real code. A seed that fails is named and can be run again alone.
 *
 *   sh scripts/node test/campaigns/prune-schedules.ts --count 3000 --first 1
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { runSchedule, type ScheduleCounts } from "../support/model-schedule.ts";

const { values } = parseArgs({
  options: { count: { type: "string", default: "3000" }, first: { type: "string", default: "1" } },
});
const [count, first] = [Number(values.count), Number(values.first)];
const began = performance.now();
const sum: ScheduleCounts = { backups: 0, prunes: 0, removed: 0, restores: 0, steps: 0, killed: 0 };
const failed: number[] = [];
for (let seed = first; seed < first + count; seed++) {
  try {
    const found = await runSchedule(seed);
    for (const name of Object.keys(sum) as (keyof ScheduleCounts)[]) sum[name] += found[name];
  } catch (error) {
    failed.push(seed);
    console.error(`seed ${seed}:`, error);
  }
  const done = seed - first + 1;
  if (done % 100 === 0)
    console.log(`${done} schedules, ${sum.steps} calls, load ${loadavg()[0]?.toFixed(1)}`);
}
console.log(
  `${count} schedules from seed ${first} in ${((performance.now() - began) / 60_000).toFixed(1)} min: ${sum.steps} store calls, ` +
    `${sum.backups} backups and ${sum.prunes} prunes came to their end, ${sum.killed} processes were killed, ` +
    `${sum.removed} objects removed, ${sum.restores} restores; ${failed.length} failed${failed.length > 0 ? `: ${failed.join(", ")}` : ""}`,
);
if (failed.length > 0) process.exitCode = 1;
