/**
 * A guided restore is killed at every step's beginning and at random moments: drops itself (SIGKILL), its connection, the
 * network for good, the machine's power, a reboot. After every kill `--resume` must finish it correctly, or `rollback` must bring
 * the earlier state back bit for bit; every round ends with a rollback. Units note what they see: none may
 * start behind the gate, on half a swap, or lose its data under way.
 *
 *   sh scripts/node test/campaigns/restore-kills.ts --count 50 --boundaries once --finishes 5 --seed 7
 *
 * `--boundaries none|once|all`: none, each step by one way of killing, or each step by each way.
 * `--finishes`: so many restores at the end are finished, and the finishing is broken off and done again.
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import type { BackupReport } from "../../src/backup/report.ts";
import {
  KILLS,
  type Kill,
  type Moment,
  restoreUntilKilled,
  usualRestore,
} from "../support/killed-restore.ts";
import { type OpsDesk, openOpsDesk } from "../support/ops-desk.ts";
import { type OpsMachine, startOpsMachine } from "../support/ops-machine.ts";
import {
  assertNobodySawHalf,
  assertRestored,
  factsOf,
  foundBy,
  leftBy,
  leftOvers,
  untilActive,
} from "../support/ops-state.ts";
import { startS3 } from "../support/s3.ts";
import { seededRandom } from "../support/seeded-random.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "50" },
    boundaries: { type: "string", default: "once" },
    finishes: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
  },
});
const random = seededRandom(Number(values.seed));

await using s3 = await startS3();
const old = await startOpsMachine({ generation: "precious", busy: true });
await using desk = await openOpsDesk(old.vps, s3);
const before = await factsOf(old);
await desk.report<BackupReport>("backup");
const afterwards = await factsOf(old);
await old[Symbol.asyncDispose]();
await using fresh = await startOpsMachine({ generation: "fresh" });

const usual = await usualRestore(desk, fresh);
await backToFresh(desk, fresh);
console.log(
  `a restore takes ${inSeconds(usual.ms)} when nobody disturbs it: ${usual.steps.join(", ")}; seed ${values.seed}`,
);

const totals = { rounds: 0, kills: 0, missed: 0, resumed: 0, rolledBack: 0 };
for (const moment of boundaries(usual.steps)) await show(moment);
for (let killed = 0; killed < Number(values.count); ) {
  // A restore that was faster than its kill does not count.
  if (await show({ afterMs: random() * usual.ms })) killed++;
}
for (let at = 0; at < Number(values.finishes); at++) console.log(await finishing());
console.log(
  `${totals.rounds} restores, killed ${totals.kills} times (${totals.missed} had ended before): ${totals.resumed} resumed and compared, ` +
    `${totals.rolledBack} rolled back bit for bit, no unit saw half a swap; 0 failures`,
);

/** One round in one line; whether the restore was killed. */
async function show(moment: Moment): Promise<boolean> {
  const began = performance.now();
  const words: string[] = [];
  let isKilled = false;
  try {
    isKilled = await round(moment, moment.kill ?? pick(KILLS), words);
  } catch (error) {
    const notes = (await fresh.notes()).slice(-12).map((note) => JSON.stringify(note));
    console.error(`${totals.rounds} FAILED after: ${words.join("; ")}\n${notes.join("\n")}`);
    throw error;
  }
  console.log(`${totals.rounds}: ${words.join("; ")} (${inSeconds(performance.now() - began)})`);
  return isKilled;
}

/** One restore, broken off once or more, and back; adds to `words` what was done. Whether the first kill met it. */
async function round(moment: Moment, kill: Kill, words: string[]): Promise<boolean> {
  totals.rounds++;
  const missed = totals.missed;
  words.push(await broken(["restore", "--date", "latest", "--fenced"], moment, kill));
  const isKilled = totals.missed === missed;
  // Every fifth is given up; of the others every third is broken off again on its way.
  if (random() < 0.2) {
    words.push("given up");
  } else {
    while (random() < 0.3) {
      words.push(
        await broken(["restore", "--resume", "--fenced"], { afterMs: random() * usual.ms }, pick(KILLS)),
      );
    }
    words.push(await resume());
    await assertRestored(fresh, before, afterwards);
    totals.resumed++;
  }
  if (random() < 0.3)
    words.push(await broken(["rollback"], { afterMs: random() * usual.ms * 0.5 }, pick(KILLS)));
  words.push(await backToFresh(desk, fresh));
  totals.rolledBack++;
  return isKilled;
}

