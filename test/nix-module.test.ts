import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import { JOBS, unitFiles } from "../scripts/lib/unit-files.ts";
import { parsePolicy } from "../src/policy/load.ts";

const run = promisify(execFile);
const root = new URL("../", import.meta.url).pathname;

interface Unit {
  readonly serviceConfig?: Readonly<Record<string, string | readonly string[]>>;
  readonly unitConfig?: Readonly<Record<string, unknown>>;
  readonly timerConfig?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}
interface Configured {
  readonly assertions: readonly { readonly assertion: boolean }[];
  readonly systemd: {
    readonly services: Readonly<Record<string, Unit>>;
    readonly timers: Readonly<Record<string, Unit>>;
    readonly sockets: Readonly<Record<string, Unit>>;
    readonly targets: Readonly<Record<string, Unit>>;
  };
}

/** What nix/module.nix makes of these policies, with the stub in the place of nixpkgs. */
async function configured(policies: string, more = ""): Promise<Configured> {
  const expression = `import ${root}test/support/nix-stub.nix { module = ${root}nix/module.nix; policies = ${policies}; ${more} }`;
  return (await evaluated(expression)) as Configured;
}

async function evaluated(expression: string): Promise<unknown> {
  const argv = ["--store", "dummy://", "--eval", "--strict", "--json", "--expr", expression];
  return JSON.parse((await run("nix-instantiate", argv)).stdout);
}

const SETTINGS = `{
  name = "small"; zone = "Europe/Berlin"; host = "local"; store.directory = "/srv/backups";
  keys = {
    recovery_recipients_file = "/k/r"; metadata_identity_file = "/k/m";
    signing_key_file = "/run/drops/credentials/signing-key";
  };
  sources = [ { name = "files"; kind = "files"; paths = [ "/var/lib/thing" ]; } ];
  restore.units = [ { unit = "thing.service"; } ];
}`;
const CREDENTIALS =
  'credentials.signing-key = "/k/s"; jobs.prune = { enable = true; credentials.s3 = "/k/p"; }; jobs.keeper = { enable = true; credentials.s3 = "/k/l"; }; jobs.drill = { enable = true; credentials = { drill-identity = "/k/i"; drill-key = "/k/d"; }; };';

test("every file is Nix", async () => {
  const files = readdirSync(`${root}nix`).map((name) => `${root}nix/${name}`);
  assert.ok(files.length >= 6);
  for (const file of [...files, `${root}flake.nix`])
    await run("nix-instantiate", ["--store", "dummy://", "--parse", file]);
});

for (const host of ["local", "ssh"]) {
  test(`NixOS and Debian get the same units, host ${host}`, async () => {
    const there = '{ ssh = { address = "server.example.org"; user = "root"; key_file = "/k/ssh"; }; }';
    const settings = host === "local" ? SETTINGS : SETTINGS.replace('"local"', there);
    const { systemd } = await configured(
      `{ small = { settings = ${settings}; user = "drops"; ${CREDENTIALS} }; }`,
    );
    const text = JSON.stringify(await evaluated(settings));
    const debian = unitFiles({
      policy: parsePolicy(text, "test").policy,
      policyFile: "/nix/store/drops-small-checked.json",
      drops: ["/nix/store/drops/bin/drops"],
      jobs: Object.keys(JOBS.jobs),
      user: "drops",
      credentials: [
        { name: "signing-key", file: "/k/s" },
        { job: "prune", name: "s3", file: "/k/p" },
        { job: "keeper", name: "s3", file: "/k/l" },
        { job: "drill", name: "drill-identity", file: "/k/i" },
        { job: "drill", name: "drill-key", file: "/k/d" },
      ],
    });
    for (const job of Object.keys(JOBS.jobs)) {
      const plain = (line: string) => line.replaceAll('"', "").replaceAll(`${job}@small`, `${job}-small`);
      for (const unit of [job, `alert-${job}`]) {
        const nix = systemd.services[`drops-${unit}-small`]?.serviceConfig ?? {};
        const nixLines = Object.entries(nix).flatMap(([key, value]) =>
          [value].flat().map((each) => `${key}=${each}`),
        );
        const lines = (debian.get(`drops-${unit}@small.service`)?.split("[Service]\n")[1] ?? "")
          .trim()
          .split("\n");
        assert.ok(nixLines.length > 5);
        assert.deepEqual(nixLines.map(plain).sort(), lines.map(plain).sort());
      }
      const file = debian.get(`drops-${job}@small.service`) ?? "";
      const told = systemd.services[`drops-${job}-small`]?.["onFailure"];
      assert.deepEqual(told, ["drops-failed@%n.service", `drops-alert-${job}-small.service`]);
      const condition = systemd.services[`drops-${job}-small`]?.unitConfig?.["ConditionPathExists"];
      assert.equal(condition !== undefined, file.includes("ConditionPathExists="), job);
      assert.equal(systemd.timers[`drops-${job}-small`]?.timerConfig?.["Persistent"], true);
    }
  });
}

test("a switch neither starts nor breaks off a backup; PostgreSQL's own programs are on its path", async () => {
  const { systemd } = await configured(`{ small.settings = ${SETTINGS}; }`);
  const backup = systemd.services["drops-backup-small"];
  assert.equal(backup?.["restartIfChanged"], false);
  assert.equal(backup?.["wantedBy"], undefined);
  const withIt = backup?.["path"] as string[];
  assert.ok(withIt.includes("/nix/store/postgresql-configured"));
  const without = await configured(`{ small.settings = ${SETTINGS}; }`, "postgresql = false;");
  const path = without.systemd.services["drops-backup-small"]?.["path"] as string[];
  assert.ok(!path.includes("/nix/store/postgresql-configured"));
});

