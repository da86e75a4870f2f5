import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type PreflightFacts, preflightHost } from "../../src/guided/preflight/preflight.ts";
import { checkPrograms } from "../../src/guided/preflight/programs.ts";
import { checkSpace } from "../../src/guided/preflight/space.ts";
import { checkVersion } from "../../src/guided/preflight/version.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { failingHost } from "../support/failing-host.ts";
import { startSshd } from "../support/sshd.ts";
import { startVps, type Vps } from "../support/vps.ts";
import { openVps } from "../support/vps-host.ts";

const signal = new AbortController().signal;
const now = () => new Date();
const how = { signal, now };
const MIB = 2 ** 20;

const none = { was: undefined, is: undefined };
const versions: readonly {
  name: string;
  facts: Partial<Parameters<typeof checkVersion>[0]>;
  ok: boolean;
  found: RegExp;
}[] = [
  {
    name: "the same RocksDB",
    facts: { rocksdb: { was: "9.11.1", is: "9.11.1" } },
    ok: true,
    found: /^RocksDB 9.11.1 on the host/,
  },
  {
    name: "a newer one, in numbers",
    facts: { rocksdb: { was: "9.11.1", is: "11.1.1" } },
    ok: true,
    found: /11.1.1 on the host, 9.11.1/,
  },
  {
    name: "an older one, in numbers",
    facts: { rocksdb: { was: "11.1.1", is: "9.11.1" } },
    ok: false,
    found: /9.11.1 on the host, 11.1.1/,
  },
  {
    name: "an older one, shorter",
    facts: { rocksdb: { was: "9.11.1", is: "9.11" } },
    ok: false,
    found: /9.11 on/,
  },
  {
    name: "an older NixOS",
    facts: { nixosVersion: { was: "25.05.20250430.abc", is: "25.05.20250429.fff" } },
    ok: false,
    found: /NixOS 25.05.20250429/,
  },
  {
    name: "a newer NixOS",
    facts: { nixosVersion: { was: "24.11pre-git", is: "25.05.20250101.aaa" } },
    ok: true,
    found: /NixOS/,
  },
  {
    name: "the same system, whatever else",
    facts: { nixosSystem: { was: "/nix/store/x", is: "/nix/store/x" }, rocksdb: { was: "11", is: "9" } },
    ok: true,
    found: /same NixOS system/,
  },
  {
    name: "a newer NixOS with an older RocksDB",
    facts: { nixosVersion: { was: "24.11", is: "25.05" }, rocksdb: { was: "11.1.1", is: "9.0.0" } },
    ok: false,
    found: /RocksDB.*NixOS/,
  },
  {
    name: "nothing to compare",
    facts: { rocksdb: { was: "9.11.1", is: undefined } },
    ok: true,
    found: /^NOT COMPARED: .* RocksDB 9.11.1/,
  },
  {
    name: "nothing known at all",
    facts: { rocksdb: { was: "x", is: "$(y)" } },
    ok: true,
    found: /^NOT COMPARED/,
  },
];
for (const { name, facts, ok, found } of versions)
  test(`homeserver version: ${name}`, () => {
    const check = checkVersion({
      source: "db",
      rocksdb: none,
      nixosVersion: none,
      nixosSystem: none,
      ...facts,
    });
    assert.equal(check.ok, ok);
    assert.match(check.found, found);
    assert.equal(check.hint !== undefined, !ok);
  });

const store = (name: string) => `/nix/store/${"a1b2".repeat(8)}-${name}/bin/run`;
const programs: readonly { name: string; was?: string; is?: string; ok?: boolean; found?: RegExp }[] = [
  { name: "an old snapshot that says nothing of it", is: store("hs-1.0") },
  { name: "the same path", was: store("hs-0.5.0"), is: store("hs-0.5.0"), ok: true, found: /as on the day/ },
  { name: "a newer one", was: store("hs-0.5.9"), is: store("hs-0.5.10-rc1"), ok: true, found: /0\.5\.9/ },
  { name: "an older one", was: store("hs-0.5.10"), is: store("hs-0.5.9"), ok: false, found: /0\.5\.10/ },
  { name: "an older one of a longer name", was: store("a-b2-c-2"), is: store("a-b2-c-1.9"), ok: false },
  { name: "another program", was: store("hs-2.0"), is: store("other-1.0"), ok: true },
  { name: "paths without versions", was: "/usr/bin/hs", is: "/usr/sbin/hs", ok: true },
  { name: "nothing known of the host", was: store("hs-2.0"), ok: true, found: /not known/ },
];
for (const { name, was, is, ok, found = /./ } of programs)
  test(`programs: ${name}`, () => {
    const [check, ...others] = checkPrograms([{ unit: "hs.service", was, is }]);
    assert.equal(others.length, 0);
    assert.equal(check?.ok, ok);
    if (check !== undefined) assert.match(check.found, found);
    assert.equal(check?.hint !== undefined, ok === false);
  });