/** What was done, and where it was when it was killed. */
async function broken(args: readonly string[], moment: Moment, kill: Kill): Promise<string> {
  const { step, ms, exit, said } = await restoreUntilKilled(desk, fresh, args, moment, kill);
  // 10: there was nothing to go on with, or to take back.
  assert.ok(exit === undefined || exit === 0 || exit === 10, `${args.join(" ")} ended with ${exit}: ${said}`);
  const what = args.find((word) => word === "--resume" || word === "--finish") ?? args[0];
  if (exit === undefined) totals.kills++;
  else {
    totals.missed++;
    if (what === "restore") usual.ms = Math.min(usual.ms, ms);
  }
  if (exit !== undefined) return `${what} ended with ${exit} in ${inSeconds(ms)}, before the kill`;
  return `${what} met ${kill} after ${inSeconds(ms)}, ${step === "" ? "before the first step" : `at ${step}`}`;
}

/** What is finished cannot be rolled back, and nothing of before is left: the last thing that is done to the machine. */
async function finishing(): Promise<string> {
  totals.rounds++;
  const restored = await desk.drops(
    "restore",
    "--date",
    "latest",
    "--yes",
    "--fenced",
    ...desk.restoreFlags(fresh.vps),
  );
  assert.equal(restored.exit, 0, `a restore: ${restored.stderr}${restored.stdout}`);
  const word = await broken(["restore", "--finish"], { afterMs: random() * 3000 }, pick(KILLS));
  const { exit, stdout, stderr } = await desk.drops(
    "restore",
    "--finish",
    "--yes",
    ...desk.hostFlags(fresh.vps),
  );
  assert.ok(exit === 0 || exit === 10, `--finish: ${stderr}${stdout}`);
  await untilActive(fresh);
  await assertRestored(fresh, before, afterwards);
  assertNobodySawHalf(await fresh.notes());
  assert.deepEqual(await leftOvers(fresh), []);
  return `${word}; finished`;
}

/** To its end; a new one when the old one had not been begun, or is done. */
async function resume(): Promise<string> {
  const began = performance.now();
  const args = ["--yes", "--fenced", ...desk.restoreFlags(fresh.vps)];
  const isElsewhere = random() < 0.3;
  const drops = isElsewhere ? desk.dropsElsewhere : desk.drops;
  const { exit, stdout, stderr } = await drops("restore", "--resume", ...args);
  const from = isElsewhere ? " from another machine" : "";
  if (exit === 0) return `resumed${from} in ${inSeconds(performance.now() - began)}`;
  assert.equal(exit, 10, `--resume: ${stderr}${stdout}`);
  const anew = await desk.drops("restore", "--date", "latest", ...args);
  assert.equal(anew.exit, 0, `a new restore: ${anew.stderr}${anew.stdout}`);
  return `there was no run yet: restored in ${inSeconds(performance.now() - began)}`;
}

/** Roll back what there is, and hold what the units found against what they had left. */
async function backToFresh(desk: OpsDesk, machine: OpsMachine): Promise<string> {
  const began = performance.now();
  const { exit, stdout, stderr } = await desk.drops("rollback", "--yes", ...desk.hostFlags(machine.vps));
  assert.ok(exit === 0 || exit === 10, `rollback: ${stderr}${stdout}`);
  await untilActive(machine);
  const notes = await machine.notes();
  assertNobodySawHalf(notes);
  assert.equal((await machine.homeserver()).generation, "fresh");
  assert.deepEqual(await leftOvers(machine), []);
  const [left, found] = [leftBy("fresh", notes), foundBy("fresh", notes)];
  for (const [unit, disk] of left) {
    if (disk !== undefined) assert.equal(found.get(unit), disk, `${unit} finds what it had left`);
  }
  return exit === 0 ? `rolled back in ${inSeconds(performance.now() - began)}` : "nothing to roll back";
}

function boundaries(steps: readonly string[]): readonly Moment[] {
  if (values.boundaries === "none") return [];
  const all = steps.flatMap((step) => KILLS.map((kill) => ({ atStep: step, kill })));
  if (values.boundaries === "all") return all;
  return steps.map((step, at) => ({ atStep: step, kill: KILLS[at % KILLS.length] ?? "SIGKILL" }));
}

function pick<Item>(items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
