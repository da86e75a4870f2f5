import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { encodeEvidence } from "../../src/drill/evidence.ts";
import { publishEvidence } from "../../src/drill/publish.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { putFound } from "../../src/snapshot/finding.ts";
import { putNote } from "../../src/snapshot/pin.ts";
import { openDirectoryStore } from "../../src/store/directory.ts";
import { publishVerify } from "../../src/verify/evidence.ts";
import { sampleEvidence } from "../support/sample-evidence.ts";
import { sampleVerifyEvidence } from "../support/sample-verify-evidence.ts";
import { openSite } from "../support/site.ts";

// A key of a drill's machine that also withdraws and verifies: named it is believed by every command, revoked by none.
const HOW = { signal: new AbortController().signal };
const site = await openSite();
after(() => site[Symbol.asyncDispose]());
const { privateKey } = newSigningKey("role");
const signer = signerFromText(privateKey, "the key of the role");
const store = await openDirectoryStore(site.repository);
const at = new Date().toISOString();
const { id: repository } = JSON.parse(await readFile(join(site.repository, "repository.json"), "utf8"));
const place = { repository, policy: "site" } as const;
const [first = ""] = await ids();
await site.drops("backup");
const newest = (await ids()).at(-1) ?? "";

const id = "0123456789abcdef";
const proven = sampleEvidence({ ...place, id, ended: at, verdict: "proven", whole: true });
const ofFirst = { ...proven, snapshot: { ...proven.snapshot, id: first } };
await publishEvidence(store, ofFirst, encodeEvidence(ofFirst), signer, HOW);
await publishVerify(store, sampleVerifyEvidence({ ...place, id, ended: at }), signer, { ...HOW });
const destroy = { answer: "no" as const, found: ["it was refused"] };
const recovery = { recipients: ["age1x"], snapshot: newest };
await putFound(store, { ...place, at, tool: "drops test", destroy, recovery }, { ...HOW, signer });
const note = { drops: "withdrawn", format: 1, ...place, snapshot: newest, at, why: "broken in" } as const;
await putNote(store, note, { ...HOW, signer });

async function ids(): Promise<string[]> {
  const { stdout } = await site.drops("snapshots", "--json");
  return OUTPUTS.snapshots.parse(JSON.parse(stdout)).snapshots.map((snapshot) => snapshot.id);
}

const ROLES = `prune:
  trusted_signers: ["${signer.publicKey}"]
  drill_signers: ["${signer.publicKey}"]
verify: { every: 1d }
`;

async function policy(isRevoked: boolean): Promise<void> {
  await site.policy({ more: ROLES });
  const file = join(site.directory, "policy.yaml");
  const revoked = `keys:\n  revoked_signers: [{ key: "${signer.publicKey}", before: 2999-01-01T00:00:00Z }]\n`;
  if (isRevoked) await writeFile(file, (await readFile(file, "utf8")).replace("keys:\n", revoked));
}

/** What status, plan and verify make of what that key said. */
async function heard() {
  const { stdout } = await site.drops("status", "--json");
  const { drills, verifies, destroy, restore, state } = OUTPUTS.status.parse(JSON.parse(stdout));
  const plan = OUTPUTS.plan.parse(JSON.parse((await site.drops("plan", "--json")).stdout));
  const guards = plan.snapshots.find((one) => one.id === first)?.reasons ?? [];
  const verify = await site.drops("verify", "--json");
  const { notes } = OUTPUTS.verify.parse(JSON.parse(verify.stdout));
  return {
    state,
    drill: drills.count,
    verify: verifies.last?.id === id,
    finding: destroy.answer,
    note: restore.newest?.id === first,
    "plan: proven": guards.some((why) => why.includes("proven")),
    "plan: withdrawn": plan.snapshots.find((one) => one.id === newest)?.slots.length === 0,
    "verify: goes on from it": !notes.some((one) => one.startsWith("not trusted")),
  };
}

test("named: drill, verify, finding and withdrawal are heeded by status, plan and verify alike", async () => {
  await policy(false);
  assert.deepEqual(await heard(), {
    state: "green",
    drill: 1,
    verify: true,
    finding: "no",
    note: true,
    "plan: proven": true,
    "plan: withdrawn": true,
    "verify: goes on from it": true,
  });
});

test("named and revoked: none of them is, whenever it landed", async () => {
  await policy(true);
  assert.deepEqual(await heard(), {
    state: "unproven",
    drill: 0,
    verify: false,
    finding: "not proven",
    note: false,
    "plan: proven": false,
    "plan: withdrawn": false,
    "verify: goes on from it": false,
  });
});

test("a revoked key signs nothing here: no drill, verify, pin or prune", async () => {
  await policy(true);
  const key = join(site.directory, "role-key");
  await writeFile(key, privateKey, { mode: 0o600 });
  const file = join(site.directory, "policy.yaml");
  await writeFile(
    file,
    (await readFile(file, "utf8")).replace("prune:\n", `prune:\n  signing_key_file: ${key}\n`),
  );
  for (const args of [
    ["drill", "--evidence", join(site.directory, "evidence"), "--signing-key", key],
    ["verify", "--publish", "--signing-key", key],
    ["pin", first, "--why", "kept"],
    ["withdraw", first, "--why", "bad"],
    ["prune", "--yes"],
  ]) {
    const { exit, stderr } = await site.drops(...args);
    assert.deepEqual([args[0], exit], [args[0], 13], stderr);
    assert.match(stderr, /the signing key \S+ is among keys\.revoked_signers/);
  }
});
