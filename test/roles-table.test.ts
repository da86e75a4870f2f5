import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import {
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { isFailure } from "../src/lib/errors.ts";
import type { BlobStore } from "../src/store/blob-store.ts";
import { lifecycleOf, ROLES, type Role, rolePolicy } from "../src/store/roles.ts";
import { openS3Store } from "../src/store/s3.ts";
import { startS3 } from "./support/s3.ts";
import { makeAccount, makePlainUser, type S3Owner, type S3User } from "./support/s3-users.ts";

// docs/stores.md, Roles: every cell of its table, asked of a real server by the real store adapter.
// G get, P put what is not there, D delete.
type Cell = "---" | "G--" | "-P-" | "--D" | "GP-" | "G-D" | "GPD" | "-PD";
type Row = { readonly key: string } & Readonly<Record<Role | "stranger", Cell>>;
const table: readonly Row[] = [
  { key: "repository.json", writer: "G--", janitor: "G--", keeper: "G--", restorer: "G--", stranger: "---" },
  {
    key: "repository.json.sig",
    writer: "G--",
    janitor: "G--",
    keeper: "G--",
    restorer: "G--",
    stranger: "---",
  },
  { key: "recovery/x.sh", writer: "G--", janitor: "G--", keeper: "G--", restorer: "G--", stranger: "---" },
  { key: "ops/snapshots/x", writer: "GP-", janitor: "G-D", keeper: "G--", restorer: "G--", stranger: "---" },
  { key: "ops/manifests/x", writer: "GP-", janitor: "--D", keeper: "---", restorer: "G--", stranger: "---" },
  { key: "ops/lists/x", writer: "GP-", janitor: "G-D", keeper: "G--", restorer: "G--", stranger: "---" },
  { key: "ops/packs/aa/x", writer: "-P-", janitor: "--D", keeper: "---", restorer: "G--", stranger: "---" },
  { key: "ops/condemned/x", writer: "G--", janitor: "GPD", keeper: "---", restorer: "G--", stranger: "---" },
  { key: "ops/pins/x", writer: "---", janitor: "GPD", keeper: "G--", restorer: "GP-", stranger: "---" },
  { key: "ops/withdrawn/x", writer: "G--", janitor: "GPD", keeper: "G--", restorer: "G--", stranger: "---" },
  { key: "ops/evidence/x", writer: "G--", janitor: "GP-", keeper: "G--", restorer: "GP-", stranger: "---" },
  { key: "ops/doctor/x", writer: "GP-", janitor: "G--", keeper: "---", restorer: "G--", stranger: "---" },
  { key: "ops/damaged/x", writer: "---", janitor: "GPD", keeper: "---", restorer: "GP-", stranger: "---" },
  // a folder that no role knows, another policy of the same repository, another repository of the same bucket
  { key: "ops/other/x", writer: "---", janitor: "---", keeper: "---", restorer: "---", stranger: "---" },
  { key: "opsy/snapshots/x", writer: "---", janitor: "---", keeper: "---", restorer: "---", stranger: "---" },
  {
    key: "../dropsy/ops/snapshots/x",
    writer: "---",
    janitor: "---",
    keeper: "---",
    restorer: "---",
    stranger: "---",
  },
];
const WHO = [...ROLES, "stranger"] as const;

const HOW = { signal: AbortSignal.timeout(3_600_000) };
const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());
const account = await makeAccount(s3);
after(() => account[Symbol.asyncDispose]());

/** A user for each role, under the policies that `drops iam` prints, in one of their two forms. */
async function underUserPolicies(): Promise<World> {
  const bucket = await account.root.makeBucket();
  const users = await Promise.all(WHO.map((who) => account.makeUser(`${who}-${bucket}`)));
  for (const role of ROLES) {
    const { document } = rolePolicy({ role, bucket, prefix: "drops", policy: "ops", conditions: false });
    await account.setUserPolicy(users[WHO.indexOf(role)] as S3User, document);
  }
  return { bucket, owner: account.root, users };
}

async function underABucketPolicy(): Promise<World> {
  const owner = await makePlainUser(s3, "owner");
  const users = await Promise.all(WHO.map((who) => makePlainUser(s3, who)));
  const bucket = await owner.makeBucket();
  const statements = ROLES.flatMap((role) => {
    const principal = users[WHO.indexOf(role)]?.arn;
    return rolePolicy({ role, bucket, prefix: "drops", policy: "ops", conditions: false, principal }).document
      .Statement;
  });
  await owner.setBucketPolicy(bucket, { Version: "2012-10-17", Statement: statements });
  return { bucket, owner, users };
}

interface World {
  readonly bucket: string;
  readonly owner: S3Owner;
  /** In the order of WHO. */
  readonly users: readonly S3User[];
}

