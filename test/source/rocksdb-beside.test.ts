import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import type { SourcePolicy } from "../../src/policy/schema.ts";
import { besideDatabase } from "../../src/source/rocksdb/capture/beside.ts";
import { freezeRocksdb } from "../../src/source/rocksdb/capture/capture.ts";
import { collectingSink } from "../support/collecting-sink.ts";
import { filesAt } from "../support/path-cases.ts";
import { openRocksdb } from "../support/rocksdb-library.ts";
import { captureContext, rocksdbPolicy } from "../support/rocksdb-snapshots.ts";
import { scratchDirectory } from "../support/scratch.ts";

const signal = AbortSignal.timeout(300_000);
let host: Host;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let app = "";
before(async () => {
  host = await openLocalHost();
  scratch = await scratchDirectory();
  app = join(scratch.path, "app");
  mkdirSync(app);
  const db = await openRocksdb(join(app, "db"), { families: 1, create: true });
  await db.close();
  execFileSync("sh", [
    "-ec",
    `cd "$1/db"; mkdir -p archive media/thumbs media/of; : >LOG.old.123; : >000099.log; : >archive/000001.log
     head -c 3000000 /dev/zero >media/of/people; ln -s "$1" "$2/link"`,
    "test",
    app,
    scratch.path,
  ]);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

interface Row {
  readonly name: string;
  readonly paths?: readonly string[];
  readonly exclude?: readonly string[];
  /** Relative to the database; empty: nothing is told. */
  readonly told: readonly string[];
}

const rows: readonly Row[] = [
  { name: "no other source", told: ["media"] },
  { name: "a source elsewhere", paths: ["other", "app/db-media"], told: ["media"] },
  { name: "a source of what holds the database", paths: ["app"], told: [] },
  { name: "the same, by a symlink", paths: ["link"], told: [] },
  { name: "one that excludes the database", paths: ["app"], exclude: ["*/db"], told: ["media"] },
  { name: "one that excludes the media knowingly", paths: ["app"], exclude: ["*/media"], told: [] },
  { name: "a source of the media", paths: ["app/db/media"], told: [] },
  { name: "a source of a part of the media", paths: ["app/db/media/of"], told: ["media/thumbs"] },
];

describe("what lies in the directory of a database and is in no source", () => {
  for (const { name, paths, exclude = [], told } of rows) {
    test(`with ${name}`, async () => {
      const source = rocksdbPolicy(join(app, "db"));
      const files = (paths ?? []).map((path) => join(scratch.path, path));
      const sources: SourcePolicy[] = [source];
      if (paths) sources.push(filesAt("files", files, { exclude: [...exclude] }));
      const words = await besideDatabase(host, source, sources, { signal });
      assert.deepEqual(
        words?.replace(/ \(.*\)$/, "").split(", ") ?? [],
        told.map((each) => join(app, "db", each)),
      );
    });
  }

  test("a backup notes it with its size", async () => {
    const source = rocksdbPolicy(join(app, "db"));
    await using frozen = await freezeRocksdb(source, captureContext(host, { sources: [source] }));
    const sink = collectingSink();
    await frozen.ship(sink, { signal });
    assert.deepEqual(sink.notes, [
      `in the directory of the database and in no source: ${app}/db/media (2.9 MiB)`,
    ]);
  });

  test("names of any bytes, and more than are shown", async () => {
    const directory = join(scratch.path, "odd");
    execFileSync("sh", [
      "-ec",
      `mkdir "$1"; cd "$1"; : >CURRENT; mkdir 000001.sst; ln -s CURRENT LOG
       for n in 1 2 3 4; do : >"n$n"; done; : >"$(printf 'a\\nb\\033[2Jc\\377')"`,
      "test",
      directory,
    ]);
    const words = await besideDatabase(host, rocksdbPolicy(directory), [], { signal });
    assert.match(words ?? "", /odd\/000001\.sst, .* and 1 more \(\d/); // a directory is no file of RocksDB
    assert.doesNotMatch(words ?? "", /\p{Cc}/u);
  });
});