test("space is counted once for each file system", () => {
  const at = (path: string, bytes: number) => ({ path, bytes, entries: 10 });
  const told = (path: string) =>
    path.startsWith("/a") ? `1 ${1000} 1048576 0 /a` : `2 ${1000} 1048576 500 /b`;
  const checks = checkSpace([at("/a/1", 400 * MIB), at("/b/1", 100 * MIB), at("/a/2", 400 * MIB)], told);
  assert.deepEqual(
    checks.map(({ name, ok }) => [name, ok]),
    [
      ["space for two copies at /a", false],
      ["space for two copies at /b", true],
      ["inodes at /b", false],
    ],
  );
  assert.match(checks[0]?.found ?? "", /^1.0 GiB free, 1.0 GiB needed for \/a\/1, \/a\/2/);
  assert.deepEqual(
    checkSpace([at("/x", 1)], () => "").map(({ ok, found }) => [ok, found]),
    [[false, "could not be looked at"]],
  );
});

const facts = (more: Partial<PreflightFacts> = {}): PreflightFacts => ({
  gate: "/var/lib/drops/restore-in-progress",
  units: ["homeserver.service", "bridge.service"],
  snapshot: { ended: new Date(Date.now() - 3_600_000).toISOString(), host: {} },
  users: ["root", "postgres"],
  groups: ["root", "postgres"],
  targets: [{ path: "/var/lib/homeserver/db", bytes: MIB, entries: 10 }],
  databases: [{ source: "homeserver-db", path: "/var/lib/homeserver/db", rocksdbVersion: "9.11.1" }],
  ...more,
});

