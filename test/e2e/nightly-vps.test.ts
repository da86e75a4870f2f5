import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { DoctorReport } from "../../src/doctor/report.ts";
import type { StatusReport } from "../../src/status/report.ts";
import { DAY, type Ended, HOUR, KEYS, POLICY, startNightlyMachine } from "../support/nightly-machine.ts";
import { type Trouble, troubles } from "../support/nightly-troubles.ts";

// A server backs itself up unattended, as docs/nightly.md installs it. Nights pass; then everything that goes wrong in the
// field goes wrong in turn, and what tells of it is asked: the unit's log and exit code, the alert, drops doctor, drops status.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

const nightly = stack.use(await startNightlyMachine());
const { vps, machine } = nightly;
const unit = (job: string, policy = POLICY) => `drops-${job}@${policy}.service`;
/** From the backup to the look at the morning, and on to the next night. */
const MORNING = 5.5 * HOUR;

const given = (job: string, name: string, file = name) => ["--credential", `${job}${name}=${KEYS}/${file}`];
await nightly.install(
  ...["--policy", `/etc/drops/${POLICY}.yaml`, "--user", "drill"],
  ...["backup", "verify", "prune", "status", "drill"].flatMap((job) => ["--job", job]),
  ...["--calendar", "backup=*:*:0/5", "--delay", "backup=0"],
  ...["--calendar", "status=*:*:0/5", "--delay", "status=0"],
  ...[...given("", "metadata-identity.txt"), ...given("", "signing-key"), ...given("", "s3", "s3-writer")],
  ...[...given("prune:", "s3", "s3-janitor"), ...given("drill:", "s3", "s3-restorer")],
  ...[
    ...given("drill:", "drill-identity"),
    ...given("drill:", "drill-key"),
    ...given("verify:", "s3", "s3-restorer"),
    ...given("verify:", "drill-key"),
  ],
);

describe("nights pass", () => {
  const messages: number[] = [];
  for (const night of [1, 2, 3]) {
    test(`night ${night}: the timer fires, and in the morning nothing is wrong`, async () => {
      await machine.psql(`INSERT INTO kv_store VALUES ('', 'night-${night}', now())`);
      await vps.exec(`echo ${night} > /var/lib/forgejo/data/night-${night}`);
      succeeded(await nightly.byTimer("backup"));
      messages.push(Number(await machine.psql("SELECT count(*) FROM message")));
      await nightly.passes(MORNING);
      succeeded(await nightly.byTimer("status"));
      const status = await statusNow();
      assert.equal(status.state, "amber", "nobody has tried a restore yet, and no alert rings for that");
      assert.equal(status.snapshots.filter(({ state }) => state === "complete").length, night);
      assert.deepEqual(nightly.alerts.take(), []);
      if (night < 3) await nightly.passes(DAY - MORNING);
    });
  }

  test("every night kept what the server held then, and has a date of its own", async () => {
    const listed = await nightly.drops("snapshots", "--json");
    const { snapshots } = JSON.parse(listed.stdout) as { snapshots: { started: string; id: string }[] };
    assert.equal(new Set(snapshots.map(({ started }) => started.slice(0, 10))).size, 3);
    for (const [index, { id }] of snapshots
      .toSorted((a, b) => a.started.localeCompare(b.started))
      .entries()) {
      const { stdout } = await nightly.drops("ls", id, "forgejo");
      const nights = [...stdout.matchAll(/night-(\d)/g)].map(([, number]) => Number(number));
      assert.equal(Math.max(...nights), index + 1, stdout);
    }
    assert.ok((messages[2] ?? 0) > (messages[0] ?? 0), "the bridge went on writing");
    assert.equal((await machine.homeserver()).generation, "precious");
  });

  for (const job of ["verify", "prune", "drill"])
    test(`the week's ${job} succeeds with credentials of its own`, async () => {
      succeeded(await nightly.start(unit(job)));
    });

  test("the recovery identity from the safe is shown once", async () => {
    const { stdout, stderr } = await nightly.drops(
      "doctor",
      "--only",
      "keys",
      "--identity",
      `${KEYS}/drill-identity`,
    );
    assert.match(stdout, /opens the manifest of/, stderr);
  });

  test("what a drill restored in plain is gone, its evidence stays, and status has read it", async () => {
    assert.equal(await vps.exec("find / -xdev -name 'drops-drill-*' | wc -l"), "0");
    assert.match(await vps.exec(`ls /var/lib/drops-drills/${POLICY}`), /index\.html/);
    const { drills, state, concerns } = await statusNow();
    assert.deepEqual([drills.count, drills.last?.verdict, state, concerns], [1, "proven", "green", []]);
  });
});

