import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  GetBucketVersioningCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from "@aws-sdk/client-s3";
import type { Lock } from "../src/store/blob-store.ts";
import type { S3Credentials } from "../src/store/credentials.ts";
import { probeWriter, type WriterProbe } from "../src/store/probe/probe-writer.ts";
import { refusalOf } from "../src/store/probe/refusal.ts";
import { type Role, rolePolicy } from "../src/store/roles.ts";
import { openS3Store } from "../src/store/s3.ts";
import { type ProxyFault, startFaultProxy } from "./support/fault-proxy.ts";
import { rehearse } from "./support/rehearsal.ts";
import { startS3 } from "./support/s3.ts";
import { makeAccount, type S3User } from "./support/s3-users.ts";

const HOW = { signal: AbortSignal.timeout(3_600_000) };
const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());
const account = await makeAccount(s3);
after(() => account[Symbol.asyncDispose]());
const { root } = account;

const EXISTING = [
  "drops/repository.json",
  "drops/ops/snapshots/x.json",
  "drops/ops/packs/aa/x",
  "else/where",
];

interface Row {
  readonly name: string;
  readonly bucket: Parameters<typeof root.makeBucket>[0] & { readonly retentionDays?: number };
  /** Who asks; `owner` may do everything, `remover` what a writer may and remove versions. */
  readonly as: Role | "owner" | "stranger" | "deleter" | "remover";
  /** As the policy locks. */
  readonly locks?: Lock["mode"];
  /** What is not said is `none`. */
  readonly found: Partial<Omit<WriterProbe, "found" | "left">>;
  readonly leaves: 0 | 2;
}

const table: readonly Row[] = [
  {
    name: "the owner's credential in a plain bucket",
    bucket: {},
    as: "owner",
    found: { overwrite: "possible", delete: "possible", canDestroy: "yes" },
    leaves: 0,
  },
  {
    name: "the writer's credential in a plain bucket: this server cannot forbid to overwrite",
    bucket: {},
    as: "writer",
    found: { overwrite: "possible", delete: "refused", canDestroy: "yes" },
    leaves: 2,
  },
  {
    name: "the owner's credential in a bucket with versions",
    bucket: { versioned: true },
    as: "owner",
    found: { overwrite: "possible", delete: "possible", deleteVersion: "possible", canDestroy: "yes" },
    leaves: 0,
  },
  {
    name: "the writer's credential in a bucket with versions",
    bucket: { versioned: true },
    as: "writer",
    found: {
      overwrite: "possible",
      delete: "refused",
      deleteVersion: "refused",
      bypass: "refused",
      canDestroy: "no",
    },
    leaves: 2,
  },
  {
    name: "a writer that may delete, but no versions",
    bucket: { versioned: true },
    as: "deleter",
    found: {
      ...{ overwrite: "possible", delete: "possible", deleteVersion: "refused", bypass: "refused" },
      canDestroy: "no",
    },
    leaves: 0,
  },
  {
    name: "the owner's credential in a bucket that locks what is put: it may pass a lock in governance mode",
    bucket: { objectLock: true, retentionDays: 1 },
    as: "owner",
    found: {
      ...{ overwrite: "possible", delete: "possible", deleteVersion: "refused", bypass: "possible" },
      canDestroy: "yes",
    },
    leaves: 0,
  },
  {
    name: "the owner's credential under a policy that locks in governance mode",
    bucket: { objectLock: true },
    as: "owner",
    locks: "governance",
    found: {
      ...{ overwrite: "possible", delete: "possible", deleteVersion: "refused", bypass: "possible" },
      canDestroy: "yes",
    },
    leaves: 0,
  },
  {
    name: "the owner's credential under a policy that locks in compliance mode",
    bucket: { objectLock: true },
    as: "owner",
    locks: "compliance",
    found: {
      ...{ overwrite: "possible", delete: "possible", deleteVersion: "refused", bypass: "refused" },
      ...{ shorten: "refused", canDestroy: "no" },
    },
    leaves: 0,
  },
  {
    name: "the writer's credential under a policy that locks in governance mode",
    bucket: { objectLock: true },
    as: "writer",
    locks: "governance",
    found: {
      ...{ overwrite: "possible", delete: "refused", deleteVersion: "refused", bypass: "refused" },
      ...{ shorten: "refused", canDestroy: "no" },
    },
    leaves: 2,
  },
  {
    name: "a writer that may remove versions, under a policy that locks: every lock holds",
    bucket: { objectLock: true },
    as: "remover",
    locks: "governance",
    found: {
      ...{ overwrite: "possible", delete: "possible", deleteVersion: "refused", bypass: "refused" },
      ...{ shorten: "refused", canDestroy: "no" },
    },
    leaves: 0,
  },
  {
    name: "a writer that may remove versions, under a policy that locks nothing",
    bucket: { objectLock: true },
    as: "remover",
    found: { overwrite: "possible", delete: "possible", deleteVersion: "possible", canDestroy: "yes" },
    leaves: 0,
  },
  {
    name: "a policy that locks, in a bucket that cannot: nothing is put as a backup would",
    bucket: { versioned: true },
    as: "owner",
    locks: "governance",
    found: { overwrite: "unknown", delete: "unknown", canDestroy: "unknown" },
    leaves: 0,
  },
  {
    name: "a credential that may not put",
    bucket: {},
    as: "janitor",
    found: { overwrite: "unknown", delete: "unknown", canDestroy: "unknown" },
    leaves: 0,
  },
  {
    name: "a stranger",
    bucket: {},
    as: "stranger",
    found: { overwrite: "unknown", delete: "unknown", canDestroy: "unknown" },
    leaves: 0,
  },
];

