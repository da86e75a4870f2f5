import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parsePolicy } from "../../src/policy/load.ts";
import { sameDisk } from "../../src/source/same-disk.ts";
import { scratchDirectory } from "../support/scratch.ts";

const policyOf = (host: string, store: string, source: string) =>
  parsePolicy(
    `name: ops\nzone: UTC\nhost: ${host}\nstore: ${store}\nkeys: { recovery_recipients: [age1abc], metadata_identity_file: /k/m, signing_key_file: /k/s }\nsources:\n  - ${source}\n`,
    "made",
  ).policy;

test("a directory on the disk that holds the data is told; another disk, a server and another machine are not", async () => {
  await using scratch = await scratchDirectory();
  const other = await mkdtemp("/dev/shm/drops-test-");
  try {
    const data = join(scratch.path, "data");
    await mkdir(data);
    const files = `{ name: a, kind: files, paths: [${data}, /nonexistent] }`;
    const here = `{ directory: ${scratch.path}/not/made/yet }`;
    assert.equal(
      await sameDisk(policyOf("local", here, files)),
      `the store ${scratch.path}/not/made/yet lies on the same disk as ${data}: a disk that breaks takes the data and its backups`,
    );
    const rows = [
      policyOf("local", `{ directory: ${other} }`, files),
      policyOf("local", "{ s3: { bucket: bucket } }", files),
      policyOf("{ ssh: { address: ops.example.org } }", here, files),
      policyOf("local", here, "{ name: a, kind: command, argv: [date] }"),
    ];
    for (const policy of rows) assert.equal(await sameDisk(policy), undefined);
  } finally {
    await rm(other, { recursive: true });
  }
});