describe("what goes wrong is told, with its cause and what to do", () => {
  for (const trouble of troubles(nightly)) {
    test(trouble.name, async () => {
      const { job = "backup", policy = POLICY, says, fix } = trouble;
      const of = unit(job, policy);
      await nightly.passes(trouble.after ?? DAY - MORNING);
      nightly.alerts.take();
      try {
        await trouble.breaks();
        const run = await (trouble.run ?? (() => nightly.start(of)))();
        assert.deepEqual([run.result, run.status], trouble.ends, run.log);
        assert.match(run.log, says);
        assert.match(run.log, fix);
        await nightly.alerts.arrives(new RegExp(`^unit ${of.replaceAll(".", "\\.")} failed$`));
        await alerted(trouble);
        await diagnosed(trouble.doctor, policy); // the alert is out: what it remembers is there
        await nightly.passes(MORNING);
        await trouble.morning?.();
        await toldByStatus(trouble.status, policy);
      } finally {
        await trouble.heals();
      }
    });
  }

  test("with everything put right again the next night is green", async () => {
    await nightly.passes(DAY - MORNING);
    nightly.alerts.take();
    succeeded(await nightly.byTimer("backup"));
    succeeded(await nightly.start(unit("drill")));
    succeeded(await nightly.start(unit("status")));
    await nightly.alerts.arrives(/"event":"recovered".*"verb":"status"/);
    assert.equal((await statusNow()).state, "green");
    assert.equal(await vps.exec("find / -xdev -name '.drops-*' -not -path '/proc/*' | wc -l"), "0");
  });
});

async function diagnosed(wanted: Trouble["doctor"], policy: string): Promise<void> {
  const by = policy === POLICY ? [] : ["--policy", `/etc/drops/${policy}.yaml`];
  const { exit, stdout, stderr } = await nightly.drops(
    ...by,
    ...["doctor", "--json", ...wanted.groups.flatMap((group) => ["--only", group])],
  );
  assert.equal(exit, 21, stdout + stderr);
  const { findings } = JSON.parse(stdout) as DoctorReport;
  const bad = findings.filter(({ result }) => result === "fail" || result === "unable");
  const found = bad.find(({ what }) => wanted.says.test(what));
  assert.ok(found, JSON.stringify(bad, undefined, 1));
  assert.match(found.fix ?? "", wanted.fix);
}

/** The policy's own alert: the cause, and what to do. */
async function alerted({
  job = "backup",
  policy = POLICY,
  ends,
  says,
  alert = says,
}: Trouble): Promise<void> {
  const body = JSON.parse(await nightly.alerts.arrives(new RegExp(`^{.*"verb":"${job}"`))) as Alert;
  assert.equal(body.event, ends[0] === "exit-code" && ends[1] === 3 ? "partial" : "failure");
  assert.deepEqual([body.format, body.policy], ["drops-alert-1", policy]);
  assert.match(`${body.failure.message}\n${body.log}`, alert, JSON.stringify(body));
  assert.match(body.failure.hint ?? "", /\S/);
}

interface Alert {
  readonly format: string;
  readonly event: string;
  readonly policy: string;
  readonly failure: { readonly message: string; readonly hint?: string };
  readonly log: string;
}

async function toldByStatus(wanted: Trouble["status"], policy: string): Promise<void> {
  const run = await nightly.start(unit("status", policy));
  assert.deepEqual([run.result, run.status], ["exit-code", wanted.exit], run.log);
  assert.match(run.log, wanted.says);
  assert.match(run.log, wanted.fix);
  await nightly.alerts.arrives(new RegExp(`^unit ${unit("status", policy).replaceAll(".", "\\.")} failed$`));
}

async function statusNow(): Promise<StatusReport> {
  const { stdout, stderr } = await nightly.drops("status", "--no-notify", "--json");
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout) as StatusReport;
}

function succeeded(run: Ended): void {
  assert.deepEqual([run.result, run.status], ["success", 0], run.log);
}
