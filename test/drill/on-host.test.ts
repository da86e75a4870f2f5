import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { parse, stringify } from "yaml";
import type { BackupReport } from "../../src/backup/report.ts";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { openOpsDesk } from "../support/ops-desk.ts";
import { startOpsMachine } from "../support/ops-machine.ts";
import { assertRestored, factsOf } from "../support/ops-state.ts";
import { startS3 } from "../support/s3.ts";

// The guided restore is drilled on a throwaway machine that has no way out, while the backed-up one lives on.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());

const s3 = stack.use(await startS3());
const production = await startOpsMachine({ generation: "precious", busy: true });
const desk = stack.use(await openOpsDesk(production.vps, s3));
const before = await factsOf(production);
const { snapshot, sources } = await desk.report<BackupReport>("backup");
assert.equal(snapshot.state, "complete", JSON.stringify(sources));
const afterwards = await factsOf(production);
await production[Symbol.asyncDispose]();
const fresh = stack.use(await startOpsMachine({ generation: "fresh" }));

const evidence = join(desk.directory, "drills");
const drillOn = ({ ssh }: { readonly ssh: typeof fresh.vps.ssh }) => [
  ...["drill", "--on", `${ssh.user}@${ssh.address}`, "--ssh-key", ssh.keyFile, "--host-key", ssh.hostKey],
  ...["--identity", join(desk.directory, "keys", "recovery-identity.txt"), "--evidence", evidence],
];

test("the machine that is backed up is refused", async () => {
  const { exit, stderr } = await desk.drops(...drillOn(production.vps));
  assert.equal(exit, 22, stderr);
  assert.match(stderr, /this machine is not a throwaway one/);
});

test("a machine that reaches the backed-up one is refused before anything starts", async () => {
  // this side of its cable stands in for the backed-up machine: it is the one place that it reaches
  const [here = ""] = (await fresh.vps.exec("echo $SSH_CONNECTION")).split(" ");
  const server = createServer((socket) => socket.destroy()).listen(0, here);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const policy = parse(await readFile(desk.policyFile, "utf8")) as { host: { ssh: object } };
  const file = join(desk.directory, "reachable.yaml");
  await writeFile(file, stringify({ ...policy, host: { ssh: { ...policy.host.ssh, address: here, port } } }));
  const { exit, stderr } = await desk.drops(...drillOn(fresh.vps), "--policy", file);
  server.close();
  assert.equal(exit, 22, stderr);
  assert.ok(stderr.includes(`reaches the outside (${here} ${port})`), stderr);
  assert.equal((await fresh.homeserver()).generation, "fresh");
  assert.equal(await fresh.vps.exec("ls /var/lib/drops 2>/dev/null | wc -l"), "0");
});

test("the guided restore is drilled on a machine that is cut off, and its services run there", async () => {
  const { exit, stdout, stderr } = await desk.drops(...drillOn(fresh.vps), "--json");
  assert.equal(exit, 0, stderr + stdout);
  const report = OUTPUTS.drill.strict().parse(JSON.parse(stdout));
  assert.deepEqual(
    [report.verdict, report.whole, report.on],
    ["proven", true, `root@${fresh.vps.ssh.address}`],
  );
  const ids = report.checks.map(({ id }) => id);
  assert.deepEqual([ids[0], ids.includes("guided/fence")], ["cut-off", false]);
  for (const id of [
    "guided/preflight",
    "guided/rocksdb",
    "guided/postgres",
    "guided/files",
    "guided/start",
    "cut-off-after",
    "rto",
  ]) {
    assert.ok(ids.includes(id), `${id} is among ${ids.join(", ")}`);
  }
  assert.ok((report.objectives.restoreSeconds ?? 0) > 0);
  await assertRestored(fresh, before, afterwards);
  const page = await readFile(join(evidence, "index.html"), "utf8");
  assert.match(page, /the machine was cut off, as it must be/);
  assert.ok((await readdir(evidence)).some((name) => name.endsWith(".json.sig")));
});
