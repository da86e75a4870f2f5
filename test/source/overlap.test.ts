import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { freezeSource } from "../../src/backup/freeze.ts";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import type { SourcePolicy } from "../../src/policy/schema.ts";
import { excludesAsCaptured } from "../../src/source/excludes.ts";
import { freezeFiles } from "../../src/source/files/capture.ts";
import { findFiles } from "../../src/source/files/find.ts";
import { overlapsOf, overlapsOn } from "../../src/source/overlap.ts";
import { collectingSink } from "../support/collecting-sink.ts";
import { drops } from "../support/in-process.ts";
import { filesAt } from "../support/path-cases.ts";
import { captureContext, rocksdbPolicy } from "../support/rocksdb-snapshots.ts";
import { scratchDirectory } from "../support/scratch.ts";

const signal = AbortSignal.timeout(300_000);
const files = (name: string, paths: string[], exclude: string[] = []) => filesAt(name, paths, { exclude });
const db = (path: string, name = "db") => ({ ...rocksdbPolicy(path), name });
/** DynamicUser: the state of hs lies behind a symlink. */
const leads = (path: string) => path.replace(/^\/var\/lib\/hs(?=\/|$)/, "/var/lib/private/hs");

const rows: readonly {
  name: string;
  sources: readonly SourcePolicy[];
  text: readonly string[];
  real?: readonly string[];
}[] = [
  { name: "apart", sources: [files("a", ["/srv/a"]), files("b", ["/srv/ab"]), db("/srv/db")], text: [] },
  { name: "one path twice", sources: [files("a", ["/srv/a"]), files("b", ["/srv//a/"])], text: ["b a"] },
  {
    name: "a path in another",
    sources: [files("in", ["/srv/a/b"]), files("out", ["/srv/a"])],
    text: ["out in"],
  },
  {
    name: "a path in another that excludes it",
    sources: [files("in", ["/srv/a/b"]), files("out", ["/srv/a"], ["/srv/a/b"])],
    text: [],
  },
  {
    name: "a path in another that excludes all in it",
    sources: [files("in", ["/srv/a/b"]), files("out", ["/srv/a"], ["/srv/a/b/*"])],
    text: [],
  },
  { name: "a database in files", sources: [db("/srv/a/db"), files("out", ["/srv/a"])], text: ["out db"] },
  { name: "a database as files", sources: [files("out", ["/srv/db"]), db("/srv/db")], text: ["out db"] },
  {
    name: "a database of which the tables alone are excluded",
    sources: [db("/srv/a/db"), files("out", ["/srv/a"], ["*.sst"])],
    text: ["out db"],
  },
  {
    name: "a database in files that exclude its files",
    sources: [
      db("/srv/a/db"),
      files(
        "out",
        ["/srv/a"],
        ["CURRENT", "MANIFEST-*", "*.sst", "*.log"].map((file) => `/srv/a/db/${file}`),
      ),
    ],
    text: [],
  },
  { name: "media in a database", sources: [db("/srv/db"), files("media", ["/srv/db/media"])], text: [] },
  { name: "a database twice", sources: [db("/srv/db"), db("/srv/db", "again")], text: ["again db"] },
  {
    name: "a database behind a symlink",
    sources: [db("/var/lib/private/hs/db"), files("hs", ["/var/lib/hs"])],
    text: [],
    real: ["hs db"],
  },
  {
    name: "one that is excluded by the other name",
    sources: [db("/var/lib/private/hs/db"), files("hs", ["/var/lib/hs"], ["/var/lib/hs/db"])],
    text: [],
    real: [],
  },
  {
    name: "one path by two names",
    sources: [files("a", ["/var/lib/private/hs"]), files("b", ["/var/lib/hs"])],
    text: [],
    real: ["b a"],
  },
  {
    name: "a symlink that is excluded, and not what it leads to",
    sources: [files("all", ["/var/lib"], ["/var/lib/hs"]), files("hs", ["/var/lib/hs"])],
    text: [],
    real: ["all hs"],
  },
];

