import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { Gate } from "../../src/guided/services/gate.ts";
import type { Host } from "../../src/host/host.ts";
import { DropsError } from "../../src/lib/errors.ts";
import { killingBefore } from "../support/killed-script.ts";
import { startVps, type Vps } from "../support/vps.ts";
import { openVps } from "../support/vps-host.ts";

const signal = new AbortController().signal;
const how = { signal };
const FILE = "/var/lib/drops/restore-in-progress";
const ETC = "/etc/systemd/system";
const DROP_IN = "50-drops-restore.conf";
/** Of the commands at which it is killed: 1 takes four minutes. */
const STRIDE = 5;

const install = `
cd ${ETC}
for unit in plain other; do
  printf '[Service]\\nExecStart=sleep 100000\\n[Install]\\nWantedBy=multi-user.target\\nAlias=%s-alias.service\\n' $unit >$unit.service
done
printf '[Unit]\\nConditionPathExists=!${FILE}\\n[Service]\\nExecStart=sleep 100000\\n' >module.service
printf '[Service]\\nExecStart=sleep 100000\\n' >many@.service
ln -s /dev/null masked.service
mkdir other.service.d
printf '[Service]\\nNice=3\\n' >other.service.d/10-nice.conf
systemctl daemon-reload
systemctl enable --quiet plain.service other.service
`;

