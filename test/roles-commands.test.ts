import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { OUTPUTS } from "../src/cli/outputs.ts";
import { newSigningKey } from "../src/seal/keygen.ts";
import { ROLES, type Role } from "../src/store/roles.ts";
import { startS3 } from "./support/s3.ts";
import { makeAccount, type S3User } from "./support/s3-users.ts";
import { scratchDirectory } from "./support/scratch.ts";
import { openSite } from "./support/site.ts";

// The real commands under the permissions that `drops iam` prints, enforced by a real server.
const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());
const account = await makeAccount(s3);
after(() => account[Symbol.asyncDispose]());
const scratch = await scratchDirectory();
after(() => scratch[Symbol.asyncDispose]());
const bucket = await account.root.makeBucket();
const keyFile = join(scratch.path, "credentials");
const evidenceKey = join(scratch.path, "evidence-key");
const evidenceSigner = newSigningKey("drill");
await writeFile(evidenceKey, evidenceSigner.privateKey, { mode: 0o600 });
await writeFile(`${evidenceKey}.pub`, evidenceSigner.publicKey);

const become = (user: S3User): Promise<void> => {
  const { accessKeyId, secretAccessKey } = user.credentials;
  const text = `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\n`;
  return writeFile(keyFile, text, { mode: 0o600 });
};
const source = join(scratch.path, "source");
await writeFile(source, "one");
await become(account.root);
const site = await openSite({
  store: `{ s3: { bucket: ${bucket}, endpoint: "${s3.endpoint}", credentials_file: ${keyFile} } }`,
  sources: `  - { name: words, kind: files, paths: [${source}] }\n`,
  more: "keep: { last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0 }\n",
});
after(() => site[Symbol.asyncDispose]());

const users = new Map<Role | "stranger", S3User>([["stranger", await account.makeUser("stranger")]]);
for (const role of ROLES) {
  const user = await account.makeUser(role);
  const printed = await site.drops("iam", role);
  assert.equal(printed.exit, 0, printed.stderr);
  await account.setUserPolicy(user, JSON.parse(printed.stdout));
  users.set(role, user);
}

const identity = ["--identity", site.identity];
const to = (name: string): string => join(scratch.path, name);
const table: readonly {
  readonly who: Role | "stranger";
  readonly line: readonly string[];
  readonly exit: 0 | 11;
}[] = [
  { who: "writer", line: ["backup"], exit: 0 },
  { who: "writer", line: ["snapshots"], exit: 0 },
  { who: "writer", line: ["ls", "latest"], exit: 0 },
  { who: "writer", line: ["restore", "--date", "latest", "--to", to("writer"), ...identity], exit: 11 },
  { who: "writer", line: ["verify", "--read-data"], exit: 11 },
  { who: "janitor", line: ["snapshots"], exit: 0 },
  { who: "janitor", line: ["plan"], exit: 0 },
  { who: "restorer", line: ["plan"], exit: 0 },
  { who: "writer", line: ["pin", "latest"], exit: 11 },
  { who: "restorer", line: ["pin", "latest"], exit: 0 },
  { who: "restorer", line: ["unpin", "latest"], exit: 11 },
  { who: "janitor", line: ["unpin", "latest"], exit: 0 },
  { who: "janitor", line: ["pin", "latest"], exit: 0 },
  { who: "writer", line: ["prune", "--yes"], exit: 11 },
  { who: "restorer", line: ["prune", "--yes"], exit: 11 },
  { who: "janitor", line: ["prune", "--yes"], exit: 0 },
  { who: "restorer", line: ["withdraw", "latest", "--why", "tried"], exit: 11 },
  { who: "janitor", line: ["withdraw", "latest", "--why", "tried"], exit: 0 },
  { who: "writer", line: ["plan"], exit: 11 }, // it cannot read the notes that lie there now
  { who: "writer", line: ["backup"], exit: 0 },
  { who: "writer", line: ["snapshots"], exit: 0 },
  { who: "janitor", line: ["backup"], exit: 11 },
  { who: "janitor", line: ["ls", "latest", ...identity], exit: 11 },
  { who: "janitor", line: ["restore", "--date", "latest", "--to", to("janitor"), ...identity], exit: 11 },
  { who: "keeper", line: ["snapshots"], exit: 0 },
  { who: "keeper", line: ["backup"], exit: 11 },
  { who: "keeper", line: ["restore", "--date", "latest", "--to", to("keeper"), ...identity], exit: 11 },
  { who: "restorer", line: ["snapshots"], exit: 0 },
  { who: "restorer", line: ["ls", "latest"], exit: 0 },
  { who: "restorer", line: ["restore", "--date", "latest", "--to", to("restorer"), ...identity], exit: 0 },
  { who: "restorer", line: ["verify", "--read-data", ...identity], exit: 0 },
  { who: "restorer", line: ["verify", "--routine", "--signing-key", evidenceKey], exit: 0 },
  { who: "janitor", line: ["verify", "--objects", "--publish", "--signing-key", evidenceKey], exit: 0 },
  { who: "janitor", line: ["verify", "--routine", "--signing-key", evidenceKey], exit: 0 },
  { who: "janitor", line: ["verify", "--read-data", "--publish", "--signing-key", evidenceKey], exit: 11 },
  { who: "writer", line: ["verify", "--routine"], exit: 0 }, // says what it could not do; the tests below look
  { who: "writer", line: ["verify", "--publish"], exit: 11 },
  { who: "restorer", line: ["backup"], exit: 11 },
  { who: "stranger", line: ["snapshots"], exit: 11 },
  { who: "stranger", line: ["backup"], exit: 11 },
  { who: "stranger", line: ["init"], exit: 11 },
];

