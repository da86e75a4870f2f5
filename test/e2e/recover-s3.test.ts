/** recover.sh reads a bucket with whatever client is there, fetches what it needs once, and shows nobody a secret. */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import type { RunResult } from "../../src/backup/snapshot-run.ts";
import { type Bucket, openBucket } from "../support/bucket.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { buildHostileTree, walkTree } from "../support/hostile-tree.ts";
import { partsOf, type Recoverable, recoverable } from "../support/recoverable.ts";
import { startS3, type TestS3 } from "../support/s3.ts";
import { runTool } from "../support/scratch.ts";
import type { Answer } from "../support/standard-tools.ts";

const SOURCES = `  - { name: files, kind: files, paths: ["@DIR@/tree"] }
  - { name: said, kind: command, argv: [cat, "@DIR@/output"] }
`;

describe("recover.sh from S3", () => {
  let of: Recoverable;
  let s3: TestS3;
  let bucket: Bucket;
  let night: RunResult;
  let address = "";
  /** What curl was asked for, in its arguments and its list of URLs. */
  let asked = "";

  const recover = (to: string, more: readonly string[] = [], snapshot = "latest"): Promise<Answer> =>
    of.recover({
      ...{ snapshot, out: to, repository: address, env: bucket.env },
      options: [...bucket.options, ...more],
    });
  const treeIn = (to: string) => join(to, "files", of.rehearsal.directory, "tree");
  const fetched = async (): Promise<string> => readFile(asked, "utf8").catch(() => "");

  before(async () => {
    s3 = await startS3();
    bucket = await openBucket(s3);
    of = await recoverable(SOURCES, { curl: ["curl"], rclone: ["rclone"], awscli: ["/usr/bin/aws"] });
    const { directory } = of.rehearsal;
    await buildHostileTree(join(directory, "tree"));
    await writeFile(join(directory, "output"), "said");
    night = await of.rehearsal.night();
    address = await bucket.upload(of.repository);
    asked = of.newPath("asked");
    await wrap("curl", 'for each; do echo "$each"; case $each in */urls) cat "$each" ;; esac; done >> ASKED');
  });
  after(async () => {
    await bucket[Symbol.asyncDispose]();
    await s3[Symbol.asyncDispose]();
    await of[Symbol.asyncDispose]();
  });

  /** A program that does something first; in place of what was wrapped before. */
  const wrap = async (program: string, first: string): Promise<void> => {
    const path = join(of.scratch, "bin", program);
    const real = (await runTool("readlink", "-f", path)).toString().trim();
    await rm(path);
    await writeFile(path, `#!/bin/sh\n${first.replaceAll("ASKED", asked)}\nexec ${real} "$@"\n`);
    await chmod(path, 0o755);
  };

  for (const client of ["curl", "rclone", "aws"]) {
    test(`with ${client}: the authority from AWS_CA_BUNDLE, by a relative path`, async () => {
      const to = of.newPath("out");
      const { exit, stderr } = await of.recover({
        ...{ snapshot: "latest", out: to, repository: address, sources: ["said"] },
        env: { ...bucket.env, AWS_CA_BUNDLE: relative(of.scratch, s3.caFile) },
        options: ["--client", client, "--endpoint", s3.tlsEndpoint, "--cache", of.newPath("cache")],
      });
      assert.equal(exit, 0, stderr);
      assert.equal(await readFile(join(to, "said/output"), "utf8"), "said");
    });

    test(`with ${client}: a server that answers 501 to checksums`, async () => {
      await using proxy = await startFaultProxy(s3.endpoint);
      const headers = ["mode", "algorithm", "crc32", "crc32c", "crc64nvme"].map(
        (name) => `x-amz-checksum-${name}`,
      );
      const refused = [...headers, "x-amz-sdk-checksum-algorithm", "x-amz-trailer"];
      proxy.plan(...refused.map((header) => ({ header, mishap: { answer: 501, code: "NotImplemented" } })));
      const [to, said] = [of.newPath("out"), of.newPath("environment")];
      // newer clients than the ones here send checksums, unless they are told not to
      if (client !== "curl") await wrap(client, `/usr/bin/env > ${said}`);
      const { exit, stderr } = await of.recover({
        ...{ snapshot: "latest", out: to, repository: address, sources: ["said"], env: bucket.env },
        options: ["--client", client, "--endpoint", proxy.endpoint, "--cache", of.newPath("cache")],
      });
      assert.equal(exit, 0, stderr);
      assert.equal(await readFile(join(to, "said/output"), "utf8"), "said");
      if (client === "curl") return;
      const environment = await readFile(said, "utf8");
      assert.match(environment, /^AWS_REQUEST_CHECKSUM_CALCULATION=when_required$/m);
      assert.match(environment, /^AWS_RESPONSE_CHECKSUM_VALIDATION=when_required$/m);
    });

    test(`with ${client}: the same tree, and nothing left in the home directory`, async () => {
      const to = of.newPath("out");
      const { exit, stderr } = await recover(to, ["--client", client]);
      assert.equal(exit, 0, stderr);
      assert.deepEqual(await walkTree(treeIn(to)), await walkTree(join(of.rehearsal.directory, "tree")));
      assert.equal(await readFile(join(to, "said/output"), "utf8"), "said");
      assert.deepEqual(await of.tools.homeEntries(), []);
    });
  }

  test("no secret in any argument, and only what the snapshot needs is fetched", async () => {
    await rm(asked, { force: true });
    const to = of.newPath("out");
    assert.equal((await recover(to, [], night.record.id)).exit, 0);
    const log = await fetched();
    assert.ok(log.includes("/repository.json"));
    assert.ok(!log.includes(s3.credentials.secretAccessKey) && !log.includes(s3.credentials.accessKeyId));
    assert.ok(!log.includes("/recovery/"));
  });

  test("what was fetched before is not fetched again, unless it is damaged", async () => {
    const [said = ""] = await of.packsIn(partsOf(night.record, "said").list);
    const key = `${address.replace(`s3://${bucket.name}/`, "")}/rehearsal/${said}`;
    const cache = of.newPath("cache");
    await bucket.remove(key);
    const broken = await recover(of.newPath("out"), ["--cache", cache]);
    assert.equal(broken.exit, 1);
    assert.ok(broken.stderr.includes(`damaged or missing in the bucket, or out of reach: rehearsal/${said}`));

    await bucket.put(key, await readFile(join(of.folder, said)));
    await rm(asked);
    const to = of.newPath("out");
    assert.equal((await recover(to, ["--cache", cache])).exit, 0);
    assert.deepEqual((await fetched()).match(/(?<=^url = .*)packs\/.*(?=")/gm), [said]);
    assert.deepEqual(await walkTree(treeIn(to)), await walkTree(join(of.rehearsal.directory, "tree")));

    const [pack = ""] = await of.packsIn(partsOf(night.record, "files").list);
    await writeFile(join(cache, "rehearsal", pack), "half a pa");
    await rm(asked);
    assert.equal((await recover(of.newPath("out"), ["--cache", cache])).exit, 0);
    assert.deepEqual((await fetched()).match(/(?<=^url = .*)packs\/.*(?=")/gm), [pack]);
  });

  test("more records than one page of the list names", async () => {
    const [, record = "", id = ""] = /^(.*)-([0-9a-f]+)\.json$/.exec(night.key.split("/").at(-1) ?? "") ?? [];
    const folder = `${address.replace(`s3://${bucket.name}/`, "")}/rehearsal/snapshots`;
    const older = Array.from(
      { length: 1100 },
      (_, at) => `2001${record.slice(4)}-${String(at).padStart(16, "0")}`,
    );
    for (let at = 0; at < older.length; at += 50)
      await Promise.all(
        older.slice(at, at + 50).map((name) => bucket.put(`${folder}/${name}.json`, Buffer.from("{}"))),
      );
    const to = of.newPath("out");
    const { exit, stdout, stderr } = await recover(to);
    assert.equal(exit, 0, stderr);
    assert.match(stdout, new RegExp(`^recovering rehearsal ${id},`));
  });

  const misuse: readonly { name: string; env?: Record<string, string>; options?: string[]; says: RegExp }[] =
    [
      { name: "no credentials", env: {}, says: /set and export AWS_ACCESS_KEY_ID/ },
      {
        name: "credentials with a line break",
        env: { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: 'b"\nurl = "https://elsewhere' },
        says: /set and export AWS_ACCESS_KEY_ID/,
      },
      {
        name: "the wrong secret",
        env: { AWS_ACCESS_KEY_ID: "TESTKEY", AWS_SECRET_ACCESS_KEY: 'wrong"\\' },
        says: /out of reach: repository\.json.*403/s,
      },
      { name: "an endpoint that is none", options: ["--endpoint", "file:///etc"], says: /not an endpoint/ },
      {
        name: "a client that is none",
        options: ["--client", "wget"],
        says: /--client is curl, rclone or aws/,
      },
      { name: "an option that is none", options: ["--force"], says: /recover\.sh \[OPTION/ },
    ];
  for (const { name, env, options = [], says } of misuse) {
    test(`${name} is said, and nothing is left`, async () => {
      const box = of.newPath("box");
      await mkdir(box);
      const { exit, stderr } = await of.recover({
        ...{ snapshot: "latest", out: join(box, "out"), repository: address, env: env ?? bucket.env },
        options: [...bucket.options, ...options, "--cache", of.newPath("cache")],
      });
      assert.notEqual(exit, 0);
      assert.match(stderr, says);
      assert.deepEqual([...(await walkTree(box)).keys()], [""]);
    });
  }

  test("another certificate authority than the server's is refused", async () => {
    const options = ["--endpoint", s3.tlsEndpoint, "--cache", of.newPath("cache")];
    const how = { snapshot: "latest", out: of.newPath("out"), repository: address, env: bucket.env };
    const { exit, stderr } = await of.recover({ ...how, options });
    assert.equal(exit, 1);
    assert.match(stderr, /certificate/i);
  });

  test("missing programs are named with their packages", async () => {
    const bare = of.newPath("bare");
    await mkdir(bare);
    for (const program of ["bash", "sed", "head", "tar", "sha256sum", "find", "xargs", "grep", "zstd"])
      await runTool("ln", "-s", (await runTool("sh", "-c", `command -v ${program}`)).toString().trim(), bare);
    const { exit, stderr } = await of.recover({
      ...{ snapshot: "latest", out: of.newPath("out"), env: { PATH: bare } },
    });
    assert.equal(exit, 1);
    assert.equal(
      stderr,
      "recover.sh: missing programs: age jq ssh-keygen (Debian: apt-get install age jq openssh-client)\n",
    );
  });

  test("shellcheck has nothing to say", async () => {
    await runTool("shellcheck", of.script);
  });
});