describe("gate", { timeout: 1_800_000 }, () => {
  let vps: Vps;
  let host: Host;
  before(async () => {
    vps = await startVps();
    host = await openVps(vps);
    await vps.exec(install);
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
    await vps[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await vps.exec(
      `umount ${ETC} 2>/dev/null; rm -rf /var/lib/drops ${ETC}/*/.${DROP_IN}.part ${ETC}/*.d/${DROP_IN} /run/systemd/system/*.d/${DROP_IN}; rmdir ${ETC}/*.service.d 2>/dev/null; systemctl daemon-reload; systemctl stop plain other module`,
    );
  });

  const gateOf = (...units: string[]) => new Gate(host, { file: FILE, units });
  /** Names and contents below the directories of unit files. */
  const unitFiles = () =>
    vps.exec(
      `cd / && find etc/systemd/system run/systemd/system -name '*.d' -prune -print -exec grep -r . {} \\; | sort`,
    );
  const starts = async (unit: string): Promise<boolean> =>
    (await vps.exec(`systemctl start ${unit}; systemctl is-active ${unit} || true`)) === "active";

  test("closed, no unit starts; open, all start, and every file is as before", async () => {
    const gate = gateOf("plain.service", "other.service", "module.service");
    const files = await unitFiles();
    await vps.exec("systemctl start plain");
    assert.equal(await gate.isClosed(how), false);
    assert.deepEqual(await gate.close(how), { durable: true, notes: [] });
    assert.equal(await gate.isClosed(how), true);
    assert.equal(await vps.exec("systemctl is-active plain"), "active", "what runs keeps running");
    await vps.exec("systemctl stop plain");
    for (const unit of ["plain", "other", "module"]) assert.equal(await starts(unit), false, unit);
    assert.doesNotMatch(
      await unitFiles(),
      /module\.service\.d/,
      "a unit with the condition needs no drop-in",
    );
    await gate.open(how);
    assert.equal(await gate.isClosed(how), false);
    assert.equal(await unitFiles(), files);
    for (const unit of ["plain", "other", "module"]) assert.equal(await starts(unit), true, unit);
  });

  test("closing and opening twice is as once", async () => {
    const gate = gateOf("plain.service");
    await gate.open(how);
    await gate.close(how);
    assert.deepEqual(await gate.close(how), { durable: true, notes: [] });
    await gate.open(how);
    await gate.open(how);
    assert.equal(await gate.isClosed(how), false);
  });

  test("it is not closed by the file alone, nor by drop-ins alone", async () => {
    const gate = gateOf("plain.service");
    await vps.exec(`mkdir -p /var/lib/drops && touch ${FILE}`);
    assert.equal(await gate.isClosed(how), false);
    await gate.close(how);
    await vps.exec(`rm ${FILE}`);
    assert.equal(await gate.isClosed(how), false);
  });

  test("a drop-in that systemd was not told of does not count", async () => {
    const gate = gateOf("plain.service");
    await vps.exec(
      `mkdir -p /var/lib/drops ${ETC}/plain.service.d && touch ${FILE} && printf '[Unit]\\nConditionPathExists=!${FILE}\\n' >${ETC}/plain.service.d/${DROP_IN}`,
    );
    assert.equal(await gate.isClosed(how), false);
    await gate.close(how);
    assert.equal(await gate.isClosed(how), true);
  });

  test("an alias is gated under its own name", async () => {
    const gate = gateOf("plain-alias.service");
    await gate.close(how);
    assert.match(await unitFiles(), /etc\/systemd\/system\/plain\.service\.d/);
    assert.equal(await starts("plain"), false);
  });

  test("what does not exist or is masked cannot start: a note, and a drop-in in case it appears", async () => {
    const gate = gateOf("nowhere.service", "masked.service", "plain.service");
    const { durable, notes } = await gate.close(how);
    assert.equal(durable, true);
    assert.match(notes.join("\n"), /nowhere\.service is not-found .*\n.*masked\.service is masked/);
    assert.equal(await gate.isClosed(how), true);
    await vps.exec(
      `printf '[Service]\\nExecStart=sleep 1000\\n' >${ETC}/nowhere.service; systemctl daemon-reload`,
    );
    assert.equal(await starts("nowhere"), false);
    await vps.exec(`rm ${ETC}/nowhere.service`);
  });

  test("a template is the policy's mistake; an instance is gated", async () => {
    await assert.rejects(
      gateOf("many@.service").close(how),
      (error) =>
        error instanceof DropsError && error.code === "policy/invalid" && /many@NAME/.test(error.hint ?? ""),
    );
    await gateOf("many@one.service").close(how);
    assert.equal(await starts("many@one"), false);
  });

  test("a drop-in that resets conditions is found out: systemd is asked, not the directory", async () => {
    await vps.exec(
      `mkdir ${ETC}/plain.service.d && printf '[Unit]\\nConditionPathExists=\\n' >${ETC}/plain.service.d/60-reset.conf`,
    );
    await assert.rejects(gateOf("plain.service").close(how), /plain\.service would start despite the gate/);
    await vps.exec(`test -e ${FILE} && rm ${ETC}/plain.service.d/60-reset.conf`);
  });

  test("a condition that is enough together with others does not count", async () => {
    await vps.exec(
      `printf '[Unit]\\nConditionPathExists=|!${FILE}\\nConditionPathExists=|/etc\\n[Service]\\nExecStart=sleep 1000\\n' >${ETC}/either.service; systemctl daemon-reload`,
    );
    const gate = gateOf("either.service");
    await vps.exec(`mkdir -p /var/lib/drops && touch ${FILE}`);
    assert.equal(await gate.isClosed(how), false);
    await gate.close(how);
    assert.equal(await starts("either"), false);
  });

  test("a closed gate survives a reboot and a power cut", async () => {
    const gate = gateOf("plain.service", "other.service");
    await vps.exec("sync"); // the test's own units; the gate has to see to itself
    await gate.close(how);
    await vps.reboot();
    assert.equal(await gate.isClosed(how), true);
    assert.equal(await vps.exec("systemctl is-active plain other || true"), "inactive\ninactive");
    await vps.powerCut();
    await vps.boot();
    assert.equal(await gate.isClosed(how), true);
    assert.equal(await vps.exec("systemctl is-active plain other || true"), "inactive\ninactive");
    await gate.open(how);
    await vps.reboot();
    assert.equal(await vps.exec("systemctl is-active plain other || true"), "active\nactive");
  });

  test("read-only /etc, as on NixOS: until the next boot, and it says so", async () => {
    const gate = gateOf("plain.service", "module.service");
    await vps.exec(`mount --bind ${ETC} ${ETC} && mount -o remount,ro,bind ${ETC}`);
    const { durable, notes } = await gate.close(how);
    assert.equal(durable, false);
    assert.match(notes.join("\n"), /plain\.service does not survive a reboot.*--resume/);
    assert.equal(await starts("plain"), false);
    await vps.reboot();
    assert.equal(await gate.isClosed(how), false, "the file is there, the condition is gone");
    assert.equal((await gate.close(how)).durable, true, "/etc is writable now");
    await gate.open(how);
  });

  test("no space below /etc: below /run", async () => {
    await vps.exec(
      `mkdir ${ETC}/plain.service.d && mount -t tmpfs -o size=4k,nr_inodes=1 none ${ETC}/plain.service.d`,
    );
    const gate = gateOf("plain.service");
    assert.equal((await gate.close(how)).durable, false);
    assert.equal(await starts("plain"), false);
    await gate.open(how);
    await vps.exec(`umount ${ETC}/plain.service.d; rmdir ${ETC}/plain.service.d`);
    assert.equal(await starts("plain"), true);
  });

  test("a gate file that cannot be made is a failure with the reason, and leaves no drop-in", async () => {
    const files = await unitFiles();
    await vps.exec("mkdir -p /var/lib && echo file >/var/lib/drops");
    await assert.rejects(gateOf("plain.service").close(how), /making \/var\/lib\/drops\/restore-in-progress/);
    assert.equal(await unitFiles(), files);
    await vps.exec("rm /var/lib/drops");
  });

  /** After a power cut, every unit starts that has no drop-in on the disk. */
  const noUnitSeesTheFile = async (gate: Gate, when: string) => {
    const there = await vps.exec(`test ! -e ${FILE} || echo there`);
    assert.equal(there === "there", await gate.isClosed(how), `${when}: the file is there, so it is closed`);
  };

  for (const verb of ["close", "open"] as const) {
    test(`killed anywhere in ${verb}, it is finished by calling again`, async (t) => {
      const what = { file: FILE, units: ["plain.service", "other.service"] };
      const gate = new Gate(host, what);
      const files = await unitFiles();
      let [command, isKilled] = [1, true];
      for (; isKilled; command += STRIDE) {
        if (verb === "open") await gate.close(how);
        isKilled = await fails(new Gate(killingBefore(command, host), what)[verb](how));
        await noUnitSeesTheFile(gate, `killed before command ${command}`);
        if (verb === "close") {
          assert.equal((await gate.close(how)).durable, true);
          assert.equal(await gate.isClosed(how), true, `killed before command ${command}`);
        }
        await gate.open(how);
        assert.equal(await gate.isClosed(how), false);
        assert.equal(await unitFiles(), files, `killed before command ${command}`);
      }
      assert.ok(command > 20, "it was killed in many places");
      t.diagnostic(`${command} commands, killed before every ${STRIDE}th`);
    });
  }
});

async function fails(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => false,
    () => true,
  );
}
