import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { BackupReport } from "../../src/backup/report.ts";
import { OPS } from "../support/ops-facts.ts";
import { type OpsMachine, startOpsMachine } from "../support/ops-machine.ts";
import { assertRestored, factsOf } from "../support/ops-state.ts";
import { dropsPrivately } from "../support/private-state.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { PATIENCE_MS } from "../support/until.ts";

// Somebody who knows nothing of drops presses Enter at every question of `drops init`, on a server as it is. What that backs up is enough.

const root = fileURLToPath(new URL("../../", import.meta.url));
const NODE = "/opt/drops-tests/node";
const DROPS = `${NODE} /opt/drops/src/main.ts`;
/** On the disk of this side: it survives the server. */
const STORE = "/mnt/shared/backups";
const ALIVE_MS = 60_000;

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const { path: directory } = stack.use(await scratchDirectory());
const [old, fresh] = (
  await Promise.all([
    startOpsMachine({ generation: "precious", busy: true, binds: { [root]: "/opt/drops" } }),
    startOpsMachine({ generation: "fresh" }),
  ])
).map((machine) => stack.use(machine)) as [OpsMachine, OpsMachine];

/** `drops init` at a terminal of the server; at the question for the store its place is typed, at all others Enter. */
async function pressEnter(): Promise<string> {
  const { keyFile, knownHostsFile, address } = old.vps.ssh;
  const options = ["-tt", "-q", "-F", "none", "-i", keyFile, "-o", `UserKnownHostsFile=${knownHostsFile}`];
  const child = spawn("ssh", [...options, "-o", "BatchMode=yes", `root@${address}`, `${DROPS} init`], {
    stdio: ["pipe", "pipe", "inherit"],
    timeout: PATIENCE_MS, // a question that is not answered here would be waited at for ever
  });
  let answered = 0;
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    shown += part;
    const asked = [...shown.matchAll(/[\])]: .{0,5}\[\d+G|no more: .{0,5}\[\d+G/g)].length;
    for (; answered < asked; answered++) {
      const isStore = shown.slice(shown.lastIndexOf("\n")).includes("where backups go");
      child.stdin.write(isStore ? `${STORE}\n` : "\n");
    }
  });
  await text(child.stdout);
  return shown;
}

test("what the wizard finds is everything that the server has, each path once", async () => {
  const shown = await pressEnter();
  const policy = await old.vps.exec("cat /etc/drops/*.yaml");
  for (const path of [...Object.values(OPS.paths), OPS.rocksdb].filter((each) => each !== OPS.paths.media))
    assert.ok(policy.includes(path.replace(/^\/var\/lib\/(?=.*\/db$)/, "/var/lib/private/")), path);
  for (const database of Object.values(OPS.databases)) assert.ok(policy.includes(`database: ${database}`));
  const units = [...policy.matchAll(/- unit: (\S+)/g)].map(([, unit]) => unit);
  assert.deepEqual(units, ["matrix-continuwuity.service", "forgejo.service", "mautrix-slack.service"]);
  const paths = [...policy.matchAll(/paths: \[(\S+)\]|path: (\S+)/g)].map(([, one, other]) => one ?? other);
  assert.equal(new Set(paths).size, paths.length);
  assert.match(shown, /drops doctor/);
});

test("its backup is drilled, and brings the server back onto another machine, where every unit lives for a minute", async () => {
  const before = await factsOf(old);
  const report = JSON.parse(await old.vps.exec(`${DROPS} backup --json`)) as BackupReport;
  assert.equal(report.snapshot.state, "complete", JSON.stringify(report.sources));
  const afterwards = await factsOf(old);
  const keys = join(directory, "keys");
  await mkdir(keys, { mode: 0o700 });
  for (const name of (await old.vps.exec("ls /etc/drops/keys")).split("\n"))
    await writeFile(join(keys, name), `${await old.vps.exec(`cat /etc/drops/keys/${name}`)}\n`, {
      mode: 0o600,
    });
  const store = join(old.vps.shared, "backups");
  const policy = join(directory, "copy.yaml");
  const made = await old.vps.exec("cat /etc/drops/*.yaml");
  await writeFile(policy, made.replaceAll("/etc/drops/keys", keys).replaceAll(STORE, store));
  const identity = ["--identity", join(keys, "recovery-identity.txt")];
  const signer = ["--trusted-signer", (await readFile(join(keys, "signing-key.pub"), "utf8")).trim()];
  await old.vps.powerCut();

  const drops = (...args: readonly string[]) => dropsPrivately(join(directory, "state"), directory, ...args);
  const evidence = ["--evidence", join(directory, "drills")];
  const drill = await drops("--policy", policy, "drill", ...identity, ...evidence);
  assert.equal(drill.exit, 0, drill.stderr + drill.stdout);

  const { address, keyFile, hostKey } = fresh.vps.ssh;
  const host = ["--host", `root@${address}`, "--ssh-key", keyFile, "--host-key", hostKey];
  const from = ["--date", "latest", "--store", store, ...identity, ...signer];
  const restored = await drops("restore", ...from, ...host, "--yes", "--fenced");
  assert.equal(restored.exit, 0, restored.stderr + restored.stdout);
  const starts = () =>
    fresh.vps.exec(
      `systemctl show --property Id,ActiveState,NRestarts,InvocationID -- ${OPS.units.join(" ")}`,
    );
  const first = await starts();
  await sleep(ALIVE_MS);
  assert.equal(await starts(), first);
  await assertRestored(fresh, before, afterwards);
});
