import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  GetBucketVersioningCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from "@aws-sdk/client-s3";
import { probeWriter, type WriterProbe } from "../src/store/probe-writer.ts";
import { type Role, rolePolicy } from "../src/store/roles.ts";
import { openS3Store } from "../src/store/s3.ts";
import { startFaultProxy } from "./support/fault-proxy.ts";
import { rehearse } from "./support/rehearsal.ts";
import { startS3 } from "./support/s3.ts";
import { makeAccount, type S3User } from "./support/s3-users.ts";

const HOW = { signal: AbortSignal.timeout(300_000) };
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
  /** Who asks; `owner` may do everything. */
  readonly as: Role | "owner" | "stranger" | "deleter";
  readonly found: Omit<WriterProbe, "found" | "left">;
  readonly leaves: 0 | 2;
}

const table: readonly Row[] = [
  {
    name: "the owner's credential in a plain bucket",
    bucket: {},
    as: "owner",
    found: { overwrite: "possible", delete: "possible", deleteVersion: "none", canDestroy: "yes" },
    leaves: 0,
  },
  {
    name: "the writer's credential in a plain bucket: this server cannot forbid to overwrite",
    bucket: {},
    as: "writer",
    found: { overwrite: "possible", delete: "refused", deleteVersion: "none", canDestroy: "yes" },
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
    found: { overwrite: "possible", delete: "refused", deleteVersion: "refused", canDestroy: "no" },
    leaves: 2,
  },
  {
    name: "a writer that may delete, but no versions",
    bucket: { versioned: true },
    as: "deleter",
    found: { overwrite: "possible", delete: "possible", deleteVersion: "refused", canDestroy: "no" },
    leaves: 0,
  },
  {
    name: "the owner's credential in a bucket that locks what is put",
    bucket: { objectLock: true, retentionDays: 1 },
    as: "owner",
    found: { overwrite: "possible", delete: "possible", deleteVersion: "refused", canDestroy: "no" },
    leaves: 0,
  },
  {
    name: "a credential that may not put",
    bucket: {},
    as: "janitor",
    found: { overwrite: "unknown", delete: "unknown", deleteVersion: "none", canDestroy: "unknown" },
    leaves: 0,
  },
  {
    name: "a stranger",
    bucket: {},
    as: "stranger",
    found: { overwrite: "unknown", delete: "unknown", deleteVersion: "none", canDestroy: "unknown" },
    leaves: 0,
  },
];

for (const { name, bucket: kind, as, found, leaves } of table) {
  test(name, async () => {
    const bucket = await root.makeBucket(kind);
    for (const Key of EXISTING)
      await root.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" }));
    if (kind.retentionDays !== undefined) await lockWhatIsPut(bucket, kind.retentionDays);
    const before = await versions(bucket);
    const user = await userOf(as, bucket);
    const probe = await probeWriter(s3.policy(bucket), "ops", user.credentials, new Date(), HOW);
    const { found: sentences, left, ...rest } = probe;
    assert.deepEqual(rest, found, sentences.join("\n"));
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
  const probe = await probeWriter(s3.policy(bucket), "ops", wrong, new Date(), HOW);
  assert.equal(probe.canDestroy, "unknown");
  assert.match(probe.found.join("\n"), /InvalidAccessKeyId, 403/);
  assert.ok(!JSON.stringify(probe).includes("wrong-secret"));
});

test("a server that does not answer proves nothing", async () => {
  const nowhere = s3.policy("bucket", { endpoint: "http://127.0.0.1:9" });
  const probe = await probeWriter(nowhere, "ops", root.credentials, new Date(), HOW);
  assert.equal(probe.canDestroy, "unknown");
});

test("it can be interrupted", async () => {
  const gone = AbortSignal.abort();
  await assert.rejects(
    probeWriter(s3.policy("bucket"), "ops", root.credentials, new Date(), { signal: gone }),
    { name: "AbortError" },
  );
});

async function userOf(as: Row["as"], bucket: string): Promise<S3User> {
  if (as === "owner") return root;
  const user = await account.makeUser(`${as}-${bucket}`);
  if (as === "stranger") return user;
  const own = { bucket, prefix: "drops", policy: "ops", conditions: false };
  const { document } = rolePolicy({ role: as === "deleter" ? "writer" : as, ...own });
  if (as !== "deleter") {
    await account.setUserPolicy(user, document);
    return user;
  }
  const Resource = [`arn:aws:s3:::${bucket}/*`];
  const more = { Sid: "AndDeletes", Effect: "Allow", Action: ["s3:DeleteObject"], Resource };
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
  const probe = await probeWriter(policy, "ops", writer.credentials, new Date(), HOW);
  const { found, left, ...rest } = probe;
  const expected = { overwrite: "refused", delete: "refused", deleteVersion: "none", canDestroy: "no" };
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