const NONE = { deleteVersion: "none", bypass: "none", shorten: "none" } as const;

for (const { name, bucket: kind, as, locks, found, leaves } of table) {
  test(name, async () => {
    const bucket = await root.makeBucket(kind);
    for (const Key of EXISTING)
      await root.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" }));
    if (kind.retentionDays !== undefined) await lockWhatIsPut(bucket, kind.retentionDays);
    const before = await versions(bucket);
    const user = await userOf(as, bucket);
    const { found: sentences, left, ...rest } = await probe(s3.policy(bucket), user.credentials, locks);
    assert.deepEqual(rest, { ...NONE, ...found }, sentences.join("\n"));
    assert.equal(left.length, leaves);
    const now = await versions(bucket);
    const foreign = (lines: readonly string[]) => lines.filter((line) => !isProbe(line));
    assert.deepEqual(foreign(now), before, "nothing else was touched");
    const listed = now
      .filter((line) => isProbe(line) && line.includes(" latest"))
      .map((line) => line.split(" ")[0]);
    assert.deepEqual(
      listed.sort(),
      left.map((key) => `drops/${key}`).sort(),
      "what it says is left is there",
    );
  });
}

test("a credential that the server does not know proves nothing, and is in no sentence", async () => {
  const bucket = await root.makeBucket();
  const wrong = { accessKeyId: "NOTTHERE", secretAccessKey: "wrong-secret" };
  const probed = await probe(s3.policy(bucket), wrong);
  assert.equal(probed.canDestroy, "unknown");
  assert.match(probed.found.join("\n"), /InvalidAccessKeyId, 403/);
  assert.ok(!JSON.stringify(probed).includes("wrong-secret"));
});

test("a server that does not answer proves nothing", async () => {
  const nowhere = s3.policy("bucket", { endpoint: "http://127.0.0.1:9" });
  assert.equal((await probe(nowhere, root.credentials)).canDestroy, "unknown");
});

test("it can be interrupted", async () => {
  const gone = AbortSignal.abort();
  await assert.rejects(probe(s3.policy("bucket"), root.credentials, undefined, { signal: gone }), {
    name: "AbortError",
  });
});

/** Long enough for what this file does. */
const LOCKED_MS = 180_000;

function probe(
  policy: Parameters<typeof probeWriter>[0]["s3"],
  credentials: S3Credentials,
  locks?: Lock["mode"],
  how = HOW,
): Promise<WriterProbe> {
  const now = new Date();
  const lock = locks && { mode: locks, until: new Date(now.getTime() + LOCKED_MS) };
  return probeWriter({ s3: policy, policy: "ops", credentials, now, lock }, how);
}

