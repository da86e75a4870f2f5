import assert from "node:assert/strict";
import { createHash, Hash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, PerformanceObserver } from "node:perf_hooks";
import { after, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { isFailure } from "../src/lib/errors.ts";
import { openDirectoryStore } from "../src/store/directory.ts";
import { openS3Store } from "../src/store/s3.ts";
import { lockless, storeContract } from "./contracts/store.ts";
import { versionsContract } from "./contracts/versions.ts";
import { openMemoryStore } from "./support/memory-store.ts";
import { startS3 } from "./support/s3.ts";
import { VersionedMemory } from "./support/versioned-memory.ts";

const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());
const scratch = mkdtempSync(join(tmpdir(), "drops-store-"));
after(() => rmSync(scratch, { recursive: true }));

storeContract("memory", async () => openMemoryStore());
storeContract("directory", () => openDirectoryStore(mkdtempSync(join(scratch, "repository-"))));
storeContract("versioned memory", async () => new VersionedMemory());
storeContract("s3", async () => openS3Store(s3.policy(await s3.makeBucket()), s3.credentials));
lockless("memory", async () => openMemoryStore());
lockless("directory", () => openDirectoryStore(mkdtempSync(join(scratch, "repository-"))));
lockless("s3 without Object Lock", async () => openS3Store(s3.policy(await s3.makeBucket()), s3.credentials));
versionsContract("versioned memory", async () => {
  const store = new VersionedMemory();
  return {
    store,
    putOver: async (key, bytes) => store.putOver(key, bytes),
    removeVersion: async (key, version) => store.removeVersion(key, version),
  };
});
versionsContract("s3 with Object Lock", async () => {
  const bucket = await s3.makeBucket({ objectLock: true });
  const { endpoint, credentials } = s3;
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  const named = (key: string) => ({ Bucket: bucket, Key: `drops/${key}` });
  return {
    store: await openS3Store(s3.policy(bucket), credentials),
    putOver: async (key, bytes) => {
      await client.send(new PutObjectCommand({ ...named(key), Body: bytes }));
    },
    removeVersion: async (key, version) => {
      await client.send(new DeleteObjectCommand({ ...named(key), VersionId: version }));
    },
  };
});

test("s3 over https trusts the policy's authority, and nobody else's certificate", async () => {
  const policy = s3.policy(await s3.makeBucket(), { endpoint: s3.tlsEndpoint, ca_file: s3.caFile });
  await using store = await openS3Store(policy, s3.credentials);
  const signal = AbortSignal.timeout(600_000);
  const bytes = randomBytes(32 * 1024 * 1024);
  await store.put("p/packs/00/large", bytes, { signal });
  assert.ok(bytes.equals(await store.get("p/packs/00/large", { signal, maxSize: bytes.length })));
  const { ca_file: _, ...withoutAuthority } = policy;
  await using wary = await openS3Store(withoutAuthority, s3.credentials);
  await assert.rejects(wary.now({ signal }), (error) => {
    assert.ok(isFailure(error, "store/refused"), String(error));
    assert.match(error.message, /certificate is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/);
    assert.match(error.hint ?? "", /ca_file/);
    return true;
  });
});

test("packs that are read over https into memory that waits for them leave next to nothing to the collector", async () => {
  const policy = s3.policy(await s3.makeBucket(), { endpoint: s3.tlsEndpoint, ca_file: s3.caFile });
  await using store = await openS3Store(policy, s3.credentials);
  const signal = AbortSignal.timeout(600_000);
  const bytes = randomBytes(32 * 1024 * 1024);
  await store.put("p/packs/00/large", bytes, { signal });
  const into = new Uint8Array(new SharedArrayBuffer(bytes.length));
  let [collections, left] = [0, 0];
  const observer = new PerformanceObserver((seen) => {
    for (const { detail } of seen.getEntries() as unknown as { detail: { kind: number } }[])
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections++;
  });
  observer.observe({ entryTypes: ["gc"] });
  for (let time = 0; time < 12; time++) {
    const before = process.memoryUsage().arrayBuffers;
    assert.equal(
      (await store.get("p/packs/00/large", { signal, maxSize: bytes.length, into })).buffer,
      into.buffer,
    );
    left = Math.max(left, process.memoryUsage().arrayBuffers - before);
  }
  await turn();
  observer.disconnect();
  assert.ok(bytes.equals(into));
  assert.ok(left < 16 * 1024 * 1024, `${left} bytes were left behind by one of them`);
  assert.ok(collections < 3, `the whole heap was collected ${collections} times`);
});

test("a pack whose hash is known is not hashed again on its way, and the server still holds it to its hash", async () => {
  await using store = await openS3Store(s3.policy(await s3.makeBucket()), s3.credentials);
  const { signal } = new AbortController();
  const bytes = randomBytes(8 * 1024 * 1024);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  let hashed = 0;
  const { update } = Hash.prototype;
  mock.method(Hash.prototype, "update", function (this: Hash, data: string | Buffer) {
    hashed += data.length;
    return Reflect.apply(update, this, [data]);
  });
  try {
    await store.put(`p/packs/${sha256}`, bytes, { signal, sha256 });
  } finally {
    mock.restoreAll();
  }
  assert.ok(hashed > 0 && hashed < 100_000, `${hashed} bytes were hashed to sign the request`);
  bytes[5_000_000] = (bytes[5_000_000] ?? 0) ^ 1;
  await assert.rejects(store.put("p/packs/flipped", bytes, { signal, sha256 }), (error) =>
    isFailure(error, "data/damaged"),
  );
});