describe("a server before a restore", { timeout: 1_800_000 }, () => {
  let vps: Vps;
  let host: Host;
  const look = async (more: Partial<PreflightFacts> = {}) =>
    new Map((await preflightHost(host, facts(more), how)).map((check) => [check.name, check]));
  before(async () => {
    vps = await startVps();
    host = await openVps(vps);
    await vps.exec(`cd /etc/systemd/system
      printf '[Service]\\nDynamicUser=yes\\nUser=conduit\\nExecStart=sleep 1000\\n' >homeserver.service
      printf '[Service]\\nDynamicUser=yes\\nExecStart=sleep 1000\\n' >bridge.service
      systemctl daemon-reload`);
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
    await vps[Symbol.asyncDispose]();
  });
  /** What a look leaves behind would be here. */
  const traces = () =>
    vps.exec("find /etc/systemd /run/systemd/system /var/lib -newer /etc/hostname | sort; ls -A /tmp");

  test("one that has everything: every check is ok, and nothing is changed", async () => {
    const before = await traces();
    const checks = await preflightHost(host, facts(), how);
    assert.deepEqual(
      checks.filter(({ ok }) => !ok),
      [],
    );
    assert.deepEqual(
      checks.map(({ name }) => name),
      [
        "root",
        "clock",
        "snapshot's time",
        "tools",
        "units",
        "gate",
        "users that own files",
        "groups that own files",
        "space for two copies at /var/lib",
        "homeserver of homeserver-db is not older than its database",
      ],
    );
    assert.match(checks.at(-1)?.found ?? "", /^NOT COMPARED/);
    assert.equal(await traces(), before);
  });

  test("units that are not there, and templates", async () => {
    const missing = (await look({ units: ["homeserver.service", "nowhere.service"] })).get("units");
    assert.deepEqual([missing?.ok, missing?.found], [false, "nowhere.service is not-found"]);
    const template = (await look({ units: ["user@.service"] })).get("units");
    assert.match(template?.found ?? "", /is a template/);
  });

  test("users: missing ones are told, those that systemd makes are not missed", async () => {
    const checks = await look({
      users: ["root", "conduit", "bridge", "stranger", "$(reboot)"],
      groups: ["nobodies"],
    });
    const users = checks.get("users that own files");
    assert.deepEqual([users?.ok, users?.found], [false, "not on the host: stranger, $(reboot)"]);
    assert.equal(checks.get("groups that own files")?.ok, false);
    const made = (await look({ users: ["root", "conduit"] })).get("users that own files");
    assert.equal(made?.ok, true);
    assert.match(
      made?.found ?? "",
      /^1 of 2 are there; conduit is made by systemd when homeserver\.service starts/,
    );
  });

  test("a tool that is missing is named with its package", async () => {
    await vps.exec("mv /usr/bin/setpriv /usr/bin/setpriv.away");
    const tools = (await look()).get("tools");
    await vps.exec("mv /usr/bin/setpriv.away /usr/bin/setpriv");
    assert.deepEqual(
      [tools?.ok, tools?.found, tools?.hint],
      [false, "missing: setpriv", "apt-get install util-linux"],
    );
  });

  test("more than fits, on the file system where it would lie", async () => {
    await vps.exec("mkdir -p /srv/small && mount -t tmpfs -o size=300m,nr_inodes=2000 none /srv/small");
    const targets = [
      { path: "/srv/small/a/b/c", bytes: 100 * MIB, entries: 5000 },
      { path: "/var/lib/x", bytes: MIB, entries: 1 },
    ];
    const checks = await look({ targets });
    assert.deepEqual(
      [...checks.values()].filter(({ ok }) => !ok).map(({ name }) => name),
      ["space for two copies at /srv/small", "inodes at /srv/small"],
    );
    await vps.exec("umount /srv/small");
  });

  test("what a unit runs is compared with what it ran", async () => {
    const told = async (was: string) => {
      const host = { "program homeserver.service": was };
      const checks = await look({ snapshot: { ...facts().snapshot, host } });
      return checks.get("programs are not older than their data")?.found ?? "";
    };
    assert.match(await told("/elsewhere/sleep"), /^homeserver\.service: \S*sleep, \/elsewhere\/sleep on/);
    const [, now = ""] = /service: (\S+),/.exec(await told("/elsewhere/sleep")) ?? [];
    assert.equal(await told(now), `homeserver.service: ${now} as on the day of the snapshot`);
  });

  test("the version of a homeserver that has started empty is compared", async () => {
    await vps.exec(
      "mkdir -p /var/lib/homeserver/db && cd /var/lib/homeserver/db && printf '[Version]\\n  rocksdb_version=8.0.0\\n' >OPTIONS-000005 && printf '[Version]\\n  rocksdb_version=9.10.0\\n' >OPTIONS-000007",
    );
    const name = "homeserver of homeserver-db is not older than its database";
    const older = (await look()).get(name);
    assert.deepEqual(
      [older?.ok, older?.found],
      [false, "RocksDB 9.10.0 on the host, 9.11.1 on the day of the snapshot"],
    );
    await vps.exec("rm -r /var/lib/homeserver");
  });

  test("clocks: of the host, and of the snapshot", async () => {
    const hour = 3_600_000;
    const behind = await preflightHost(host, facts(), { signal, now: () => new Date(Date.now() + hour) });
    const clock = behind.find(({ name }) => name === "clock");
    assert.equal(clock?.ok, false);
    assert.match(clock?.found ?? "", /^3(600|599)\.\d s behind this machine/);
    const ahead = await preflightHost(host, facts(), { signal, now: () => new Date(Date.now() - hour) });
    assert.match(ahead.find(({ name }) => name === "clock")?.found ?? "", /ahead of this machine/);
    const future = (
      await look({ snapshot: { ended: new Date(Date.now() + hour).toISOString(), host: {} } })
    ).get("snapshot's time");
    assert.equal(future?.ok, false);
  });

  test("the gate: closed already, until the next boot, or impossible", async () => {
    await vps.exec("mount -t tmpfs none /etc/systemd/system -o size=1m,ro && systemctl daemon-reload");
    await vps.exec(
      "mkdir -p /run/systemd/system && printf '[Service]\\nExecStart=sleep 1\\n' >/run/systemd/system/homeserver.service; systemctl daemon-reload",
    );
    const units = ["homeserver.service"];
    assert.match((await look({ units })).get("gate")?.found ?? "", /until the next reboot/);
    const impossible = (await look({ units, gate: "/proc/sys/gate" })).get("gate");
    assert.equal(impossible?.ok, false);
    await vps.exec(
      "umount /etc/systemd/system; rm /run/systemd/system/homeserver.service; mkdir -p /var/lib/drops; touch /var/lib/drops/restore-in-progress",
    );
    await vps.exec(
      "mkdir /etc/systemd/system/homeserver.service.d; printf '[Unit]\\nConditionPathExists=!/var/lib/drops/restore-in-progress\\n' >/etc/systemd/system/homeserver.service.d/x.conf; systemctl daemon-reload",
    );
    assert.match((await look({ units })).get("gate")?.found ?? "", /^is closed/);
  });

  test("a host that is lost is a failure, not a check", async () => {
    const isLost = (error: unknown) => isFailure(error, "host/unreachable");
    const counted = failingHost(host, Number.POSITIVE_INFINITY, "before");
    await preflightHost(counted, facts(), how);
    const { commands } = counted;
    assert.ok(commands > 2);
    for (let n = 1; n <= commands; n++) {
      await assert.rejects(preflightHost(failingHost(host, n, "after"), facts(), how), isLost);
    }
  });
});

test("without root, and without the units: said, with all other checks made", async () => {
  await using sshd = await startSshd({ plainUser: true });
  await using host = await openSshHost(sshd.plainPolicy, { signal, home: "/" });
  const checks = await preflightHost(host, facts({ databases: [] }), how);
  assert.equal(checks[0]?.ok, false);
  assert.match(checks[0]?.found ?? "", /owners cannot be given back/);
  assert.ok(checks.some(({ name, ok }) => name === "tools" && ok));
  const units = checks.find(({ name }) => name === "units");
  assert.equal(units?.ok, false);
  assert.match(units?.found ?? "", /does not run systemd|not-found/);
});

test("many owners are many questions, not one long argument list", async () => {
  await using host = await openLocalHost();
  const users = Array.from({ length: 350 }, (_, index) => `stranger${index}`);
  const checks = await preflightHost(host, facts({ users: [...users, "root"], units: [] }), how);
  const found = checks.find(({ name }) => name === "users that own files")?.found ?? "";
  assert.ok(found.includes("stranger349") && !found.includes("root"));
});