for (const [form, open] of [
  ["policies of users", underUserPolicies],
  ["a policy of the bucket", underABucketPolicy],
] as const) {
  const world = await open();
  for (const [at, who] of WHO.entries()) {
    test(`${form}: ${who} gets, puts and deletes what the table says`, async () => {
      const user = world.users[at];
      assert.ok(user);
      const found: string[] = [];
      for (const row of table) found.push(`${row.key} ${await cell(world, user, row.key)}`);
      assert.deepEqual(
        found,
        table.map((row) => `${row.key} ${row[who]}`),
      );
    });

    test(`${form}: ${who} ${who === "stranger" ? "cannot list" : "lists the repository and nothing else"}`, async () => {
      const user = world.users[at];
      assert.ok(user);
      await using store = await openS3Store(s3.policy(world.bucket), user.credentials);
      const lists = async (prefix: string | undefined): Promise<boolean> => {
        return permitted(
          user.client.send(new ListObjectsV2Command({ Bucket: world.bucket, Prefix: prefix })),
        );
      };
      const expected = who !== "stranger";
      assert.equal(await allowed(listed(store, "")), expected);
      assert.equal(await allowed(listed(store, "ops/packs/")), expected);
      assert.equal(await allowed(store.now(HOW)), expected);
      assert.equal(await lists(undefined), false, "the whole bucket");
      assert.equal(await lists("dropsy/"), false, "another repository");
    });
  }
}

/** What of get, put and delete the server lets `user` do with `key`, each time with an object that the owner put there. */
async function cell({ bucket, owner }: World, user: S3User, key: string): Promise<string> {
  // The adapter's keys hold no dots: what is beside the repository is asked with another prefix.
  const [prefix, within] = key.startsWith("../")
    ? ["dropsy", key.slice("../dropsy/".length)]
    : ["drops", key];
  const policy = s3.policy(bucket, { prefix });
  await using all = await openS3Store(policy, owner.credentials);
  await using store = await openS3Store(policy, user.credentials);
  const bytes = randomBytes(8);
  await all.remove(within, HOW);
  await all.put(within, bytes, HOW);
  const gets = await allowed(
    store.get(within, { ...HOW, maxSize: 8 }).then((got) => assert.ok(bytes.equals(got))),
  );
  assert.equal(
    await allowed(store.checksum(within, HOW)),
    gets,
    `${key}: a checksum is as good as reading it`,
  );
  const deletes = await allowed(store.remove(within, HOW));
  assert.equal(await isThere(all, within), !deletes, `${key} after its removal`);
  await all.remove(within, HOW);
  await all.put(within, bytes, HOW);
  assert.equal(await allowed(store.removeAll([within], HOW)), deletes, `${key} among several`);
  assert.equal(await isThere(all, within), !deletes, `${key} after several were removed`);
  await all.remove(within, HOW);
  // As the adapter lists before it puts, a refused listing could hide a permitted put: asked of the server itself as well.
  const puts = await allowed(store.put(within, bytes, HOW));
  assert.equal(await isThere(all, within), puts, `${key} after it was put`);
  await all.remove(within, HOW);
  assert.equal(await mayPut(user.client, bucket, `${prefix}/${within}`), puts, `${key} by the server itself`);
  return `${gets ? "G" : "-"}${puts ? "P" : "-"}${deletes ? "D" : "-"}`;
}

/** Nothing but missing permission counts as refused. */
async function allowed(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    assert.ok(isFailure(error, "store/refused") && /access denied/.test(error.message), String(error));
    return false;
  }
}

async function isThere(store: BlobStore, key: string): Promise<boolean> {
  return (await listed(store, key)).includes(key);
}

async function listed(store: BlobStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix, HOW)) keys.push(key);
  return keys;
}

function mayPut(client: S3Client, Bucket: string, Key: string): Promise<boolean> {
  return permitted(client.send(new PutObjectCommand({ Bucket, Key, Body: "x" })));
}

/** As `allowed`, for what was asked past the adapter. */
async function permitted(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    assert.ok(error instanceof Error && error.name === "AccessDenied", String(error));
    return false;
  }
}

test("what this server's policies cannot forbid: a writer that puts over what is there", async () => {
  const { bucket, users } = await underUserPolicies();
  const writer = users[WHO.indexOf("writer")];
  assert.ok(writer);
  const put = (Body: string) =>
    writer.client.send(new PutObjectCommand({ Bucket: bucket, Key: "drops/ops/packs/aa/x", Body }));
  await put("first");
  await put("second");
  const named = { Bucket: bucket, Key: "drops/ops/packs/aa/x" };
  assert.equal((await account.root.client.send(new HeadObjectCommand(named))).ContentLength, "second".length);
});

