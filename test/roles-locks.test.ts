import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
} from "@aws-sdk/client-s3";
import { OUTPUTS } from "../src/cli/outputs.ts";
import { ROLES, type Role } from "../src/store/roles.ts";
import { startS3 } from "./support/s3.ts";
import { makeAccount, type S3User } from "./support/s3-users.ts";
import { scratchDirectory } from "./support/scratch.ts";
import { openSite } from "./support/site.ts";

// The real commands in a bucket with Object Lock, under the permissions that `drops iam` prints, enforced by a real server.
const DAY = 86_400_000;
const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());
const account = await makeAccount(s3);
after(() => account[Symbol.asyncDispose]());
const scratch = await scratchDirectory();
after(() => scratch[Symbol.asyncDispose]());
const { client } = account.root;
const bucket = await account.root.makeBucket({ objectLock: true });
const keyFile = join(scratch.path, "credentials");
const become = (user: S3User): Promise<void> => {
  const { accessKeyId, secretAccessKey } = user.credentials;
  const text = `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\n`;
  return writeFile(keyFile, text, { mode: 0o600 });
};
const source = join(scratch.path, "source");
await writeFile(source, "one");
await become(account.root);
const rules = "keep: { last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0 }\n";
const site = await openSite({
  store: `{ s3: { bucket: ${bucket}, endpoint: "${s3.endpoint}", credentials_file: ${keyFile} } }`,
  sources: `  - { name: words, kind: files, paths: [${source}] }\n`,
  more: `${rules}object_lock: { margin: 3d, max: 30d }\n`,
});
after(() => site[Symbol.asyncDispose]());
const users = new Map<Role, S3User>();
for (const role of ROLES) {
  const user = await account.makeUser(role);
  const printed = await site.drops("iam", role);
  assert.equal(printed.exit, 0, printed.stderr);
  await account.setUserPolicy(user, JSON.parse(printed.stdout));
  users.set(role, user);
}

async function as(role: Role, exit: number, ...line: string[]): Promise<{ stdout: string; stderr: string }> {
  await become(userOf(role));
  const done = await site.drops(...line);
  assert.equal(done.exit, exit, `${role}: drops ${line.join(" ")}: ${done.stdout}${done.stderr}`);
  return done;
}

function userOf(role: Role): S3User {
  const user = users.get(role);
  assert.ok(user);
  return user;
}

interface Version {
  readonly Key: string;
  readonly VersionId: string;
  readonly IsLatest: boolean;
}

/** Without markers; those that landed last first. */
async function versions(): Promise<Version[]> {
  const { Versions } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  return (Versions ?? []).map(({ Key = "", VersionId = "", IsLatest = false }) => ({
    Key,
    VersionId,
    IsLatest,
  }));
}

async function lockOf({ Key, VersionId }: Version): Promise<Date | undefined> {
  const command = new GetObjectRetentionCommand({ Bucket: bucket, Key, VersionId });
  try {
    return (await client.send(command)).Retention?.RetainUntilDate;
  } catch (error) {
    assert.match(String(error), /ObjectLockConfiguration/);
    return undefined;
  }
}

async function daysLocked(version: Version | undefined): Promise<number> {
  assert.ok(version);
  return (((await lockOf(version))?.getTime() ?? 0) - Date.now()) / DAY;
}

const matching = async (key: RegExp): Promise<Version[]> =>
  (await versions()).filter(({ Key }) => key.test(Key));

test("the writer's backup locks all that it puts, until the plan lets it go and a margin longer", async () => {
  const before = new Set((await versions()).map(({ VersionId }) => VersionId));
  await writeFile(source, "two");
  await as("writer", 0, "backup");
  const put = (await versions()).filter(({ VersionId }) => !before.has(VersionId));
  assert.ok(put.length >= 5, "a pack, a list, a manifest, a record and its signature");
  for (const version of put) {
    const days = await daysLocked(version); // with `last: 1` it goes tomorrow
    assert.ok(days > 3.9 && days < 4.1, `${version.Key}: ${days}`);
  }
});