test("the units of a restore get the gate, and keep conditions of their own", async () => {
  const { systemd } = await configured(`{ small.settings = ${SETTINGS}; }`);
  const condition = systemd.services["thing"]?.unitConfig?.["ConditionPathExists"];
  assert.deepEqual(condition, ["!/var/lib/drops/restore-in-progress"]);
  const moved = SETTINGS.replace("restore.units", 'restore.gate = "/var/lib/gate"; restore.units');
  const other = await configured(`{ small.settings = ${moved}; }`);
  assert.deepEqual(other.systemd.services["thing"]?.unitConfig?.["ConditionPathExists"], ["!/var/lib/gate"]);
});

test("no prune without being asked for, times as one likes, and a command when something failed", async () => {
  const policies = `{ small = { settings = ${SETTINGS}; jobs.backup.calendar = "hourly"; jobs.status.enable = false; }; }`;
  const { systemd } = await configured(policies, 'failedCommand = "/bin/tell %i";');
  assert.deepEqual(Object.keys(systemd.timers), ["drops-backup-small", "drops-verify-small"]);
  assert.equal(systemd.timers["drops-backup-small"]?.timerConfig?.["OnCalendar"], "hourly");
  const failed = systemd.services["drops-failed@"]?.serviceConfig;
  assert.equal(failed?.["ExecStart"]?.[1], "/bin/tell %i");
  assert.deepEqual([failed?.["MemoryMax"], failed?.["TasksMax"]], ["512M", "64"]);
});

test("a policy under another name, or given twice or not at all, is refused", async () => {
  const wrong = [
    "{ }",
    `{ settings = ${SETTINGS}; policy = "/a.yaml"; }`,
    `{ settings = ${SETTINGS} // { name = "other"; }; }`,
  ];
  for (const policy of wrong)
    assert.deepEqual(await assertionsOf(policy), [false, true, true, true, true], policy);
  await assert.rejects(
    configured(`{ small = { settings = ${SETTINGS}; jobs.tidy.enable = true; }; }`),
    /no such option: tidy/,
  );
});

test("a drill is off until it is asked for, never runs as root, and has its own identity and key", async () => {
  const drill = (more: string) => `{ settings = ${SETTINGS}; ${more} }`;
  const keys = 'credentials = { drill-identity = "/k/i"; drill-key = "/k/d"; };';
  const table: readonly [policy: string, held: readonly boolean[]][] = [
    [drill(""), [true, true, true, true, true]],
    [drill("jobs.drill.enable = true;"), [true, true, false, false, true]],
    [drill('user = "root"; jobs.drill.enable = true;'), [true, true, false, false, true]],
    [drill(`jobs.drill = { enable = true; ${keys} };`), [true, true, false, true, true]],
    [drill(`user = "drops"; jobs.drill = { enable = true; ${keys} };`), [true, true, true, true, true]],
  ];
  for (const [policy, held] of table) assert.deepEqual(await assertionsOf(policy), held, policy);
  const { systemd } = await configured(`{ small = ${drill("")}; }`);
  assert.deepEqual(
    Object.keys(systemd.timers).filter((name) => /drill|prune|keeper/.test(name)),
    [],
  );
});

test("a keeper is off until it is asked for, and needs something that is locked and a credential of its own", async () => {
  const locked = `${SETTINGS} // { object_lock.margin = "14d"; }`;
  const on = "jobs.keeper.enable = true;";
  const own = 'jobs.keeper = { enable = true; credentials.s3 = "/k/l"; };';
  const table: readonly [policy: string, held: boolean][] = [
    [`{ settings = ${locked}; ${own} }`, true],
    [`{ settings = ${locked}; ${on} }`, false],
    [`{ settings = ${SETTINGS}; ${own} }`, false],
    [`{ policy = "/a.yaml"; ${own} }`, true],
  ];
  for (const [policy, held] of table)
    assert.deepEqual(await assertionsOf(policy), [true, held, true, true, true], policy);
});

async function assertionsOf(policy: string): Promise<readonly boolean[]> {
  const expression = `(import ${root}test/support/nix-stub.nix { module = ${root}nix/module.nix; policies.small = ${policy}; }).assertions`;
  const assertions = (await evaluated(expression)) as Configured["assertions"];
  return assertions.map(({ assertion }) => assertion);
}

test("a unit without its suffix is refused: it would be no gate; sockets, timers and targets get theirs", async () => {
  const units = (names: string) => `{ settings = ${SETTINGS}; units = [ ${names} ]; }`;
  assert.deepEqual(await assertionsOf(units('"nginx"')), [true, true, true, true, false]);
  assert.deepEqual(await assertionsOf(units('"nginx.service"')), [true, true, true, true, true]);
  const { systemd } = await configured(
    `{ small = ${units('"a.service" "b.socket" "c.timer" "d.target"')}; }`,
  );
  const gates = [systemd.services["a"], systemd.sockets["b"], systemd.timers["c"], systemd.targets["d"]];
  for (const gated of gates)
    assert.deepEqual(gated?.unitConfig?.["ConditionPathExists"], ["!/var/lib/drops/restore-in-progress"]);
});
