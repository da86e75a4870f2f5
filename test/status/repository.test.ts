import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { encodeEvidence } from "../../src/drill/evidence.ts";
import { publishEvidence } from "../../src/drill/publish.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { putNote } from "../../src/snapshot/pin.ts";
import type { StatusReport } from "../../src/status/report.ts";
import { statusOfRepository } from "../../src/status/status-of-repository.ts";
import { trustOf } from "../../src/trust/trust.ts";
import { publishVerify } from "../../src/verify/evidence.ts";
import { faultyStore } from "../support/faulty-store.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { drops } from "../support/in-process.ts";
import { keysOf, nights } from "../support/nights.ts";
import { sampleEvidence } from "../support/sample-evidence.ts";
import { sampleVerifyEvidence } from "../support/sample-verify-evidence.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { openSite } from "../support/site.ts";
import { tried } from "../support/tried.ts";

const HOW = { signal: new AbortController().signal };
const SOURCES = `  - { name: db, kind: command, argv: [cat, "@DIR@/db"] }
  - { name: logs, kind: command, argv: [cat, "@DIR@/logs"] }
`;
const drill = signerFromText(newSigningKey("drill").privateKey, "the test's drill key");
const site = await nights({ sources: SOURCES });
after(() => site[Symbol.asyncDispose]());
await site.write("logs", fixedBytes("logs", 1000));

type Asked = Partial<Parameters<typeof statusOfRepository>[0]> & {
  readonly policyText?: string;
  readonly skew?: number;
};

/** The policy that backed up, with the drill's key; nothing but the store is asked. */
async function status({ policyText, skew = 0, ...change }: Asked = {}): Promise<StatusReport> {
  const { parts } = site.rehearsal;
  const now = () => new Date(site.clock.now.getTime() + skew * 1000);
  const text = policyText ?? `${parts.policyText}prune: { drill_signers: ["${drill.publicKey}"] }\n`;
  const policy = text === "" ? undefined : parsePolicy(text, "p.yaml");
  const { publicKey } = site.rehearsal.signer;
  const reading = {
    store: site.store,
    policyName: "rehearsal",
    trust: policy ? trustOf(policy.policy, { own: { signing: publicKey } }) : parts.trust,
    identities: [],
    now,
    say: () => {},
  };
  const reporter = { say: () => {}, progress: () => ({ update: () => {}, done: () => {} }) };
  const context = { env: {}, now, version: "test", reporter };
  const files = { prometheus: undefined, html: undefined };
  return statusOfRepository({ ...reading, ...change }, policy, context, { ...files, ...HOW });
}

async function night(content: string): Promise<string> {
  await site.write("db", fixedBytes(content, 300_000));
  return site.backup();
}

async function proveNow(signer = drill, change: Parameters<typeof sampleEvidence>[0] = {}): Promise<void> {
  const ended = site.clock.now.toISOString();
  const { repository } = JSON.parse(await text((await recordKeys()).at(-1) ?? "")) as { repository: string };
  const id = hash("sha256", ended + signer.publicKey, "hex").slice(0, 16);
  const evidence = sampleEvidence({
    repository,
    policy: "rehearsal",
    id,
    ended,
    verdict: "proven",
    whole: true,
    ...change,
  });
  await publishEvidence(site.store, evidence, encodeEvidence(evidence), signer, HOW);
}

async function recordKeys(): Promise<string[]> {
  const keys = [...(await keysOf(site.store, "rehearsal/snapshots/")).keys()];
  return keys.filter((key) => key.endsWith(".json")).sort();
}

async function text(key: string): Promise<string> {
  return Buffer.from(await site.store.get(key, { ...HOW, maxSize: 2 ** 24 })).toString();
}

const told = ({ state, concerns }: StatusReport) => [state, ...concerns.map(({ kind }) => kind)];

// One repository through its life: each test goes on where the one before it ended.

test("before the first backup nothing can be restored", async () => {
  const report = await status();
  assert.deepEqual(told(report), ["broken", "no-snapshot", "uncovered", "uncovered"]);
  assert.equal(report.next, "drops backup");
});