test("a server that does not know s3:if-none-match refuses every put under it, instead of allowing too much", async () => {
  const { bucket, users } = await underUserPolicies();
  const writer = users[WHO.indexOf("writer")];
  assert.ok(writer);
  const options = { role: "writer", bucket, prefix: "drops", policy: "ops", conditions: true } as const;
  await account.setUserPolicy(writer, rolePolicy(options).document);
  await using store = await openS3Store(s3.policy(bucket), writer.credentials);
  assert.equal(await allowed(store.put("ops/packs/aa/x", randomBytes(8), HOW)), false, "with the header");
  assert.equal(await mayPut(writer.client, bucket, "drops/ops/packs/aa/x"), false, "without");
});

test("a bucket's policy does not bind the bucket's owner, who can always put another", async () => {
  const owner = await makePlainUser(s3, "owner");
  const bucket = await owner.makeBucket();
  const own = { bucket, prefix: "drops", policy: "ops", conditions: false, principal: owner.arn } as const;
  const { document } = rolePolicy({ role: "writer", ...own });
  await owner.setBucketPolicy(bucket, document);
  await owner.client.send(new PutObjectCommand({ Bucket: bucket, Key: "drops/ops/packs/aa/x", Body: "x" }));
  const deleting = new DeleteObjectCommand({ Bucket: bucket, Key: "drops/ops/packs/aa/x" });
  await assert.rejects(owner.client.send(deleting), { name: "AccessDenied" });
  const Policy = JSON.stringify({ ...document, Statement: [document.Statement[0]] });
  await owner.client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  await owner.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "drops/ops/packs/aa/x" }));
});

test("no role may change what protects the bucket, or remove a version", async () => {
  const bucket = await account.root.makeBucket({ versioned: true });
  const named = { Bucket: bucket, Key: "drops/ops/packs/aa/x" };
  const { VersionId } = await account.root.client.send(new PutObjectCommand({ ...named, Body: "first" }));
  assert.ok(VersionId);
  for (const role of ROLES) {
    const user = await account.makeUser(`${role}-${bucket}`);
    const { document } = rolePolicy({ role, bucket, prefix: "drops", policy: "ops", conditions: false });
    await account.setUserPolicy(user, document);
    const Policy = JSON.stringify(document);
    const LifecycleConfiguration = { Rules: [] };
    const VersioningConfiguration = { Status: "Suspended" } as const;
    const at = { Bucket: bucket };
    const attempts = [
      () => user.client.send(new DeleteObjectCommand({ ...named, VersionId })),
      () => user.client.send(new PutBucketPolicyCommand({ ...at, Policy })),
      () => user.client.send(new PutBucketLifecycleConfigurationCommand({ ...at, LifecycleConfiguration })),
      () => user.client.send(new PutBucketVersioningCommand({ ...at, VersioningConfiguration })),
    ];
    for (const attempt of attempts) await assert.rejects(attempt(), { name: "AccessDenied" }, role);
  }
  const removed = await account.root.client.send(new DeleteObjectCommand({ ...named, VersionId }));
  assert.equal(removed.VersionId, VersionId, "who owns the bucket may");
});

test("the keeper extends the lock of an object and cannot shorten it; no other role may lock", async () => {
  const bucket = await account.root.makeBucket({ objectLock: true });
  const named = { Bucket: bucket, Key: "drops/ops/packs/aa/x" };
  const { VersionId } = await account.root.client.send(new PutObjectCommand({ ...named, Body: "x" }));
  const day = 24 * 3600 * 1000;
  const lock = (user: S3User, days: number, more: object = {}) => {
    const Retention = { Mode: "GOVERNANCE", RetainUntilDate: new Date(Date.now() + days * day) } as const;
    return user.client.send(new PutObjectRetentionCommand({ ...named, VersionId, Retention, ...more }));
  };
  for (const role of ROLES) {
    const user = await account.makeUser(`${role}-${bucket}`);
    const { document } = rolePolicy({ role, bucket, prefix: "drops", policy: "ops", conditions: false });
    await account.setUserPolicy(user, document);
    if (role !== "keeper") {
      await assert.rejects(lock(user, 1), { name: "AccessDenied" }, role);
      continue;
    }
    await lock(user, 2);
    await lock(user, 3);
    await assert.rejects(lock(user, 1), { name: "AccessDenied" });
    await assert.rejects(lock(user, 1, { BypassGovernanceRetention: true }), { name: "AccessDenied" });
  }
  const removal = new DeleteObjectCommand({ ...named, VersionId });
  await assert.rejects(account.root.client.send(removal), { name: "AccessDenied" });
});

test("the lifecycle rule is one that the server takes and keeps", async () => {
  const bucket = await account.root.makeBucket({ versioned: true });
  const rule = lifecycleOf({ prefix: "some/drops" }, 45);
  const { client } = account.root;
  const LifecycleConfiguration = rule as { Rules: [] };
  await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration }));
  const kept = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
  assert.deepEqual(kept.Rules, LifecycleConfiguration.Rules);
  assert.match(JSON.stringify(kept.Rules), /"some\/drops\/".*"NoncurrentDays":45/);
});
