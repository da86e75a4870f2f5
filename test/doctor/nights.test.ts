import assert from "node:assert/strict";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import type { DoctorReport } from "../../src/doctor/report.ts";
import type { StatusReport } from "../../src/status/report.ts";
import { drops } from "../support/in-process.ts";
import { openSite } from "../support/site.ts";

// What went wrong at night, asked of doctor and of status through the command line: both say it in the same words.

const site = await openSite();
after(() => site[Symbol.asyncDispose]());
const state = join(site.directory, "state");
const policy = join(site.directory, "policy.yaml");
const more = `rpo: 1s
notify: { state_directory: ${state}, channels: [{ name: desk, kind: command, argv: [/bin/true] }] }
`;
const GONE = "  - { name: gone, kind: files, paths: [/nonexistent] }\n";

interface Told {
  readonly status: StatusReport;
  readonly nights: readonly DoctorReport["findings"][number][];
}

/** What doctor finds bad is what status finds, word for word. */
async function asked(): Promise<Told> {
  const answers = await Promise.all([
    site.drops("status", "--json", "--no-notify"),
    site.drops("doctor", "--json", "--only", "nights"),
  ]);
  for (const { exit, stderr } of answers) assert.ok(exit === 0 || exit === 21, stderr);
  const [status, doctor] = answers.map(({ stdout }) => JSON.parse(stdout));
  const report = OUTPUTS.doctor.strict().parse(doctor);
  const nights = report.findings;
  assert.deepEqual([...new Set(nights.map(({ group }) => group))], ["nights"]);
  const ageless = (text = "") => text.replaceAll(/\d+ (s|min)\b/g, "N s");
  const bad = nights.filter(({ result }) => result !== "ok").map(({ what, fix }) => [ageless(what), fix]);
  const concerns = (status as StatusReport).concerns
    .filter(({ kind }) => kind !== "recovery-key") // looked at among the keys
    .map(({ what, hint }) => [ageless(what), hint]);
  assert.deepEqual(bad, concerns);
  assert.equal(answers[1]?.exit, report.well ? 0 : 21, answers[1]?.stderr);
  return { status: status as StatusReport, nights };
}

async function late(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1100)); // the rpo of one second is over
}

test("a night whose backup left nothing in the store: why, and what to do, from what the alerts remember", async () => {
  await site.policy({ more, sources: GONE });
  const umask = process.umask(0o077); // as in a unit
  const { exit } = await site.drops("backup");
  process.umask(umask);
  assert.equal(exit, 12);
  const { mode } = await stat(join(state, "site", "backup", "told.json"));
  assert.equal(mode & 0o777, 0o644, "status may run as another user");
  await late();
  const { status, nights } = await asked();
  assert.equal(status.failing?.code, "source/failed");
  const found = nights.find(({ what }) => what.startsWith("the newest restore point"));
  assert.match(found?.what ?? "", /drops backup has failed on this machine for \d+ (s|min): .*\/nonexistent/);
  assert.match(found?.fix ?? "", /correct the path in the policy/);
  assert.equal(found?.result, "fail");
});

test("a run that was killed: its unit's name, and where its log is", async () => {
  const env = { MONITOR_SERVICE_RESULT: "signal", MONITOR_EXIT_CODE: "killed", MONITOR_EXIT_STATUS: "KILL" };
  const told = await drops(["--policy", policy, "notify", "failed", "drops-backup@site.service"], { env });
  assert.equal(told.exit, 0, told.stderr);
  const { nights } = await asked();
  const found = nights.find(({ what }) => /ended without telling why: signal, signal KILL/.test(what));
  assert.equal(found?.fix, "journalctl -u drops-backup@site.service");
});

test("a backup that went well: nobody remembers that it failed", async () => {
  await site.policy({ more: more.replace("1s", "1h") });
  assert.equal((await site.drops("backup")).exit, 0);
  const { status, nights } = await asked();
  assert.equal(status.failing, undefined);
  assert.deepEqual(
    nights.map(({ result }) => result),
    ["warn", "warn"],
  );
});

test("a drill that found a pack with one flipped bit, and that verify then marks", async () => {
  // Of each: the newest snapshot need not be in the one that is listed first.
  for (const pack of (await site.objects()).filter((object) => object.includes("/packs/"))) {
    const bytes = await readFile(pack);
    const at = bytes.length >> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(pack, bytes);
  }
  const drilled = [
    "drill",
    "--publish",
    "--evidence",
    join(site.directory, "drills"),
    "--identity",
    site.identity,
  ];
  assert.equal((await site.drops(...drilled, "--signing-key", join(site.keys, "signing-key"))).exit, 20);
  const { nights } = await asked();
  const found = nights.find(({ what }) => what.startsWith("the last drill ended as damaged"));
  assert.match(found?.what ?? "", /words\/restore: .*pack [0-9a-f]{64}/);
  assert.match(found?.fix ?? "", /^drops verify --read-data --publish /);

  const fix = (found?.fix ?? "").split("  ")[0]?.split(" ").slice(1) ?? [];
  assert.equal((await site.drops(...fix, "--identity", site.identity)).exit, 20);
  const marked = (await asked()).nights.map(({ what }) => what);
  assert.ok(
    marked.some((what) => what.startsWith("objects are missing or damaged")),
    marked.join("\n"),
  );
});

test("objects that are gone", async () => {
  for (const mark of (await site.objects()).filter((object) => object.includes("/damaged/"))) await rm(mark);
  const before = (await asked()).nights.map(({ what }) => what);
  assert.ok(!before.some((what) => what.startsWith("objects are missing")), before.join("\n"));
  await rm((await site.objects()).find((object) => object.includes("/packs/")) ?? "");
  const { nights } = await asked();
  const found = nights.find(({ what }) => what.startsWith("objects are missing or damaged"));
  assert.deepEqual([found?.result, found?.fix], ["fail", "drops verify"]);
});