test("after two nights it is amber with three next steps, and reads no pack and no manifest", async () => {
  await night("a");
  site.sleep();
  const newest = await night("b");
  site.sleep(2);
  const store = faultyStore(site.store, []);
  const report = await status({ store });
  assert.deepEqual(told(report), ["amber", "never-drilled", "never-verified", "recovery-key"]);
  assert.deepEqual([report.restore.points, report.restore.newest?.id], [2, newest]);
  assert.equal(report.measuredAgainst, "file");
  assert.deepEqual(
    report.concerns.map(({ hint }) => hint),
    [
      "drops drill --identity FILE --evidence DIRECTORY --publish",
      "drops verify --routine",
      "drops doctor --identity FILE",
    ],
  );
  const reads = store.calls.filter((call) => call.startsWith("get "));
  assert.ok(reads.length > 4);
  for (const call of reads) assert.match(call, /^get (repository\.json|rehearsal\/(snapshots|lists)\/)/);
  assert.deepEqual(
    store.calls.filter((call) => /^(put|remove)/.test(call)),
    [],
  );
});

test("without a policy the defaults count, and the remark says so; with the metadata identity the snapshot's do", async () => {
  const bare = await status({ policyText: "" });
  assert.deepEqual([bare.measuredAgainst, bare.zone, bare.restore.rpoSeconds], ["defaults", "UTC", 86_400]);
  assert.match(bare.notes[0] ?? "", /no policy could be read: measured against the defaults/);
  const { identity } = site.rehearsal.metadata;
  const inside = await status({ policyText: "", identities: [identity] });
  assert.deepEqual([inside.measuredAgainst, inside.zone], ["snapshot", "Europe/Berlin"]);
  assert.deepEqual(told(inside), ["amber", "never-drilled", "never-verified", "recovery-key"]);
});

test("with a verify and the recovery identity shown a drill is missing", async () => {
  const { repository } = JSON.parse(await text((await recordKeys()).at(-1) ?? "")) as { repository: string };
  const of = { repository, policy: "rehearsal", at: site.clock.now };
  await tried(site.store, { ...of, signer: drill }, ["verify"]);
  await tried(site.store, { ...of, signer: site.rehearsal.signer }, ["recovery-key"]);
  assert.deepEqual(told(await status()), ["amber", "never-drilled"]);
});

test("a drill is believed by its own key alone, once the policy names one", async () => {
  await proveNow(site.rehearsal.signer, { ended: new Date(site.clock.now.getTime() - 5000).toISOString() });
  assert.deepEqual(told(await status()), ["unproven", "drill-failed"]);
  await proveNow();
  const report = await status();
  assert.deepEqual(told(report), ["green"]);
  assert.deepEqual([report.drills.count, report.drills.refused.length], [1, 1]);
  assert.equal(report.next, "drops restore --date latest --host root@ADDRESS --dry-run");
});

test("a source that cannot be read makes it late, with the reason", async () => {
  site.sleep(20);
  await rm(join(site.rehearsal.directory, "logs"));
  await night("c");
  const report = await status();
  assert.deepEqual(told(report), ["late", "failed"]);
  assert.equal(report.next, "drops doctor --only sources  shows what to do; then drops backup --source logs");
  assert.deepEqual(
    report.partial.map(({ failed }) => failed),
    [["logs"]],
  );
  await site.write("logs", fixedBytes("logs", 1000));
  site.sleep(1);
  await night("d");
  assert.deepEqual(told(await status()), ["green"]);
});

test("nights without a backup make it late, and drills overdue", async () => {
  site.sleep(25);
  assert.deepEqual(told(await status()), ["late", "late"]);
  site.sleep(24 * 8);
  assert.deepEqual(told(await status()), ["late", "late", "drill-overdue"]);
  await night("e");
  assert.deepEqual(told(await status()), ["unproven", "drill-overdue"]);
  const { policyText } = site.rehearsal.parts;
  const patient = `${policyText}prune: { drill_signers: ["${drill.publicKey}"] }\ndrill: { every: 30d }\n`;
  assert.deepEqual(told(await status({ policyText: patient })), ["green"]);
  await proveNow();
  assert.deepEqual(told(await status()), ["green"]);
});

