import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { findArguments } from "../../src/source/files/find.ts";
import { below, rawPath, Scope } from "../../src/source/scope.ts";
import { filesAt } from "../support/path-cases.ts";
import { rocksdbPolicy } from "../support/rocksdb-snapshots.ts";
import { scratchDirectory } from "../support/scratch.ts";

let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
before(async () => {
  scratch = await scratchDirectory();
  execFileSync("sh", [
    "-ec",
    `cd "$1"; mkdir -p app/cache/deep app/sub/cache 'app/[a]' app/a app/.drops-restore-x/new
     for f in app/cache/deep/f app/sub/cache/f app/sub/x.tmp 'app/[a]/f' app/a/f "app/$(printf 'b\\nd\\377')" 'app/back\\slash' app/cached app/.drops-restore-x/f
     do : >"$f"; done`,
    "test",
    scratch.path,
  ]);
});
after(() => scratch[Symbol.asyncDispose]());

interface Row {
  readonly exclude: readonly string[];
  readonly paths?: readonly string[];
}

const rows: readonly Row[] = [
  { exclude: [] },
  { exclude: ["*/cache"] },
  { exclude: ["*cache*"] },
  { exclude: ["*/c*e/*p"] },
  { exclude: ["AT/app//cache/", "*.tmp"] },
  { exclude: ["AT/app/sub/./cache"] },
  { exclude: ["*/[a]*"] },
  { exclude: ["*/?a]"] },
  { exclude: ["*/b?d?"] },
  { exclude: ["*\\slash"] },
  { exclude: ["cache", "app/cache", "/cache"] },
  { exclude: ["*/****/f"] },
  { exclude: ["AT/app"], paths: ["app", "app/cache/deep"] },
  { exclude: ["*/app"] },
];

describe("a source takes what find lists for it", () => {
  for (const { exclude, paths = ["app"] } of rows) {
    test(`of ${paths.join(" and ")} without ${exclude.join(" ")}`, () => {
      const at = (pattern: string) => pattern.replace("AT", scratch.path);
      const starts = paths.map((path) => `${scratch.path}/${path}`);
      const policy = filesAt("files", starts, { exclude: exclude.map(at) });
      const find = (argv: readonly string[]) =>
        execFileSync("find", argv, { env: { ...process.env, LC_ALL: "C" } })
          .toString("latin1")
          .split("\0")
          .filter((line) => line !== "");
      const listed = find(findArguments(policy, ["-printf", "%y%p\\0"])).map((line) => line.slice(2));
      const all = find(["-P", `${scratch.path}/app`, "-printf", "%y%p\\0"]);
      const roots = starts.map(rawPath).map((captured) => ({ at: captured, captured, policy }));
      const scope = new Scope(roots);
      const isOwn = (line: string) => /\/\.drops-restore-/.test(line);
      const taken = all.filter((line) => !isOwn(line) && scope.taker(line.slice(2), line.startsWith("d")));
      assert.deepEqual(taken.map((line) => line.slice(2)).toSorted(), [...new Set(listed)].toSorted());

      const entries = all
        .map((line) => ({ path: line.slice(2), isDirectory: line.startsWith("d"), bytes: 1 }))
        .toSorted((a, b) => (a.path < b.path ? -1 : 1));
      const outside = scope.outside(entries);
      const isOutside = ({ path }: { path: string }) =>
        outside.some((top) => below(path, top.path) !== undefined);
      for (const entry of entries.filter(({ path }) => !isOwn(path)))
        if (listed.includes(entry.path)) assert.ok(!isOutside(entry), entry.path);
        else assert.ok(isOutside(entry) || roots.some((root) => below(root.at, entry.path)), entry.path);
      assert.equal(
        outside.reduce((sum, { bytes }) => sum + bytes, 0),
        entries.filter(isOutside).length,
      );
    });
  }
});

test("a database takes RocksDB's own files, and nothing else", () => {
  const scope = new Scope([{ at: "db", captured: "", policy: rocksdbPolicy("/db") }]);
  const own = [
    "CURRENT",
    "IDENTITY",
    "LOCK",
    "LOG",
    "LOG.old.1764513600000000",
    "MANIFEST-000005",
    "000012.sst",
  ];
  const more = ["OPTIONS-000007", "OPTIONS-000009.dbtmp", "000013.log", "000014.blob", "000011.sst.trash"];
  for (const name of [...own, ...more, "archive/000003.log"]) {
    assert.ok(scope.taker(`db/${name}`, false), name);
    assert.ok(!scope.taker(`db/${name}`, true), `${name}, a directory`);
  }
  assert.ok(scope.taker("db/archive", true) && scope.taker("db", true));
  for (const name of [
    "media",
    "archive/note",
    "x/000001.sst",
    "CURRENT.bak",
    "000001.sst~",
    "archive",
    "LOG\n",
  ])
    assert.ok(!scope.taker(`db/${name}`, false), name);
});

test("a pattern of many stars takes no time", () => {
  const policy = filesAt("files", ["/a"], { exclude: [`${"*a".repeat(40)}b`] });
  const began = performance.now();
  assert.ok(new Scope([{ at: "a", captured: "a", policy }]).taker(`a/${"a".repeat(4000)}`, false));
  assert.ok(performance.now() - began < 5000);
});
