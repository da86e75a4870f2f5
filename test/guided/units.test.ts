import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startUnit, stopUnits, unitStates } from "../../src/guided/services/units.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { until } from "../support/until.ts";
import { startVps, type Vps } from "../support/vps.ts";
import { openVps } from "../support/vps-host.ts";

const signal = new AbortController().signal;
const how = { signal };

const LET_GO = "/run/let-go";

/** Units by name, with their lines. */
const UNITS: Readonly<Record<string, readonly string[]>> = {
  "plain.service": [
    "[Service]",
    "ExecStart=sleep 1000",
    "[Install]",
    "WantedBy=multi-user.target",
    "Alias=other-name.service",
  ],
  "slow.service": [
    "[Service]",
    // asked to end, it waits to be let go
    `ExecStart=sh -c 'trap "while [ ! -e ${LET_GO} ]; do sleep 0.1; done; exit 0" TERM; while :; do sleep 0.1; done'`,
  ],
  "stubborn.service": [
    "[Service]",
    "TimeoutStopSec=1s",
    "ExecStart=sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'",
  ],
  "leaving.service": ["[Service]", "KillMode=process", "ExecStart=sh -c 'sleep 7654 & exec sleep 1000'"],
  "broken.service": ["[Service]", "ExecStart=sh -c 'exit 16'"],
  "flapping.service": [
    "[Service]",
    "ExecStart=sh -c 'exit 3'",
    "Restart=always",
    "RestartSec=1s",
    "[Unit]",
    "StartLimitIntervalSec=0",
  ],
  "asked.service": ["[Service]", "ExecStart=sleep 1000"],
  "asked.socket": ["[Socket]", "ListenStream=/run/asked", "[Install]", "WantedBy=sockets.target"],
  "ticking.service": ["[Service]", "Type=oneshot", "ExecStart=true"],
  "ticking.timer": [
    "[Timer]",
    "OnActiveSec=1",
    "OnUnitActiveSec=1",
    "AccuracySec=100ms",
    "[Install]",
    "WantedBy=timers.target",
  ],
};

