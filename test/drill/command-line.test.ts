import assert from "node:assert/strict";
import { copyFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { runTool } from "../support/scratch.ts";
import { openSite, type Site } from "../support/site.ts";

const SOURCES = `  - { name: words, kind: command, argv: [printf, "some words"] }
  - { name: etc, kind: files, paths: [/etc/passwd] }
`;

let site: Site;
let key: string;
before(async () => {
  site = await openSite({
    more: 'restore: { checks: [{ name: words, source: etc, command: ["true"] }] }\n',
    sources: SOURCES,
  });
  key = join(site.directory, "drill-key");
  await writeFile(key, newSigningKey("drill").privateKey, { mode: 0o600 });
});
after(() => site[Symbol.asyncDispose]());

const drill = (...args: string[]) => site.drops("drill", "--identity", site.identity, ...args);

test("a drill of the newest snapshot writes evidence and answers with 0", async () => {
  const evidence = join(site.directory, "drills");
  const { exit, stdout, stderr } = await drill(
    "--json",
    "--evidence",
    evidence,
    "--signing-key",
    key,
    "--publish",
  );
  assert.equal(exit, 0, stderr);
  const report = OUTPUTS.drill.strict().parse(JSON.parse(stdout));
  assert.deepEqual([report.verdict, report.whole, report.evidence?.earlier], ["proven", true, 0]);
  const names = (await readdir(evidence))
    .map((name) => name.replace(/^\d{8}T\d{6}Z-[0-9a-f]{16}/, "ID"))
    .sort();
  assert.deepEqual(names, ["ID.html", "ID.json", "ID.json.sig", "ID.junit.xml", "index.html", "junit.xml"]);
  const published = join(site.repository, report.evidence?.published ?? "");
  assert.deepEqual(await readFile(published), await readFile(report.evidence?.json ?? ""));
  const allowed = join(site.directory, "allowed");
  await writeFile(allowed, `drill ${String(await runTool("ssh-keygen", "-y", "-f", key))}`);
  const verify = 'ssh-keygen -Y verify -f "$1" -I drill -n drops-evidence-v1 -s "$2.sig" < "$2"';
  await runTool("sh", "-c", verify, "sh", allowed, published);

  await rm(evidence, { recursive: true }); // as a runner that keeps nothing
  const again = await drill("--json", "--evidence", evidence, "--signing-key", key, "--publish");
  assert.equal(JSON.parse(again.stdout).evidence.earlier, 1);
  assert.equal((await site.drops("snapshots")).exit, 0); // evidence beside snapshots is no snapshot
});

test("nothing of a key is in what a drill writes or says", async () => {
  const evidence = join(site.directory, "drills-2");
  const { stdout, stderr } = await drill("--evidence", evidence, "--signing-key", key);
  const files = await Promise.all(
    (await readdir(evidence)).map((name) => readFile(join(evidence, name), "utf8")),
  );
  const secrets = [
    ...(await readFile(site.identity, "utf8"))
      .split("\n")
      .filter((line) => line.startsWith("AGE-SECRET-KEY")),
    ...(await readFile(key, "utf8")).split("\n").filter((line) => /^[A-Za-z0-9+/=]{40,}$/.test(line)),
  ];
  assert.ok(secrets.length >= 2);
  for (const text of [stdout, stderr, ...files])
    for (const secret of secrets) assert.ok(!text.includes(secret));
});

test("a drill from a store and an identity alone runs no command of the snapshot's policy", async () => {
  const { drops } = await import("../support/in-process.ts");
  const from = [
    "--store",
    site.repository,
    "--identity",
    site.identity,
    "--trusted-signer",
    join(site.keys, "signing-key.pub"),
  ];
  const refused = await drops(["drill", ...from]);
  assert.equal(refused.exit, 21, refused.stderr);
  assert.match(refused.stderr, /the drill did not prove this backup: etc\/check\/words\nhint: --checks-from/);
  assert.equal((await drops(["drill", ...from, "--run-commands"])).exit, 0);
  const checks = ["--checks-from", join(site.directory, "policy.yaml")];
  assert.equal((await drops(["drill", ...from, ...checks])).exit, 0);
});

test("damage is exit 20, and there is evidence of it", async () => {
  const [pack = ""] = (await site.objects()).filter((path) => path.includes("/packs/"));
  await copyFile(pack, `${pack}.kept`);
  const bytes = await readFile(pack);
  bytes.writeUInt8(bytes.readUInt8(100) ^ 4, 100);
  await writeFile(pack, bytes);
  const evidence = join(site.directory, "drills-3");
  const { exit, stdout, stderr } = await drill("--evidence", evidence, "--signing-key", key);
  await rm(pack);
  await copyFile(`${pack}.kept`, pack);
  await rm(`${pack}.kept`);
  assert.equal(exit, 20, stderr);
  assert.match(stderr, /the drill found damage: (words|etc)\/restore/);
  assert.match(stdout, /DAMAGED/);
  assert.match(await readFile(join(evidence, "index.html"), "utf8"), /Stored data is damaged or missing/);
});

const refusals: readonly { name: string; args: () => string[]; exit: number; says: RegExp }[] = [
  {
    name: "a signing key that is not there",
    args: () => ["--evidence", join(site.directory, "no"), "--signing-key", "/nonexistent"],
    exit: 13,
    says: /signing key \/nonexistent does not exist/,
  },
  {
    name: "publishing what is not written",
    args: () => ["--publish"],
    exit: 2,
    says: /--publish needs --evidence/,
  },
  {
    name: "no such snapshot",
    args: () => ["--date", "2001-01-01"],
    exit: 10,
    says: /no complete snapshot|no snapshot/,
  },
  { name: "no such source", args: () => ["--only", "nothing"], exit: 2, says: /has no source nothing/ },
  {
    name: "a work directory that is not there",
    args: () => ["--work", "/nonexistent"],
    exit: 2,
    says: /cannot use the directory/,
  },
  {
    name: "a policy of checks that is none",
    args: () => ["--checks-from", "/etc/passwd"],
    exit: 2,
    says: /not a valid policy/,
  },
];
for (const { name, args, exit, says } of refusals) {
  test(`${name} is refused before anything is restored`, async () => {
    const outcome = await drill(...args());
    assert.equal(outcome.exit, exit, outcome.stderr);
    assert.match(outcome.stderr, says);
    assert.equal(outcome.stdout, "");
  });
}