test("a policy that says how often is held to verifies; only those count that are believed", async () => {
  const often = { policyText: `${site.rehearsal.parts.policyText}verify: { every: 8d }\n` };
  const { repository } = JSON.parse(await text((await recordKeys()).at(-1) ?? "")) as { repository: string };
  const publish = (signer: typeof drill, id: string) => {
    const ended = site.clock.now.toISOString();
    const evidence = sampleVerifyEvidence({ repository, policy: "rehearsal", id, ended });
    return publishVerify(site.store, evidence, signer, HOW);
  };
  assert.ok(told(await status(often)).includes("verify-overdue"));
  await publish(drill, "1".repeat(16)); // this policy names no key of drills
  const stranger = await status(often);
  assert.ok(told(stranger).includes("verify-overdue"));
  assert.equal(stranger.verifies.refused.length, 2);
  assert.deepEqual((await status()).verifies.last?.id, "1".repeat(16));
  await publish(site.rehearsal.signer, "2".repeat(16));
  const held = await status(often);
  assert.ok(!told(held).includes("verify-overdue"), told(held).join());
  assert.deepEqual([held.verifies.last?.id, held.verifies.coverage], ["2".repeat(16), { share: 0.5 }]);
});

test("a clock that is an hour off is named", async () => {
  const report = await status({ skew: 3600 });
  assert.deepEqual(told(report), ["broken", "clock"]);
  assert.equal(report.clock.skewSeconds, 3600);
});

async function withdraw(snapshot: string, repository: string, why: string): Promise<void> {
  const at = site.clock.now.toISOString();
  const note = { drops: "withdrawn", format: 1, repository, policy: "rehearsal", snapshot, at, why } as const;
  await putNote(site.store, note, { ...HOW, signer: site.rehearsal.signer });
}

test("a withdrawn snapshot is no restore point, and why is a remark", async () => {
  const before = await status();
  const snapshot = before.restore.newest?.id ?? "";
  const { repository } = JSON.parse(await text((await recordKeys())[0] ?? "")) as { repository: string };
  await withdraw(snapshot, repository, "broken in");
  const report = await status();
  assert.equal(report.restore.points, before.restore.points - 1);
  assert.deepEqual(told(report).slice(0, 2), ["late", "late"]);
  assert.ok(report.notes.includes(`snapshot ${snapshot} was withdrawn: broken in`));
  site.sleep(1);
  await night("f");
  assert.deepEqual(told(await status()), ["green"]);
});

test("a record that somebody else signed is named, and never used", async () => {
  const key = (await recordKeys())[0] ?? "";
  const [old, signature] = [
    Buffer.from(await text(key)),
    await site.store.get(`${key}.sig`, { ...HOW, maxSize: 9999 }),
  ];
  await site.store.remove(key, HOW);
  await site.store.put(key, Buffer.from(old.toString().replace('"complete"', '"partial"')), HOW);
  const report = await status();
  assert.deepEqual(told(report), ["broken", "unreadable"]);
  assert.deepEqual(
    report.unreadable.map((one) => one.key),
    [key],
  );
  await site.store.remove(key, HOW);
  await site.store.remove(`${key}.sig`, HOW);
  await site.store.put(`${key}.sig`, signature, HOW);
  await site.store.put(key, old, HOW);
  // the same bytes, but they landed weeks after the record says that it ended
  const late = await status();
  assert.deepEqual(told(late), ["broken", "quarantined"]);
  const { id, repository } = JSON.parse(old.toString()) as { id: string; repository: string };
  assert.match(late.concerns[0]?.hint ?? "", new RegExp(`drops withdraw ${id} --why`));
  await withdraw(id, repository, "the clock jumped");
  const settled = await status();
  assert.deepEqual(told(settled), ["green"]);
  assert.equal(settled.snapshots.find((one) => one.id === id)?.standing, "withdrawn");
  await site.store.remove(key, HOW);
  assert.deepEqual(told(await status()), ["green"]);
});