for (const { who, line, exit } of table) {
  test(`${who}: drops ${line.slice(0, 2).join(" ")} ends with ${exit}`, async () => {
    const user = users.get(who);
    assert.ok(user);
    await become(user);
    const before = await objects();
    if (line[0] === "backup") await writeFile(source, `changed at ${Date.now()}`);
    const { exit: ended, stdout, stderr } = await site.drops(...line);
    assert.equal(ended, exit, stdout + stderr);
    if (exit === 0) return;
    assert.match(stderr, /access denied/);
    assert.deepEqual(await objects(), before, "a refused command leaves nothing in the bucket");
  });
}

test("of the two snapshots the janitor's prune left one, and the writer added another", async () => {
  const records = (await objects()).filter((key) => /\/snapshots\/[^/]*\.json$/.test(key));
  assert.equal(records.length, 2);
});

test("what the restorer brought back is what the writer backed up", async () => {
  const restored = await readFile(join(to("restorer"), "words", source), "utf8");
  assert.match(restored, /^changed at \d+$/);
});

test("restorer: a drill proves the snapshot and publishes its evidence; the writer's drill is refused", async () => {
  const evidence = ["--evidence", to("evidence"), "--signing-key", evidenceKey, "--publish"];
  const line = ["drill", ...evidence, ...identity, "--json"];
  const restorer = users.get("restorer");
  const writer = users.get("writer");
  assert.ok(restorer && writer);
  await become(restorer);
  const done = await site.drops(...line);
  assert.equal(done.exit, 0, done.stdout + done.stderr);
  const { evidence: proof, verdict } = OUTPUTS.drill.parse(JSON.parse(done.stdout));
  assert.equal(verdict, "proven");
  const published = await evidenceObjects();
  assert.deepEqual(published, [`drops/${proof?.published}`, `drops/${proof?.published}.sig`]);
  await become(writer);
  const refused = await site.drops(...line);
  assert.equal(refused.exit, 11, refused.stdout + refused.stderr);
  assert.deepEqual(await evidenceObjects(), published);
  for (const user of [writer, users.get("janitor")]) {
    assert.ok(user);
    await become(user);
    const told = await site.drops("status", "--json", "--trusted-signer", `${evidenceKey}.pub`);
    assert.equal(OUTPUTS.status.parse(JSON.parse(told.stdout)).drills.count, 1, told.stderr);
  }
});

async function evidenceObjects(): Promise<string[]> {
  return (await objects()).filter((key) => /\/evidence\/[^/.]*\.json(\.sig)?$/.test(key));
}

async function objects(): Promise<string[]> {
  const { Contents } = await account.root.client.send(new ListObjectsV2Command({ Bucket: bucket }));
  return (Contents ?? []).map(({ Key }) => Key ?? "");
}