describe("sources that hold the same", () => {
  for (const { name, sources, text, real = text } of rows)
    test(name, () => {
      const told = (found: ReturnType<typeof overlapsOf>) =>
        found.map(({ source, other }) => `${source} ${other}`);
      assert.deepEqual([told(overlapsOf(sources)), told(overlapsOf(sources, leads))], [text, real]);
    });
});

test("patterns are taken by either name of a path, and a symlink inside of it makes none", () => {
  const paths = ["/var/lib/hs/", "/srv"];
  const exclude = ["*/cache", "/var/lib/private/hs/log/*", "/var/lib/hs/./tmp", "/srv/x/*", "/var/lib/hsx"];
  assert.deepEqual(
    excludesAsCaptured({ paths, exclude }, (path) => leads(path.replace(/\/$/, ""))),
    [...exclude, "/var/lib/hs/log/*", "/var/lib/private/hs/tmp"],
  );
  const strange = excludesAsCaptured({ paths: ["/a"], exclude: ["/a/x"] }, () => "/b*");
  assert.deepEqual(strange, ["/a/x"], "a name with * in it would take more");
});

describe("on a host", () => {
  let host: Host;
  let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
  let at: (path: string) => string;
  before(async () => {
    host = await openLocalHost();
    scratch = await scratchDirectory();
    at = (path) => join(scratch.path, path);
    for (const directory of ["private/hs/db", "private/hs/cache/deep"])
      mkdirSync(at(directory), { recursive: true });
    for (const file of ["db/CURRENT", "cache/deep/f", "state"]) writeFileSync(at(`private/hs/${file}`), "x");
    symlinkSync(at("private/hs"), at("hs"));
  });
  after(async () => {
    await host[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  test("an exclude by the name of the symlink holds where it leads to", async () => {
    const source = files("hs", [at("hs")], [`${at("hs")}/cache`, `${at("hs")}/db/*`]);
    const { listing, resolved } = await findFiles(host, source, { signal });
    const found = Array.from({ length: listing.length }, (_, index) =>
      `/${listing.path(index)}`.slice(scratch.path.length + 1),
    );
    assert.deepEqual(found, ["hs", "private/hs", "private/hs/db", "private/hs/state"]);
    assert.ok(resolved.exclude.includes(`${at("private/hs")}/cache`));
  });

  test("what was captured through a symlink says where that led to", async () => {
    await using frozen = await freezeFiles(files("hs", [at("hs")]), captureContext(host, { signal }));
    await frozen.ship(collectingSink(), { signal });
    assert.deepEqual(frozen.facts["leads_to"], { [at("hs")]: at("private/hs") });
  });

  test("a backup refuses the source that holds a database of another", async () => {
    const sources = [db(at("private/hs/db")), files("hs", [at("hs")])];
    const [, hs] = sources;
    assert.ok(hs);
    const overlaps = await overlapsOn(host, sources, { signal });
    await assert.rejects(freezeSource(hs, { ...captureContext(host, { signal, sources }), overlaps }), {
      code: "source/failed",
      message: `source hs also holds ${at("private/hs/db")}, the database of source db`,
      hint: `exclude it in source hs: exclude: ["${at("private/hs/db")}"]`,
    });
  });

  test("policy check refuses what overlaps by its text", async () => {
    const policy = at("policy.yaml");
    const keys =
      "keys: { recovery_recipients: [age1abc], metadata_identity_file: /k/m, signing_key_file: /k/s }";
    writeFileSync(
      policy,
      `name: ops\nzone: UTC\nhost: local\nstore: { directory: /s }\n${keys}\nsources:\n  - { name: db, kind: rocksdb, path: /srv/a/db }\n  - { name: a, kind: files, paths: [/srv/a] }\n`,
    );
    const { exit, stderr } = await drops(["policy", "check", "--policy", policy]);
    assert.equal(exit, 2, stderr);
    assert.match(stderr, /source a also holds \/srv\/a\/db, the database of source db/);
    assert.match(stderr, /exclude: \["\/srv\/a\/db"\]/);
  });
});