describe("units", { timeout: 1_800_000 }, () => {
  let vps: Vps;
  let host: Host;
  before(async () => {
    vps = await startVps();
    host = await openVps(vps);
    for (const [name, lines] of Object.entries(UNITS))
      await vps.exec(`cat >/etc/systemd/system/${name}`, { input: `${lines.join("\n")}\n` });
    await vps.exec(
      "systemctl daemon-reload; systemctl enable --quiet plain.service asked.socket ticking.timer",
    );
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
    await vps[Symbol.asyncDispose]();
  });
  const state = async (unit: string) => {
    const [told] = await unitStates(host, [unit], how);
    return told ?? assert.fail("no state");
  };

  test("states in the order asked for: running, alias, failed, restarting, not there", async () => {
    await vps.exec(
      "systemctl start plain; systemctl start broken; systemctl start --no-block flapping; true",
    );
    // between two of its short lives
    await until("it flaps", async () => {
      const { active, restarts } = await state("flapping.service");
      return active === "activating" && restarts >= 1;
    });
    const units = ["broken.service", "other-name.service", "nowhere.service", "flapping.service"];
    const [broken, alias, nowhere, flapping] = await unitStates(host, units, how);
    assert.deepEqual(
      [broken?.unit, broken?.active, broken?.result, broken?.exit],
      ["broken.service", "failed", "exit-code", 16],
    );
    assert.deepEqual(
      [alias?.unit, alias?.id, alias?.active, alias?.sub],
      ["other-name.service", "plain.service", "active", "running"],
    );
    const age = Date.now() - (alias?.activeSince?.getTime() ?? 0);
    assert.ok(age > 0 && age < 1_800_000, `active for ${age} ms`);
    assert.deepEqual(
      [nowhere?.load, nowhere?.active, nowhere?.activeSince],
      ["not-found", "inactive", undefined],
    );
    assert.deepEqual([flapping?.active, flapping?.exit], ["activating", 3]);
    assert.ok((flapping?.restarts ?? 0) >= 1);
    assert.deepEqual(await unitStates(host, [], how), []);
    assert.deepEqual(await stopUnits(host, ["flapping.service"], how), ["flapping.service"]);
    assert.equal((await state("flapping.service")).active, "inactive");
  });

  test("a unit that was killed has no exit status of its own", async () => {
    await vps.exec(
      "systemctl start plain; systemctl kill -s KILL plain; while systemctl is-active --quiet plain; do sleep 0.1; done",
    );
    const { active, result, exit } = await state("plain.service");
    assert.deepEqual([active, result, exit], ["failed", "signal", undefined]);
  });

  test("they stop one after the other, in the order given, with what was active", async () => {
    await vps.exec(`touch ${LET_GO}; systemctl start plain slow`);
    const asked = ["slow.service", "nowhere.service", "plain.service", "broken.service"];
    assert.deepEqual(await stopUnits(host, asked, how), ["slow.service", "plain.service"]);
    const stopped = await vps.exec(
      "journalctl -o short-unix --no-pager | sed -n 's/^\\([0-9.]*\\) .* Stopped \\(plain\\|slow\\).*/\\2/p' | tail -n 2",
    );
    assert.equal(stopped, "slow\nplain");
    assert.deepEqual(await stopUnits(host, asked, how), [], "again: nothing is left to do");
  });

  test("one that ignores being asked is ended by systemd, and waited for", async () => {
    await vps.exec("systemctl start stubborn");
    assert.deepEqual(await stopUnits(host, ["stubborn.service"], how), ["stubborn.service"]);
    assert.equal((await state("stubborn.service")).result, "timeout");
  });

  test("a process that outlives its unit is found, also by the next one who looks", async () => {
    await vps.exec("systemctl start leaving; until pgrep -f '^sleep 7654' >/dev/null; do sleep 0.1; done");
    for (const _ of ["first", "second"])
      await assert.rejects(stopUnits(host, ["leaving.service"], how), (error) => {
        assert.ok(isFailure(error, "safety/refused"), String(error));
        assert.match(
          error.message,
          /leaving\.service was stopped, but some of its processes still run: \d+ sleep/,
        );
        assert.match(error.hint ?? "", /systemctl kill --signal=SIGKILL leaving\.service/);
        return true;
      });
    await vps.exec("pkill -f 'sleep 7654'");
    assert.deepEqual(await stopUnits(host, ["leaving.service"], how), []);
  });

  test("a socket is stopped before its unit, so that nobody starts it by asking; started, both are back", async () => {
    await vps.exec("systemctl start asked.socket asked.service");
    assert.deepEqual(await stopUnits(host, ["asked.service"], how), ["asked.socket", "asked.service"]);
    await startUnit(host, "asked.service", how);
    assert.deepEqual(
      [(await state("asked.socket")).active, (await state("asked.service")).active],
      ["active", "active"],
    );
    await startUnit(host, "asked.service", how);
  });

  test("a timer is stopped with its unit", async () => {
    await vps.exec("systemctl start ticking.timer");
    await until("it ticks", async () => (await state("ticking.service")).invocation !== undefined);
    assert.deepEqual(
      (await stopUnits(host, ["ticking.service"], how)).filter((unit) => unit !== "ticking.service"),
      ["ticking.timer"],
    );
    const { invocation } = await state("ticking.service");
    await vps.exec("sleep 2.5");
    assert.equal((await state("ticking.service")).invocation, invocation, "it does not tick any more");
    await startUnit(host, "ticking.service", how);
    assert.equal((await state("ticking.timer")).active, "active");
    await stopUnits(host, ["ticking.service"], how);
  });

  test("starting forgets an earlier start limit, tells no failure, and knows what is not there", async () => {
    await vps.exec("for i in 1 2 3 4 5 6 7; do systemctl start broken; done; true");
    await startUnit(host, "broken.service", how);
    const { result, exit } = await state("broken.service");
    assert.deepEqual([result, exit], ["exit-code", 16], "it was tried, and not refused for the start limit");
    await assert.rejects(startUnit(host, "nowhere.service", how), (error) =>
      isFailure(error, "host/command-failed"),
    );
  });

  test("templates are the policy's mistake", async () => {
    for (const work of [unitStates, stopUnits])
      await assert.rejects(work(host, ["user@.service"], how), (error) => isFailure(error, "policy/invalid"));
  });

  test("a lost connection while stopping is a failure; stopping again ends it", async () => {
    await vps.exec(`rm -f ${LET_GO}; systemctl start slow plain`);
    const isLost = (error: unknown) => isFailure(error, "host/unreachable");
    const stopping = assert.rejects(stopUnits(host, ["slow.service", "plain.service"], how), isLost);
    await vps.exec("until systemctl is-active slow | grep -qx deactivating; do sleep 0.1; done");
    await vps.dropConnections();
    await stopping;
    await vps.exec(`touch ${LET_GO}`);
    await stopUnits(host, ["slow.service", "plain.service"], how);
    assert.equal(await vps.exec("systemctl is-active slow plain || true"), "inactive\ninactive");
  });
});

test("a host without systemd is told with what to do instead", async () => {
  await using local = await openLocalHost();
  const host: Host = {
    ...local,
    run: (argv, options) => local.run(argv, { ...options, env: { ...options.env, PATH: "/nowhere" } }),
  };
  await assert.rejects(unitStates(host, ["a.service"], how), (error) => {
    assert.ok(isFailure(error, "host/command-failed"));
    assert.match(error.message, /^this machine does not run systemd/);
    return true;
  });
});