const WORM = "Object is WORM protected and cannot be overwritten";
const removal = { method: "DELETE", url: /versionId=/ } as const;
const retention = { method: "PUT", url: /retention/ } as const;
const answers: readonly {
  readonly name: string;
  readonly faults: readonly ProxyFault[];
  readonly locks?: Lock["mode"];
  readonly found: Partial<WriterProbe>;
}[] = [
  {
    name: "MinIO, where every lock holds",
    faults: [
      { mishap: { answer: 400, code: "InvalidRequest", message: WORM }, ...removal },
      { mishap: { answer: 400, code: "InvalidRequest", message: WORM }, ...retention },
    ],
    locks: "compliance",
    found: { deleteVersion: "refused", bypass: "refused", shorten: "refused", canDestroy: "no" },
  },
  {
    name: "a server that passes the lock on request",
    faults: [
      {
        mishap: { answer: 400, code: "InvalidRequest", message: WORM },
        ...removal,
        without: "x-amz-bypass-governance-retention",
      },
    ],
    locks: "governance",
    found: { deleteVersion: "refused", bypass: "possible", canDestroy: "yes" },
  },
  {
    name: "a server whose locks can be ended sooner",
    faults: [
      { mishap: { answer: 403, code: "AccessDenied" }, ...removal, times: 2 },
      { mishap: { page: "", status: 200 }, ...retention, times: 1 },
      { mishap: { answer: 204 }, ...removal, times: 1 },
      { mishap: { answer: 404, code: "NoSuchVersion" }, method: "GET", url: /retention/, times: 1 },
    ],
    locks: "compliance",
    found: { shorten: "possible", canDestroy: "yes" },
  },
  {
    name: "a server that says yes and does not do it",
    faults: [{ mishap: { answer: 204 }, ...removal }],
    locks: "compliance",
    found: { deleteVersion: "unknown", canDestroy: "unknown" },
  },
  {
    name: "a refusal in words that nobody knows",
    faults: [{ mishap: { answer: 400, code: "InvalidRequest", message: "not today" }, ...removal }],
    locks: "compliance",
    found: { deleteVersion: "unknown", bypass: "unknown", canDestroy: "unknown" },
  },
  {
    name: "a server without Object Lock, which knows no way past it",
    faults: [
      {
        mishap: { answer: 501, code: "NotImplemented" },
        ...removal,
        header: "x-amz-bypass-governance-retention",
      },
      { mishap: { answer: 403, code: "AccessDenied" }, ...removal },
    ],
    found: { deleteVersion: "refused", bypass: "none", shorten: "none", canDestroy: "no" },
  },
];

for (const { name, faults, locks, found } of answers) {
  test(`${name}: ${found.canDestroy}`, async () => {
    await using server = await startFaultProxy(s3.endpoint);
    server.plan(...faults);
    const bucket = await root.makeBucket({ objectLock: true });
    const policy = s3.policy(bucket, { endpoint: server.endpoint });
    const probed = await probe(policy, root.credentials, locks);
    const same = Object.fromEntries(Object.keys(found).map((key) => [key, Reflect.get(probed, key)]));
    assert.deepEqual(same, found, probed.found.join("\n"));
  });
}

test("what servers say to a request that a lock or a missing permission forbids", () => {
  const locked = "Access Denied because object protected by object lock.";
  const noLock = "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.";
  const rows: readonly (readonly [string, number, string, string, ReturnType<typeof refusalOf>])[] = [
    ["Amazon, lock", 403, "AccessDenied", locked, "lock"],
    ["Amazon, permission", 403, "AccessDenied", "Access Denied", "permission"],
    ["Amazon, a bucket without locks", 400, "InvalidArgument", noLock, "no-locks"],
    ["Ceph", 403, "AccessDenied", "", "permission"],
    ["MinIO, lock", 400, "InvalidRequest", WORM, "lock"],
    ["MinIO, permission", 403, "AccessDenied", "Access Denied.", "permission"],
    [
      "MinIO, a bucket without locks",
      400,
      "InvalidRequest",
      "Bucket is missing ObjectLockConfiguration",
      "no-locks",
    ],
    ["Backblaze", 403, "AccessDenied", "not entitled", "permission"],
    ["Wasabi", 403, "AccessDenied", "Access Denied", "permission"],
    ["Garage", 403, "AccessDenied", "Forbidden: Operation is not allowed for this key.", "permission"],
    ["Garage, what it cannot", 501, "NotImplemented", "Not implemented: retention", "no-locks"],
    ["R2", 403, "ObjectLockedByBucketPolicy", "", "lock"],
    ["another 400", 400, "InvalidRequest", "the retain until date must be in the future", "unknown"],
    ["a key that is not known", 403, "InvalidAccessKeyId", "", "unknown"],
    ["a clock that is wrong", 403, "RequestTimeTooSkewed", "", "unknown"],
    ["a signature that is wrong", 403, "SignatureDoesNotMatch", "", "unknown"],
    ["a proxy", 403, "Forbidden", "Access Denied", "unknown"],
    ["a server that is busy", 503, "SlowDown", "", "unknown"],
  ];
  for (const [name, status, code, message, means] of rows) {
    const error = Object.assign(new Error(message), { name: code, $metadata: { httpStatusCode: status } });
    assert.equal(refusalOf(error), means, name);
  }
});