test("the writer can neither delete nor remove a version, nor shorten a lock; nor can the owner remove what is locked", async () => {
  const [pack] = await matching(/\/packs\//);
  assert.ok(pack);
  const named = { Bucket: bucket, Key: pack.Key, VersionId: pack.VersionId };
  const writer = userOf("writer").client;
  const until = (days: number) =>
    ({ Mode: "GOVERNANCE", RetainUntilDate: new Date(Date.now() + days * DAY) }) as const;
  const denied = { name: "AccessDenied" };
  await assert.rejects(writer.send(new DeleteObjectCommand({ Bucket: bucket, Key: pack.Key })), denied);
  await assert.rejects(writer.send(new DeleteObjectCommand(named)), denied);
  const bypass = { BypassGovernanceRetention: true };
  await assert.rejects(writer.send(new DeleteObjectCommand({ ...named, ...bypass })), denied);
  const shorter = { ...named, Retention: until(1) };
  await assert.rejects(writer.send(new PutObjectRetentionCommand(shorter)), denied);
  await assert.rejects(writer.send(new PutObjectRetentionCommand({ ...shorter, ...bypass })), denied);
  await assert.rejects(client.send(new DeleteObjectCommand(named)), denied, "its owner");
  assert.ok((await daysLocked(pack)) > 3.9);
});

test("the keeper extends what is due, by its dry run first, and has nothing to do the second time", async () => {
  const dry = OUTPUTS.keeper
    .strict()
    .parse(JSON.parse((await as("keeper", 0, "keeper", "--dry-run", "--json")).stdout));
  const [description] = await matching(/repository\.json$/);
  assert.ok(description);
  assert.equal(await lockOf(description), undefined, "a dry run changes nothing");
  const { stdout } = await as("keeper", 0, "keeper", "--json");
  const report = OUTPUTS.keeper.strict().parse(JSON.parse(stdout));
  assert.deepEqual([report.extended, report.failed, report.problems], [dry.extended, [], []]);
  assert.ok(report.extended.objects >= 4, "repository.json, its signature, and recovery/, which init put");
  assert.ok((await daysLocked(description)) > 5.9);
  const again = OUTPUTS.keeper.parse(JSON.parse((await as("keeper", 0, "keeper", "--json")).stdout));
  assert.equal(again.extended.objects, 0);
  assert.equal(again.lockedUntil, report.lockedUntil);
});

test("no other role can be the keeper, and the keeper can do nothing else", async () => {
  for (const role of ["writer", "janitor", "restorer"] as const) {
    const { stderr } = await as(role, 11, "keeper");
    assert.match(stderr, /access denied/);
  }
  await as("keeper", 11, "backup");
  await as("keeper", 11, "prune", "--yes");
});

test("the janitor's prune leaves a marker: what it removed is told as held, and cannot be removed for good", async () => {
  const { stdout } = await as("janitor", 0, "prune", "--yes", "--json");
  const report = OUTPUTS.prune.strict().parse(JSON.parse(stdout));
  assert.equal(report.forgotten.length, 1);
  assert.ok(
    report.held && report.held.objects === 2 && report.held.bytes > 1000,
    JSON.stringify(report.held),
  );
  const gone = (await matching(/\/snapshots\//)).filter(({ IsLatest }) => !IsLatest);
  assert.equal(gone.length, 2, "the record and its signature");
  for (const { Key, VersionId } of gone) {
    const removal = new DeleteObjectCommand({ Bucket: bucket, Key, VersionId });
    await assert.rejects(client.send(removal), { name: "AccessDenied" });
  }
  const plan = OUTPUTS.plan.strict().parse(JSON.parse((await as("janitor", 0, "plan", "--json")).stdout));
  assert.deepEqual(plan.held, report.held);
});

test("what the writer puts over and the janitor removes is restored below it; the keeper names it, and locks it on", async () => {
  const to = (name: string): string[] => ["--to", join(scratch.path, name), "--identity", site.identity];
  const record = (await matching(/\/snapshots\/.*json$/)).find(({ IsLatest }) => IsLatest);
  const lists = await matching(/\/lists\//);
  assert.ok(record && lists.length > 0);
  const packs = await matching(/\/packs\//);
  for (const { Key } of packs)
    await userOf("writer").client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "rubbish" }));
  for (const { Key } of lists)
    await userOf("janitor").client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
  const { stdout, stderr } = await as("keeper", 20, "keeper", "--json");
  const { hidden, missing, failed } = OUTPUTS.keeper.parse(JSON.parse(stdout));
  assert.match(stderr, /are hidden/);
  assert.deepEqual([missing, failed], [[], []]);
  assert.ok(
    hidden.some(({ key, marker }) => !marker && key.includes("/packs/")),
    stdout,
  );
  assert.ok(
    hidden.some(({ key, marker }) => marker && key.includes("/lists/")),
    stdout,
  );
  const named = packs.map(({ VersionId }) => VersionId);
  for (const { key, version } of hidden) if (key.includes("/packs/")) assert.ok(named.includes(version), key);
  const refused = await as("restorer", 20, "restore", "--date", "latest", ...to("current"));
  assert.match(refused.stderr, /--hidden/);
  await as("restorer", 0, "restore", "--date", "latest", ...to("hidden"), "--hidden");
  assert.equal(await readFile(join(scratch.path, "hidden", "words", source), "utf8"), "two");
  await as("restorer", 0, "verify", "--read-data", "--identity", site.identity, "--hidden");
});

test("what the janitor removed altogether is listed and restored below the markers", async () => {
  const records = await matching(/\/snapshots\//);
  for (const { Key } of records)
    await userOf("janitor").client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
  await as(
    "restorer",
    10,
    "restore",
    "--date",
    "latest",
    "--to",
    join(scratch.path, "gone"),
    "--identity",
    site.identity,
  );
  const { stdout } = await as("restorer", 0, "snapshots", "--hidden", "--json");
  assert.equal(OUTPUTS.snapshots.parse(JSON.parse(stdout)).snapshots.length, 2);
  const line = [
    "restore",
    "--date",
    "latest",
    "--to",
    join(scratch.path, "all"),
    "--identity",
    site.identity,
  ];
  await as("restorer", 0, ...line, "--hidden");
  assert.equal(await readFile(join(scratch.path, "all", "words", source), "utf8"), "two");
});

test("a backup that shall lock in a bucket without Object Lock says so, and commits nothing", async () => {
  const plain = await account.root.makeBucket();
  await become(account.root);
  const more = `${rules}object_lock: { margin: 3d, max: 30d }\n`;
  const store = `{ s3: { bucket: ${plain}, endpoint: "${s3.endpoint}", credentials_file: ${keyFile} } }`;
  await site.policy({ store, more });
  assert.equal((await site.drops("init")).exit, 0);
  const { exit, stderr } = await site.drops("backup");
  assert.equal(exit, 11, stderr);
  assert.match(stderr, /the store cannot lock objects\n.*bucket with Object Lock/);
  const keeper = await site.drops("keeper");
  assert.equal(keeper.exit, 11, keeper.stderr);
  assert.match(keeper.stderr, /has no Object Lock/);
});
