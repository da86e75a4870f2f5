import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { startS3 } from "../support/s3.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { openSite, type Site } from "../support/site.ts";

// A pack rots or is lost: a verify says so and names the snapshots, the next backup stores anew what the host still has,
// and its snapshot restores whole. Through the command line, in a directory and in a bucket.

const s3 = await startS3();
after(() => s3[Symbol.asyncDispose]());

/** The store behind drops' back. */
interface Objects {
  keys(): Promise<string[]>;
  get(key: string): Promise<Buffer>;
  overwrite(key: string, bytes: Buffer): Promise<void>;
  remove(key: string): Promise<void>;
}

interface Place {
  readonly site: Site;
  readonly objects: Objects;
}

async function inADirectory(_scratch: string, sources: string): Promise<Place> {
  const site = await openSite({ sources });
  const at = (key: string) => join(site.repository, key);
  const objects: Objects = {
    keys: async () => (await site.objects()).map((path) => path.slice(site.repository.length + 1)),
    get: (key) => readFile(at(key)),
    overwrite: (key, bytes) => writeFile(at(key), bytes),
    remove: (key) => rm(at(key)),
  };
  return { site, objects };
}

async function inABucket(scratch: string, sources: string): Promise<Place> {
  const bucket = await s3.makeBucket();
  const { endpoint, credentials } = s3;
  const keyFile = join(scratch, "credentials");
  const { accessKeyId, secretAccessKey } = credentials;
  await writeFile(keyFile, `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\n`, {
    mode: 0o600,
  });
  const site = await openSite({
    store: `{ s3: { bucket: ${bucket}, endpoint: "${endpoint}", credentials_file: ${keyFile} } }`,
    sources,
  });
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  after(() => client.destroy());
  const named = (key: string) => ({ Bucket: bucket, Key: `drops/${key}` });
  const objects: Objects = {
    keys: async () => {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      return Contents.map(({ Key = "" }) => Key.slice("drops/".length));
    },
    get: async (key) => {
      const { Body } = await client.send(new GetObjectCommand(named(key)));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    overwrite: async (key, bytes) =>
      void (await client.send(new PutObjectCommand({ ...named(key), Body: bytes }))),
    remove: async (key) => void (await client.send(new DeleteObjectCommand(named(key)))),
  };
  return { site, objects };
}

const KINDS = { directory: inADirectory, bucket: inABucket } as const;

const hurts: readonly {
  readonly name: string;
  readonly hurt: (objects: Objects, pack: string) => Promise<void>;
  /** Whether a listing tells. */
  readonly isListed: boolean;
}[] = [
  {
    name: "a flipped bit in a pack",
    hurt: async (objects, pack) => {
      const bytes = await objects.get(pack);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await objects.overwrite(pack, bytes);
    },
    isListed: false,
  },
  { name: "a lost pack", hurt: (objects, pack) => objects.remove(pack), isListed: true },
];

for (const [kind, open] of Object.entries(KINDS)) {
  for (const { name, hurt, isListed } of hurts) {
    test(`${kind}: ${name} is found, stored anew by the next backup, and the new snapshot is whole`, async () => {
      const scratch = await scratchDirectory();
      after(() => scratch[Symbol.asyncDispose]());
      const file = join(scratch.path, "words");
      const content = fixedBytes("of old", 300_000);
      await writeFile(file, content);
      const { site, objects } = await open(
        scratch.path,
        `  - { name: words, kind: files, paths: [${file}] }\n`,
      );
      after(() => site[Symbol.asyncDispose]());
      const first = await newest(site);
      const [pack = ""] = (await objects.keys()).filter((key) => key.startsWith("site/packs/"));
      assert.equal((await verify(site, 0, "--objects", "--read-data")).damage.length, 0);

      await hurt(objects, pack);
      assert.equal(
        (await verify(site, isListed ? 20 : 0)).damage.length,
        isListed ? 1 : 0,
        "by name and size",
      );
      if (!isListed) await assertNotHealedUnmarked(site, objects);
      const found = await verify(site, 20, "--read-data", "--publish");
      assert.deepEqual(
        found.damage.map(({ key, snapshots }) => [key, snapshots.includes(first)]),
        [[pack, true]],
      );
      const marks = (await objects.keys()).filter((key) => key.startsWith("site/damaged/"));
      const mark = `site/damaged/${pack.slice(-64)}.json`;
      assert.deepEqual(marks, isListed ? [] : [mark, `${mark}.sig`]);
      assert.equal(found.evidence?.marked, isListed ? 0 : 1);

      const backup = await site.drops("backup", "--json");
      assert.equal(backup.exit, 0, backup.stderr);
      const { snapshot, storedBytes } = OUTPUTS.backup.parse(JSON.parse(backup.stdout));
      assert.ok(storedBytes > 300_000, "the file was sent again, unchanged as it is");
      const healed = await verify(site, 0, snapshot.id, "--read-data", "--identity", site.identity);
      assert.deepEqual([healed.damage, healed.opened, healed.packsRead], [[], true, 1]);
      const to = join(scratch.path, "restored");
      const restored = await site.drops(
        "restore",
        "--snapshot",
        snapshot.id,
        "--to",
        to,
        "--identity",
        site.identity,
      );
      assert.equal(restored.exit, 0, restored.stderr);
      assert.ok(content.equals(await readFile(join(to, "words", file))));
      const still = await verify(site, 20);
      assert.deepEqual(
        still.snapshots.filter(({ intact }) => intact).map(({ id }) => id),
        [snapshot.id],
        "the old ones stay damaged",
      );
    });
  }
}

/** Only a mark tells a backup: without one it believes the listing, and this test would prove nothing. */
async function assertNotHealedUnmarked(site: Site, objects: Objects): Promise<void> {
  const before = (await objects.keys()).filter((key) => key.startsWith("site/packs/"));
  const { exit } = await site.drops("backup");
  const now = (await objects.keys()).filter((key) => key.startsWith("site/packs/"));
  assert.deepEqual([exit, now], [0, before]);
}

async function newest(site: Site): Promise<string> {
  const { stdout } = await site.drops("snapshots", "--json");
  return OUTPUTS.snapshots.parse(JSON.parse(stdout)).snapshots.at(-1)?.id ?? "";
}

async function verify(site: Site, exit: number, ...options: readonly string[]) {
  const done = await site.drops("verify", ...options, "--json");
  assert.equal(done.exit, exit, done.stdout + done.stderr);
  return OUTPUTS.verify.strict().parse(JSON.parse(done.stdout));
}

test("shares of the data go on where the last one ended, until all was read; a directory is read by --objects", async () => {
  const scratch = await scratchDirectory();
  after(() => scratch[Symbol.asyncDispose]());
  const file = join(scratch.path, "words");
  await writeFile(file, "words");
  const { site } = await inABucket(scratch.path, `  - { name: words, kind: files, paths: [${file}] }\n`);
  after(() => site[Symbol.asyncDispose]());
  const [one, two, three] = [
    await verify(site, 0, "--read-data", "40%", "--publish"),
    await verify(site, 0, "--read-data", "40%", "--publish"),
    await verify(site, 0, "--read-data", "40%", "--publish"),
  ];
  // one pack alone may make an arc longer: shares are at least what was asked for
  assert.ok(
    (one.coverage?.share ?? 0) >= 0.4 && (two.coverage?.share ?? 0) >= 0.8,
    JSON.stringify([one, two]),
  );
  assert.equal(three.coverage?.share, 1);
  assert.ok(three.coverage.since !== undefined && three.coverage.runsLeft === undefined);
  assert.ok([one, two, three].some(({ packsRead }) => packsRead === 1));
  const { coverage } = await verify(site, 0);
  assert.deepEqual(coverage, three.coverage, "a verify that reads nothing knows");
  const objects = await verify(site, 0, "--objects");
  assert.deepEqual(objects.checksums, { from: "upload", compared: objects.objects, sizeOnly: 0 });
});