async function userOf(as: Row["as"], bucket: string): Promise<S3User> {
  if (as === "owner") return root;
  const user = await account.makeUser(`${as}-${bucket}`);
  if (as === "stranger") return user;
  const own = { bucket, prefix: "drops", policy: "ops", conditions: false, locks: true };
  const isMore = as === "deleter" || as === "remover";
  const { document } = rolePolicy({ role: isMore ? "writer" : as, ...own });
  if (!isMore) {
    await account.setUserPolicy(user, document);
    return user;
  }
  const Resource = [`arn:aws:s3:::${bucket}/*`];
  const Action = ["s3:DeleteObject", ...(as === "remover" ? ["s3:DeleteObjectVersion"] : [])];
  const more = { Sid: "AndDeletes", Effect: "Allow", Action, Resource };
  const Statement = [...document.Statement.filter(({ Effect }) => Effect === "Allow"), more];
  await account.setUserPolicy(user, { ...document, Statement });
  return user;
}

async function lockWhatIsPut(bucket: string, days: number): Promise<void> {
  const Rule = { DefaultRetention: { Mode: "GOVERNANCE", Days: days } } as const;
  const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled", Rule } as const;
  await root.client.send(new PutObjectLockConfigurationCommand({ Bucket: bucket, ObjectLockConfiguration }));
  const { Status } = await root.client.send(new GetBucketVersioningCommand({ Bucket: bucket }));
  assert.equal(Status, "Enabled");
}

/** Every version in the bucket, a line each. */
async function versions(bucket: string): Promise<string[]> {
  const { Versions = [] } = await root.client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  return Versions.map(
    ({ Key, VersionId, ETag, IsLatest }) => `${Key} ${VersionId} ${ETag}${IsLatest ? " latest" : ""}`,
  );
}

function isProbe(line: string): boolean {
  return !EXISTING.some((key) => line.startsWith(`${key} `));
}

test("a server that asks for create-only puts: backup works, overwriting is refused, and only the probes are named", async () => {
  // Ceph's policies do not know s3:if-none-match; this stands in for a server whose policies do.
  await using server = await startFaultProxy(s3.endpoint);
  server.plan({ mishap: { answer: 403, code: "AccessDenied" }, method: "PUT", without: "if-none-match" });
  const bucket = await root.makeBucket();
  const writer = await userOf("writer", bucket);
  const policy = s3.policy(bucket, { endpoint: server.endpoint });
  const { found, left, ...rest } = await probe(policy, writer.credentials);
  const expected = { ...NONE, overwrite: "refused", delete: "refused", canDestroy: "no" };
  assert.deepEqual(rest, expected, found.join("\n"));
  const [pack = "", signature = ""] = left;
  const requests = (key: string) => ["PUT", "PUT", "DELETE"].map((verb) => `${verb} /${bucket}/drops/${key}`);
  assert.deepEqual(server.requests, [...requests(pack), ...requests(signature)]);
  await using store = await openS3Store(s3.policy(bucket), root.credentials);
  await using rehearsal = await rehearse({
    sources: "  - { name: w, kind: command, argv: [echo, hello] }\n",
    store,
  });
  const policyName = rehearsal.parts.policy.name;
  const user = await account.makeUser(`backup-${bucket}`);
  const own = { bucket, prefix: "drops", policy: policyName, conditions: false };
  await account.setUserPolicy(user, rolePolicy({ role: "writer", ...own }).document);
  await using asWriter = await openS3Store(policy, user.credentials);
  const night = await rehearsal.night({ store: asWriter });
  assert.equal(night.record.state, "complete");
});