test("a lost pack is found without reading one", async () => {
  const before = await status();
  const packs = (await keysOf(site.store, "rehearsal/packs/")).keys();
  for (const pack of packs) await site.store.remove(pack, HOW);
  const report = await status();
  assert.deepEqual(told(report).slice(0, 3), ["broken", "no-snapshot", "damaged"]);
  assert.equal(report.next, "drops verify");
  assert.equal(report.restore.points, 0);
  assert.equal(before.snapshots.length, report.snapshots.length);
});

test("a lost repository.json is told, and the rest still found out", async () => {
  await site.store.remove("repository.json", HOW);
  const report = await status();
  assert.ok(report.concerns.some(({ kind }) => kind === "description"));
  assert.equal(report.descriptionLost, true);
});

test("the command: from a policy whose host is gone, or from the store alone; files appear whole", async () => {
  await using site = await openSite();
  await using at = await scratchDirectory();
  const [prometheus, html] = [join(at.path, "drops.prom"), join(at.path, "drops.html")];
  await writeFile(prometheus, "older and longer".repeat(10_000));
  await site.policy({ host: "{ ssh: { address: gone.invalid } }" });
  const amber = await site.drops("status", "--prometheus", prometheus, "--html", html);
  assert.deepEqual([amber.exit, amber.stderr], [0, ""], amber.stdout);
  assert.match(
    amber.stdout,
    /AMBER\n( {2}! \S+: .*\n {4}fix: .*\n){3}\n[\s\S]*\nnext: drops drill --identity FILE .*\n$/,
  );
  assert.match(await readFile(prometheus, "utf8"), /^# HELP [\s\S]*state="amber"\} 1\n/);
  assert.match(await readFile(html, "utf8"), /Backups are there/);
  assert.deepEqual((await readdir(at.path)).sort(), ["drops.html", "drops.prom"]);

  const signer = join(site.keys, "signing-key.pub");
  const alone = ["status", "--store", site.repository, "--trusted-signer", signer];
  const json = await drops([...alone, "--json"]);
  const report = OUTPUTS.status.strict().parse(JSON.parse(json.stdout));
  assert.deepEqual([json.exit, report.state, report.measuredAgainst], [0, "amber", "defaults"]);
  const refused = await drops([...alone, "--html", join(at.path, "none", "x.html")]);
  assert.equal(refused.exit, 2);
  assert.match(refused.stderr, /cannot write .*x\.html: ENOENT/);

  assert.equal(report.verifies.last, undefined);
  const alike = ["verify", "--routine", "--store", site.repository, "--trusted-signer", signer, "--json"];
  const keyless = await drops(alike);
  const { evidence, notes, damage } = OUTPUTS.verify.parse(JSON.parse(keyless.stdout));
  assert.deepEqual([keyless.exit, evidence, damage], [0, undefined, []], keyless.stderr);
  assert.match(notes.join("\n"), /nothing was published: no key given to sign the evidence/);
  const own = join(at.path, "verify-key");
  await site.policy({ more: `verify: { signing_key_file: ${own} }\n` });
  const without = await site.drops("verify", "--routine");
  assert.equal(without.exit, 0, without.stderr);
  assert.match(without.stdout, /nothing was published: signing key \S+\/verify-key does not exist/);
  await writeFile(own, newSigningKey("verify").privateKey, { mode: 0o600 });
  const verified = await site.drops("verify", "--routine");
  assert.doesNotMatch(verified.stdout, /signed with the policy's signing key/);
  assert.equal(verified.exit, 0, verified.stderr);
  const since = await site.drops("status");
  assert.match(
    since.stdout,
    /\n {2}\S+ \S+ \S+, .* ago: nothing damaged; \d+ objects, \d+ hashed in place, 1 pack .* read back\n {2}all data was read back since \d/,
  );

  const more = "  - { name: logs, kind: command, argv: [cat, /nothing/of/this/name] }\n";
  await site.policy({ sources: `  - { name: words, kind: command, argv: [printf, "some words"] }\n${more}` });
  await site.drops("backup");
  const late = await site.drops("status");
  assert.equal(late.exit, 21);
  assert.match(late.stderr, /^drops: \S+ is late: logs failed in the last backup that tried it: /);
  assert.match(
    late.stderr,
    /\(and 4 more\)\nhint: drops doctor --only sources {2}shows what to do; then drops backup --source logs\n$/,
  );
});
