import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import { readAttempt, readHello } from "../../src/source/rocksdb/capture/report.ts";
import { parseOptions } from "../../src/source/rocksdb/formats/options-file.ts";
import { FieldReader } from "../../src/source/script-channel.ts";

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const fields = (words: readonly string[], size = 7) =>
  new FieldReader(cut(Buffer.from(words.map((word) => `${word}\0`).join("")), size));

const owner = ["640", "991", "992", "matrix", "matrix"];
const file = (
  name: string,
  more: readonly string[] = ["2049", "1234", "1760000000.1234567890", ...owner],
) => ["file", name, "77", ...more];
const frozen = (...parts: readonly (readonly string[])[]) => [
  "frozen",
  "MANIFEST-000005",
  "directory",
  ...owner,
  "first",
  "000007.log",
  ...parts.flat(),
  "tail",
  "12",
  ...file("MANIFEST-000005"),
  "end",
];

test("an answer is read whatever way the stream is cut", async () => {
  for (const size of [1, 2, 13, 1000]) {
    const report = await readAttempt(fields(frozen(file("000009.sst"), file("OPTIONS-000008")), size));
    assert.ok("files" in report);
    assert.deepEqual([report.manifest, report.tailSize, report.firstLogs], ["MANIFEST-000005", 12, [7]]);
    assert.deepEqual(report.files.get("000009.sst"), {
      name: "000009.sst",
      size: 77,
      device: "2049",
      inode: "1234",
      mtime: 1760000000123456789n,
      owner: { mode: 0o640, uid: 991, gid: 992, user: "matrix", group: "matrix" },
    });
  }
});

test("numbers in the place of names are no names", async () => {
  const nameless = ["2049", "1", "5.5", "600", "64000", "64000", "64000", ""];
  const report = await readAttempt(fields(frozen(file("000009.sst", nameless))));
  assert.ok("files" in report);
  const read = report.files.get("000009.sst");
  assert.deepEqual(
    [read?.owner.user, read?.owner.group, read?.mtime],
    [undefined, undefined, 5_500_000_000n],
  );
});

test("another attempt is asked for", async () => {
  assert.deepEqual(await readAttempt(fields(["again", "current", "CURRENT\n changed"])), {
    again: "current",
    why: "CURRENT  changed",
  });
});

test("the staging directory is named by the script's process", async () => {
  const hello = await readHello(
    fields(["drops-rocksdb-1", "/var/lib/db", "/var/lib/.drops-staging-x", "4711"]),
  );
  assert.deepEqual(hello, { database: "/var/lib/db", stage: "/proc/4711/cwd" });
});

const refused: readonly { name: string; words: readonly string[]; code?: FailureCode; says: RegExp }[] = [
  { name: "a name that leads elsewhere", words: frozen(file("../../etc/shadow")), says: /no such name/ },
  { name: "a name with a prefix", words: frozen(file("x000009.sst")), says: /no such name/ },
  { name: "a size that is none", words: frozen(["file", "000009.sst", "-1"]), says: /number is none/ },
  {
    name: "a size beyond 2^53",
    words: frozen(["file", "000009.sst", "9999999999999999"]),
    says: /number is none/,
  },
  { name: "a mode that is none", words: ["frozen", "MANIFEST-1", "directory", "999"], says: /mode/ },
  {
    name: "a time that is none",
    words: frozen(file("000009.sst", ["1", "1", "yesterday"])),
    says: /described/,
  },
  { name: "an unknown word", words: frozen(["constructor"]), says: /unknown word/ },
  {
    name: "no MANIFEST among the files",
    words: ["frozen", "MANIFEST-1", "directory", ...owner, "tail", "0", "end"],
    says: /incomplete/,
  },
  { name: "a MANIFEST elsewhere", words: ["frozen", "/etc/MANIFEST-1"], says: /MANIFEST/ },
  { name: "an end in the middle", words: frozen().slice(0, -3), says: /ended early/ },
  { name: "nothing", words: [], says: /ended early/ },
  { name: "something else", words: ["Last login: today"], says: /unknown/ },
  { name: "no space", words: ["problem", "space", "full"], code: "space/low", says: /full/ },
  {
    name: "a missing database",
    words: ["problem", "missing", "no\u0007thing"],
    code: "source/failed",
    says: /no thing/,
  },
  { name: "a problem of the future", words: ["problem", "__proto__", "strange"], says: /strange/ },
];
for (const { name, words, code, says } of refused) {
  test(`an answer is refused: ${name}`, async () => {
    await assert.rejects(
      readAttempt(fields(words)),
      (error) => isFailure(error, code ?? "host/command-failed") && says.test(error.message),
    );
  });
}

test("a field without end does not fill the memory", async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      given++;
      yield Buffer.alloc(4096, "a");
    }
  }
  await assert.rejects(readAttempt(new FieldReader(endless())), (error) =>
    isFailure(error, "host/command-failed"),
  );
  assert.ok(given < 10);
});

test("any bytes are an answer or refused", async () => {
  const words = fc.constantFrom(
    "frozen",
    "MANIFEST-1",
    "directory",
    "file",
    "first",
    "tail",
    "end",
    "640",
    "7",
    "",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(words, fc.string({ maxLength: 6 })), { maxLength: 30 }),
      async (some) => {
        for (const read of [readAttempt, readHello]) {
          await read(fields(some)).catch((error: unknown) => assert.ok(isFailure(error), String(error)));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("options: sections, escapes, and what is not there", () => {
  const options = parseOptions(
    [
      "# This is a RocksDB option file.",
      "[Version]",
      "  rocksdb_version=11.8.1",
      "[DBOptions]",
      "  recycle_log_file_num=4",
      "  wal_dir=/srv/a\\:b",
      '[CFOptions "default"]',
      "  allow_2pc=true",
    ].join("\n"),
  );
  assert.deepEqual(options, {
    rocksdbVersion: "11.8.1",
    recyclesLogs: true,
    twoPhaseCommit: false,
    walDirectory: "/srv/a:b",
    excerpt: { rocksdb_version: "11.8.1", recycle_log_file_num: "4", wal_dir: "/srv/a:b" },
  });
  assert.deepEqual(parseOptions(""), {
    rocksdbVersion: undefined,
    recyclesLogs: false,
    twoPhaseCommit: false,
    walDirectory: undefined,
    excerpt: {},
  });
});
