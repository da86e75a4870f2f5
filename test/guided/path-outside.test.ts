import assert from "node:assert/strict";
import { test } from "node:test";
import { OutsideOfPart } from "../../src/guided/paths/outside.ts";
import { scopeOf } from "../../src/guided/paths/scope.ts";
import { Few } from "../../src/source/files/few.ts";
import { FileListing } from "../../src/source/files/listing.ts";

/** What a swap moves on of a directory whose source excludes these; all are files unless they end in a slash. */
async function movedOn(exclude: readonly string[], paths: readonly string[]): Promise<readonly string[]> {
  const listing = new FileListing();
  for (const path of paths) {
    const file = {
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: 1,
      mtime: 0n,
      ctime: 0n,
      inode: 1n,
      device: "1",
      links: 1,
    };
    const kind = path.endsWith("/") ? "d" : "f";
    listing.add(Buffer.from(path.replace(/\/$/, "")), Buffer.alloc(0), { kind, ...file });
  }
  await listing.sort();
  const policy = {
    ...{ name: "app", kind: "files", paths: ["/srv/app"], optional: false, one_file_system: true },
    exclude: exclude.map((pattern) => `/srv/app/${pattern}`),
  } as const;
  const piece = { source: "app", from: "srv/app", at: "" };
  const scope = scopeOf({ pieces: [piece] } as never, [policy as never]);
  return new OutsideOfPart(scope, listing, new Few()).movable();
}

const rows: readonly { name: string; exclude: string[]; paths: string[]; moved: string[] }[] = [
  {
    name: "logs of a database that is replaced",
    exclude: ["*-wal", "*-shm", "*-journal"],
    paths: ["a.db", "a.db-journal", "a.db-shm", "a.db-wal"],
    moved: [],
  },
  {
    name: "a file of such a name beside no database",
    exclude: ["*-journal"],
    paths: ["trip-journal"],
    moved: ["trip-journal"],
  },
  {
    name: "a directory of such a name",
    exclude: ["*-journal"],
    paths: ["trip", "trip-journal/"],
    moved: ["trip-journal"],
  },
  {
    name: "a log whose database is excluded, too",
    exclude: ["a.db*"],
    paths: ["a.db", "a.db-wal"],
    moved: ["a.db", "a.db-wal"],
  },
  { name: "other excluded files", exclude: ["cache"], paths: ["a.db", "cache"], moved: ["cache"] },
];

for (const { name, exclude, paths, moved } of rows)
  test(`a swap and what no source takes: ${name}`, async () => {
    assert.deepEqual([...(await movedOn(exclude, paths))].sort(), moved);
  });
