import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import type { BackupReport } from "../../src/backup/report.ts";
import { openOpsDesk } from "../support/ops-desk.ts";
import { OPS } from "../support/ops-facts.ts";
import { type OpsMachine, startOpsMachine } from "../support/ops-machine.ts";
import {
  assertNobodySawHalf,
  assertRestored,
  factsOf,
  foundBy,
  inactive,
  leftBy,
  leftOvers,
  untilActive,
} from "../support/ops-state.ts";
import { startS3 } from "../support/s3.ts";

// A server is backed up while its services write, and is destroyed. Another one, freshly installed, whose services have
// started empty, is what there is. See docs/guided-restore.md.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

const s3 = stack.use(await startS3());
const [old, fresh] = (
  await Promise.all([
    startOpsMachine({ generation: "precious", busy: true }),
    startOpsMachine({ generation: "fresh" }),
  ])
).map((machine) => stack.use(machine)) as [OpsMachine, OpsMachine];
const desk = stack.use(await openOpsDesk(old.vps, s3));
const before = await factsOf(old);
const { snapshot, sources } = await desk.report<BackupReport>("backup");
assert.equal(snapshot.state, "complete", JSON.stringify(sources));
const afterwards = await factsOf(old);
await old.vps.powerCut();

const EXPORTS = "/var/lib/matrix-continuwuity/db/exports";
/** What lies beside the database of the fresh machine, in no source. */
const exportsThere = () => fresh.vps.exec(`ls -ld --time-style=+ ${EXPORTS}/ ${EXPORTS}/*; cat ${EXPORTS}/*`);
const exported = await exportsThere();

const host = desk.hostFlags(fresh.vps);
const day = new Intl.DateTimeFormat("sv", { timeZone: OPS.zone }).format(new Date(snapshot.started));
const restore = ["restore", "--date", day, ...desk.restoreFlags(fresh.vps), "--yes", "--fenced"];

test("what lies beside the database and in no source is named by the backup", () => {
  const notes = sources.flatMap((source) => source.notes ?? []);
  const about = notes.filter((note) => note.includes("in no source"));
  assert.equal(about.length, 1, notes.join("\n"));
  assert.match(about[0] ?? "", /exports/);
});

test("a drill of the two databases, with two owners and a tablespace, proves the snapshot", async () => {
  const identity = join(desk.directory, "keys", "recovery-identity.txt");
  const evidence = join(desk.directory, "drills");
  const { exit, stdout, stderr } = await desk.drops("drill", "--identity", identity, "--evidence", evidence);
  assert.equal(exit, 0, stderr + stdout);
});

test("one command brings a date back onto a machine whose services have started empty", async () => {
  const { exit, stdout, stderr } = await desk.drops(...restore);
  assert.equal(exit, 0, stderr + stdout);
  assert.match(stdout, /running again [\d.mins ]+ after the start, within the RTO of 2 h/);
  assert.match(
    stderr,
    /ok {2}programs .*: matrix-continuwuity\.service: \/\S+ as on the day of the snapshot;/,
  );
  assert.match(stderr, /ok {2}old machine at [\d.]+: /, "the old machine does not answer");
  await assertRestored(fresh, before, afterwards);
  assertNobodySawHalf(await fresh.notes());
  assert.equal(await exportsThere(), exported);
  const open = "[ ! -e /var/lib/drops/restore-in-progress ]";
  await fresh.vps.exec(open); // the gate
});

test("rollback brings back what the fresh machine had, bit for bit, and its units run again", async () => {
  const left = leftBy("fresh", await fresh.notes());
  assert.equal([...left.values()].filter((disk) => disk !== undefined).length, 3);
  const { exit, stdout, stderr } = await desk.drops("rollback", ...host, "--yes");
  assert.equal(exit, 0, stderr + stdout);
  const notes = await fresh.notes();
  assert.deepEqual(foundBy("fresh", notes), left);
  assertNobodySawHalf(notes);
  assert.deepEqual(await inactive(fresh), []);
  assert.equal((await fresh.homeserver()).generation, "fresh");
  assert.deepEqual(await leftOvers(fresh), []);
  assert.equal(await exportsThere(), exported);
});

test("a homeserver that answers and crashes again and again is no restore that is done", async () => {
  await fresh.vps.exec("touch /etc/stand-in-crashes");
  const { exit, stdout, stderr } = await desk.drops(...restore);
  assert.equal(exit, 12, stderr + stdout);
  assert.match(stderr, /matrix-continuwuity\.service does not stay up: it was ready, and /);
  assert.doesNotMatch(stdout + stderr, /running again/);
  const finish = await desk.drops("restore", "--finish", ...host, "--yes");
  assert.equal(finish.exit, 22, finish.stderr);
  await fresh.vps.exec("rm /etc/stand-in-crashes; systemctl stop matrix-continuwuity.service");
});

test("resumed and finished, nothing of the fresh machine is left in the way", async () => {
  const again = await desk.drops("restore", "--resume", ...desk.restoreFlags(fresh.vps), "--yes");
  assert.equal(again.exit, 0, again.stderr);
  const { exit, stdout, stderr } = await desk.drops("restore", "--finish", ...host, "--yes");
  assert.equal(exit, 0, stderr + stdout);
  await assertRestored(fresh, before, afterwards);
  assertNobodySawHalf(await fresh.notes());
  assert.deepEqual(await leftOvers(fresh), []);
  assert.equal(await exportsThere(), exported);
  await fresh.vps.reboot();
  await untilActive(fresh);
  await assertRestored(fresh, before, afterwards);
  assertNobodySawHalf(await fresh.notes());
});
