import assert from "node:assert/strict";
import { copyFile, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { BackupReport } from "../src/backup/report.ts";
import type { SheetReport } from "../src/paper/report.ts";
import { fingerprint } from "../src/seal/sshsig.ts";
import type { KeysReport } from "../src/verify/keys-report.ts";
import { drops } from "./support/in-process.ts";
import { openSite, type Site } from "./support/site.ts";

// The keys of a policy are changed one after the other, as docs/keys.md tells, and `drops keys` says how far it has come.
let site: Site;
let later: string;
const inKeys = (name: string) => join(site.keys, name);
const inLater = (name: string) => join(later, name);
before(async () => {
  site = await openSite();
  later = join(site.directory, "later");
  assert.equal((await drops(["keygen", "--to", later])).exit, 0);
});
after(() => site[Symbol.asyncDispose]());

async function keys(...more: readonly string[]): Promise<KeysReport> {
  const { stdout, stderr, exit } = await site.drops("keys", "--json", ...more);
  assert.equal(exit, 0, stderr);
  return JSON.parse(stdout);
}

async function backup(): Promise<string> {
  return (await backupReport()).snapshot.id;
}

async function backupReport(): Promise<BackupReport> {
  const { stdout, stderr, exit } = await site.drops("backup", "--json");
  assert.equal(exit, 0, stderr);
  return JSON.parse(stdout);
}

/** The packs that lie in the repository, and their bytes. */
async function storedPacks(): Promise<{ packs: number; bytes: number }> {
  const packs = (await site.objects()).filter((file) => /\/packs\/..\/[0-9a-f]{64}$/.test(file));
  const sizes = await Promise.all(packs.map(async (file) => (await stat(file)).size));
  return { packs: packs.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** What `drops restore` of a snapshot with one identity comes to: its exit code. */
async function restored(snapshot: string, identity: string, name: string): Promise<number | undefined> {
  const to = join(site.directory, name);
  return (await site.drops("restore", "--snapshot", snapshot, "--identity", identity, "--to", to)).exit;
}

const line = async (file: string) =>
  (await readFile(file, "utf8")).split("\n").find((each) => /^[^#]/.test(each)) ?? "";
const shares = ({ sealedTo }: KeysReport) =>
  sealedTo.map(({ current, snapshots, sources }) => ({ current, snapshots, sources }));

test("one set, the policy's, holds everything; one key signed it", async () => {
  const report = await keys();
  assert.deepEqual(
    report.named.map(({ role, key }) => [role, key]),
    [
      ["recovery-recipient", await line(inKeys("recovery-recipients.txt"))],
      ["metadata-recipient", /age1\w+/.exec(await readFile(inKeys("metadata-identity.txt"), "utf8"))?.[0]],
      ["signing-key", (await line(inKeys("signing-key.pub"))).split(" ").slice(0, 2).join(" ")],
    ],
  );
  const [set] = report.sealedTo;
  assert.deepEqual(shares(report), [{ current: true, snapshots: 1, sources: 1 }]);
  assert.deepEqual(
    { packs: set?.packs, bytes: set?.bytes, share: set?.share },
    { ...(await storedPacks()), share: 1 },
  );
  assert.deepEqual(
    report.signers.map(({ current, snapshots }) => ({ current, snapshots })),
    [{ current: true, snapshots: 1 }],
  );
  assert.deepEqual([report.notBelieved, report.notes], [0, []]);
});

test("no secret is printed", async () => {
  const { stdout, stderr } = await site.drops("keys");
  const secrets = await Promise.all(
    ["recovery-identity.txt", "metadata-identity.txt"].map((name) => line(inKeys(name))),
  );
  for (const secret of secrets) {
    assert.match(secret, /^AGE-SECRET-KEY-/);
    assert.ok(!`${stdout}${stderr}`.includes(secret));
  }
  assert.doesNotMatch(`${stdout}${stderr}`, /AGE-SECRET-KEY|PRIVATE KEY/);
});

test("a second recovery recipient opens what is backed up from then on, whole; nothing earlier", async () => {
  const before = await storedPacks();
  const first = (await idsOf()).at(-1) ?? "";
  const both = await Promise.all([inKeys, inLater].map((of) => line(of("recovery-recipients.txt"))));
  await writeFile(inKeys("recovery-recipients.txt"), `${both.join("\n")}\n`);
  assert.deepEqual(shares(await keys()), [{ current: false, snapshots: 1, sources: 1 }]);
  const second = await backup();
  const report = await keys();
  assert.deepEqual(shares(report), [
    { current: true, snapshots: 1, sources: 1 },
    { current: false, snapshots: 1, sources: 1 },
  ]);
  assert.equal(report.sealedTo[1]?.bytes, before.bytes);
  assert.equal(
    report.sealedTo.reduce((sum, { bytes }) => sum + bytes, 0),
    (await storedPacks()).bytes,
  );
  assert.equal(
    report.sealedTo.reduce((sum, { share }) => sum + share, 0),
    1,
  );
  const identity = inLater("recovery-identity.txt");
  assert.equal(await restored(second, identity, "second-by-new"), 0);
  assert.equal(await restored(second, site.identity, "second-by-old"), 0);
  assert.equal(await restored(first, identity, "first-by-new"), 13);
});

test("a retired identity opens nothing that is backed up from then on, and what came before for ever", async () => {
  const [first = ""] = await idsOf();
  await copyFile(inLater("recovery-recipients.txt"), inKeys("recovery-recipients.txt"));
  const third = await backup();
  assert.deepEqual(
    (await keys()).sealedTo.map(({ current }) => current),
    [true, false, false],
  );
  assert.equal(await restored(third, inLater("recovery-identity.txt"), "third-by-new"), 0);
  assert.equal(await restored(third, site.identity, "third-by-old"), 13);
  assert.equal(await restored(first, site.identity, "first-by-old"), 0);
  const { stdout } = await site.drops("keys");
  assert.match(stdout, /2 sets are not the policy's: keep the identities/);
});

test("another metadata identity: the next backup sends everything once more, says so, and restores", async () => {
  await copyFile(inLater("metadata-identity.txt"), inKeys("metadata-identity.txt"));
  const { snapshot, sources } = await backupReport();
  assert.match(
    sources[0]?.notes.join("\n") ?? "",
    /an earlier manifest is of no use, so what it knew is read again/,
  );
  assert.equal(sources[0]?.newBytes, "some words".length);
  assert.equal(await restored(snapshot.id, inLater("recovery-identity.txt"), "fourth"), 0);
});

test("another signing key, the old one in trusted_signers: both sign what is believed", async () => {
  const old = await line(inKeys("signing-key.pub"));
  await copyFile(inLater("signing-key"), inKeys("signing-key"));
  assert.equal(
    (await site.drops("backup")).exit,
    13,
    "repository.json is the old key's, which nobody believes here",
  );
  const file = join(site.directory, "policy.yaml");
  const signing = `  signing_key_file: ${site.keys}/signing-key\n`;
  const policy = await readFile(file, "utf8");
  await writeFile(file, policy.replace(signing, `${signing}  trusted_signers: [${JSON.stringify(old)}]\n`));
  await backup();
  const { signers } = await keys();
  assert.deepEqual(
    signers.map(({ current, snapshots }) => ({ current, snapshots })),
    [
      { current: false, snapshots: 4 },
      { current: true, snapshots: 1 },
    ],
  );
});

test("the recovery sheet holds both signers, the one that signs now first", async () => {
  const [to, identity] = [join(site.directory, "sheet"), inLater("recovery-identity.txt")];
  const made = await site.drops("keygen", "--recovery", "--identity", identity, "--to", to, "--json");
  assert.equal(made.exit, 0, made.stderr);
  const pairs = await Promise.all([inLater, inKeys].map((of) => line(of("signing-key.pub"))));
  assert.deepEqual(
    (JSON.parse(made.stdout) as SheetReport).signers,
    pairs.map((key) => ({ fingerprint: fingerprint(key) })),
  );
});

test("who is not trusted is counted, and said", async () => {
  const signer = inKeys("signing-key.pub"); // the old one's: the new one signed one record
  const { stdout, exit } = await drops([
    "keys",
    "--json",
    "--store",
    site.repository,
    "--trusted-signer",
    signer,
  ]);
  assert.equal(exit, 0);
  const report: KeysReport = JSON.parse(stdout);
  assert.deepEqual([report.named, report.notBelieved], [[], 1]);
  assert.equal(report.signers.length, 1);
  assert.ok(
    report.sealedTo.every((set) => !("current" in set)),
    "which set is current is not known",
  );
  assert.match(
    report.notes.join("\n"),
    /^no policy: .*\nsnapshot record \S+ is signed by a key that is not trusted$/,
  );
});

test("a revoked key: what landed before stays, nothing it signs from then on counts, and it signs no more backups", async () => {
  const file = join(site.directory, "policy.yaml");
  const policy = await readFile(file, "utf8");
  const old = await line(inKeys("signing-key.pub"));
  const revoking = (key: string, before: string) =>
    writeFile(
      file,
      policy.replace(
        / {2}trusted_signers: .*/,
        `  revoked_signers: [{ key: ${JSON.stringify(key)}, before: ${before} }]`,
      ),
    );
  await revoking(old, "2999-01-01T00:00:00Z");
  const report = await keys();
  assert.deepEqual(
    report.signers.map(({ snapshots }) => snapshots),
    [4, 1],
  );
  const named = report.named.find(({ role }) => role === "revoked-signer");
  assert.deepEqual([named?.key, named?.before], [old.split(" ", 2).join(" "), "2999-01-01T00:00:00.000Z"]);
  assert.equal((await site.drops("plan")).exit, 0, "the janitor heeds it as well");
  await backup();
  await revoking(old, "2001-01-01T00:00:00Z"); // then repository.json itself landed too late
  for (const command of ["backup", "plan", "verify"])
    assert.equal((await site.drops(command)).exit, 13, command);
  await revoking(await line(inLater("signing-key.pub")), "2999-01-01T00:00:00Z");
  const { exit, stderr } = await site.drops("backup");
  assert.equal(exit, 13);
  assert.match(
    stderr,
    /the signing key \S+ is among keys\.revoked_signers\nhint: make a new key: ssh-keygen/,
  );
  await revoking("ssh-ed25519 AAAA", "2999-01-01T00:00:00Z");
  const wrong = await site.drops("snapshots");
  assert.equal(wrong.exit, 13, "a line that is no key would revoke nothing");
  await writeFile(file, policy);
});

test("a machine that has none of the files names what it lacks", async () => {
  await Promise.all(
    ["metadata-identity.txt", "recovery-recipients.txt", "signing-key"].map((name) => rm(inKeys(name))),
  );
  const report = await keys();
  assert.deepEqual(
    report.named.map(({ role, key }) => [role, key !== undefined]),
    [
      ["recovery-recipient", false],
      ["metadata-recipient", false],
      ["signing-key", false],
      ["trusted-signer", true],
    ],
  );
  assert.equal(report.notes.filter((note) => note.endsWith("is not on this machine")).length, 3);
});

async function idsOf(): Promise<string[]> {
  const { stdout } = await site.drops("snapshots", "--json");
  return JSON.parse(stdout).snapshots.map(({ id }: { id: string }) => id);
}
