import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { openS3Store } from "../src/store/s3.ts";
import { lockless, storeContract } from "./contracts/store.ts";
import { startS3Proxy } from "./support/s3proxy.ts";
import { scratchDirectory } from "./support/scratch.ts";
import { openSite } from "./support/site.ts";

// Another real server than Ceph, that can do less: drops has to find out, and to say so.
const RECOVER = new URL("../src/backup/recover.sh", import.meta.url).pathname;
const run = promisify(execFile);

const s3proxy = await startS3Proxy();
after(() => s3proxy[Symbol.asyncDispose]());
const scratch = await scratchDirectory();
after(() => scratch[Symbol.asyncDispose]());

const open = async () => openS3Store(await s3proxy.makeBucket(), s3proxy.credentials);
storeContract("s3proxy", open, { checksums: true, createOnly: true });
lockless("s3proxy", open);

test("s3proxy: backup, plan, prune, verify, doctor and restore, and what the server cannot do is said", async () => {
  const credentials = join(scratch.path, "credentials");
  const { accessKeyId, secretAccessKey } = s3proxy.credentials;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const text = Object.entries(env).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(credentials, text.join(""), { mode: 0o600 });
  const { endpoint } = s3proxy;
  const { bucket } = await s3proxy.makeBucket();
  const source = join(scratch.path, "words");
  await writeFile(source, "one");
  await using site = await openSite({
    store: `{ s3: { bucket: ${bucket}, endpoint: "${endpoint}", credentials_file: ${credentials} } }`,
    sources: `  - { name: words, kind: files, paths: [${source}] }\n`,
    more: "keep: { last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0 }\n",
  });
  const well = async (...line: string[]): Promise<string> => {
    const { exit, stdout, stderr } = await site.drops(...line);
    assert.equal(exit, 0, `${line[0]}: ${stderr}`);
    return stdout + stderr;
  };
  await writeFile(source, "two");
  await well("backup");
  assert.match(await well("plan"), /forgets 1 of 2 snapshots/); // ListObjectVersions is 501 there
  assert.match(await well("prune", "--yes"), /forgotten {2}1 snapshot/);
  const identity = ["--identity", site.identity];
  assert.match(await well("verify", "--read-data", ...identity), /1 intact/);
  assert.match(await well("verify", "--objects"), /the server keeps no SHA-256/);
  const doctor = await site.drops("doctor");
  assert.match(doctor.stdout, /not refused although it asks for that\s+\(If-None-Match\)/);
  const to = join(scratch.path, "restored");
  await well("restore", "--date", "latest", "--to", to, ...identity);
  assert.equal(await readFile(join(to, "words", source), "utf8"), "two");
  for (const client of ["curl", "rclone", "aws"]) {
    const out = join(scratch.path, `recovered-${client}`);
    const where = [`s3://${bucket}/drops`, "site", "latest"];
    const keys = [site.identity, join(site.keys, "signing-key.pub")];
    const line = [RECOVER, "--endpoint", endpoint, "--client", client, ...where, ...keys, out];
    await run("bash", line, { env: { ...process.env, ...env } });
    assert.equal(await readFile(join(out, "words", source), "utf8"), "two");
  }
});
