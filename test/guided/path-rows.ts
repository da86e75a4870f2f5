import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesAt, type PathRow, type RowSource } from "../support/path-cases.ts";
import { openRocksdb } from "../support/rocksdb-library.ts";

const OTHER = { uid: 12_345, gid: 54_321 };

/** `srv/…` of the host's directory as the manifest of files has it. */
const inSrv = (at: string, path: string): string => `${at.slice(1)}/srv/${path}`;
const places = (at: string, ...paths: string[]): string[] => paths.map((path) => `${at}/srv/${path}`);

const treeBefore = (path: string): string => `
  mkdir -p srv/${path}/d srv/${path}/locked
  echo old >srv/${path}/f; echo 'only old' >srv/${path}/d/old; ln srv/${path}/f srv/${path}/d/hard
  ln -s nowhere srv/${path}/link; echo x >"srv/${path}/ name with  spaces
and a line"; chown 4321:1234 srv/${path}; chmod 2750 srv/${path}; chmod 555 srv/${path}/locked
  touch -d '2020-02-02 02:02:02.123456789' srv/${path}/d srv/${path}/f srv/${path}`;

const treeNew = (at: string, path: string): RowSource["entries"] => {
  const inside = (name: string) => inSrv(at, `${path}/${name}`);
  return [
    { path: inSrv(at, path), type: "dir", mode: 0o751, ...OTHER },
    { path: inside("f"), text: "new f", mode: 0o640, ...OTHER },
    { path: inside("hard"), type: "hardlink", target: inside("f") },
    { path: inside("sub"), type: "dir", mode: 0o555, mtime: 1_500_000_000_000_000_007n },
    { path: inside("sub/deep"), text: "deep" },
    { path: inside("link"), type: "symlink", mode: 0o777, target: "../elsewhere" },
    { path: inside("-n odd \n name"), text: "odd" },
    { path: inside("pipe"), type: "fifo", mode: 0o600 },
  ];
};

const treeIsNew = (path: string): string => `
  cd srv/${path}; test "$(ls -A | grep -v '^.drops-' | wc -l)" = 7; test -p pipe; test ! -e d
  test "$(stat -c %a:%u:%g:%Y .)" = 751:12345:54321:1700000000
  test "$(stat -c %i f)" = "$(stat -c %i hard)"; test "$(stat -c %a:%s f)" = 640:3000
  test "$(readlink link)" = ../elsewhere; test "$(stat -c %Y sub)" = 1500000000; test "$(stat -c %s sub/deep)" = 3000`;

export const ROWS: PathRow[] = [
  {
    name: "a directory",
    before: treeBefore("app"),
    sources: (at) => [{ policy: filesAt("app", places(at, "app")), entries: treeNew(at, "app") }],
    isNew: treeIsNew("app"),
    spoiled: "app/sub/deep",
  },
  {
    name: "a file",
    before: "echo old >srv/config; chmod 600 srv/config",
    sources: (at) => [
      {
        policy: filesAt("config", places(at, "config")),
        entries: [{ path: inSrv(at, "config"), text: "new", ...OTHER }],
      },
    ],
    isNew: `test "$(stat -c %s:%u srv/config)" = 3000:12345`,
    spoiled: "config",
  },
  {
    name: "a path that was not there, nor what holds it",
    before: "",
    sources: (at) => [{ policy: filesAt("app", places(at, "a/b/app")), entries: treeNew(at, "a/b/app") }],
    isNew: treeIsNew("a/b/app"),
    spoiled: "a/b/app/sub/deep",
    // directories on the way stay until it is discarded
    holders: ["a", "a/b"],
  },
  {
    name: "a directory behind a symlink, as with DynamicUser",
    before: `mkdir srv/private; ln -s private/app srv/app; ${treeBefore("private/app")}`,
    sources: (at) => [
      {
        policy: filesAt("app", places(at, "app")),
        entries: [
          { path: inSrv(at, "app"), type: "symlink", mode: 0o777, target: "private/app" },
          ...treeNew(at, "private/app"),
        ],
      },
    ],
    isNew: `test "$(readlink srv/app)" = private/app; ${treeIsNew("private/app")}`,
    spoiled: "private/app/sub/deep",
    holders: ["private"],
  },
  {
    name: "a mount point",
    before: `mkdir srv/app; mount -t tmpfs none srv/app; ${treeBefore("app")}`,
    after: "umount srv/app",
    sources: (at) => [{ policy: filesAt("app", places(at, "app")), entries: treeNew(at, "app") }],
    isNew: treeIsNew("app"),
    spoiled: "app/sub/deep",
  },
  {
    name: "several paths on two file systems, one of them new, with a hard link across",
    before: `mkdir srv/disk; mount -t tmpfs none srv/disk; ${treeBefore("disk/app")}; ${treeBefore("two")}; echo 1 >srv/one`,
    after: "umount srv/disk",
    sources: (at) => [
      {
        policy: filesAt("many", places(at, "disk/app", "one", "two", "three", "four", "two/sub"), {
          optional: true,
        }),
        entries: [
          ...treeNew(at, "disk/app"),
          ...treeNew(at, "two"),
          { path: inSrv(at, "one"), text: "one" },
          { path: inSrv(at, "three"), type: "hardlink", target: inSrv(at, "one") },
        ],
      },
    ],
    isNew: `(${treeIsNew("disk/app")}); (${treeIsNew("two")}); cmp srv/one srv/three; test ! -e srv/four`,
    spoiled: "one",
    holders: ["disk"],
  },
  {
    name: "RocksDB with media in it",
    before: `mkdir -p srv/db/media; cd srv/db; echo MANIFEST-000001 >CURRENT; echo x >MANIFEST-000001; echo y >LOCK
      echo old >media/old; chown -R 4321:1234 .`,
    sources: (at) => [
      {
        policy: { name: "db", kind: "rocksdb", path: `${at}/srv/db`, mode: "hot", min_free: "1MiB" },
        facts: {
          directory: { mode: "0700", uid: 61_000, gid: 61_000, user: "drops-gone", group: "drops-gone" },
        },
        entries: databaseEntries(),
      },
      {
        policy: filesAt("media", places(at, "db/media")),
        entries: [
          { path: inSrv(at, "db/media"), type: "dir", uid: 61_000, gid: 61_000, user: "drops-gone" },
          { path: inSrv(at, "db/media/one"), text: "one", uid: 61_000, gid: 61_000, user: "drops-gone" },
        ],
      },
    ],
    // nobody of that name is here: it is given to whom the old one belonged
    isNew: `cd srv/db; test -s media/one; test ! -e media/old; test ! -e LOCK; ls *.log
      test "$(stat -c %a:%u:%g:%Y .)" = "700:4321:1234:$(date -d 2026-11-20T01:30:00Z +%s)"
      test "$(find . ! -user 4321 -o ! -group 1234 | wc -l)" = 0; test "$(stat -c %Y media)" = 1700000000`,
    spoiled: "db/media/one",
  },
];

let database: RowSource["entries"] | undefined;
const directory = mkdtempSync(join(tmpdir(), "drops-test-db-"));
const db = await openRocksdb(directory, { families: 2, create: true });
for (let at = 0; at < 300; at++) {
  const batch = db.batch();
  for (const column of Object.values(db.columns))
    batch._put(Buffer.from(`key ${at}`), Buffer.alloc(1000, at), { column });
  batch._writeSync({ sync: at === 299 });
  batch._closeSync();
}
await db.close();

/** The files of a real database. */
export function databaseEntries(): RowSource["entries"] {
  if (database) return database;
  const names = readdirSync(directory).filter((name) =>
    /^(CURRENT|IDENTITY|(MANIFEST|OPTIONS)-\d+|\d+\.(log|sst))$/.test(name),
  );
  const owner = { uid: 61_000, gid: 61_000, user: "drops-gone", group: "drops-gone" };
  database = names.map((name) => ({
    path: name,
    bytes: readFileSync(join(directory, name)),
    mode: statSync(join(directory, name)).mode & 0o7777,
    ...owner,
  }));
  rmSync(directory, { recursive: true });
  return database;
}

/** What no source takes, in every odd form. */
const besideBefore = (path: string): string => `${treeBefore(path)}
  cd srv/${path}; mkdir -p cache/in a/b/cache sub; echo hit >cache/in/hit; echo deep >a/b/cache/deep; echo gone >a/b/gone
  echo odd >'a/b/cache\\n of
a line '; echo kept >sub/.cache; chown -R 777:888 cache a/b/cache; chmod 700 a/b; chmod 1750 cache; ln f cache/hard
  setfattr -n user.note -v kept cache
  touch -d '2019-09-09 09:09:09.123456789' a/b/cache a/b cache sub; touch -d '1969-01-01 00:00:00.5' a`;
const excluding = (at: string, path: string) =>
  filesAt("app", places(at, path), { exclude: ["*/cache*", `${at}//srv/${path}/sub/.cach?/`] });
const besideIsThere = (path: string): string => `
  cd srv/${path}; test "$(cat cache/in/hit) $(cat a/b/cache/deep) $(cat sub/.cache)" = "hit deep kept"
  test "$(cat 'a/b/cache\\n of
a line ')" = odd; test ! -e a/b/gone; test ! -e d; test -s sub/deep; test "$(stat -c %a:%u:%g:%Y cache)" = "3750:777:888:$(date -d '2019-09-09 09:09:09' +%s)"
  getfattr -n user.note cache >/dev/null; test "$(stat -c %a a/b)" = 2700; test "$(stat -c %Y sub .)" = "1500000000
1700000000"; test "$(find a -mindepth 1 | wc -l)" = 5`;

ROWS.push(
  {
    name: "a database with media that no source names",
    before: `mkdir -p srv/db/media/deep srv/db/archive; cd srv/db; echo MANIFEST-000001 >CURRENT; echo x >MANIFEST-000001; echo y >LOCK
      echo z >archive/000001.log; echo mine >archive/note; echo picture >media/deep/one; echo two >notes.txt; ln -s media link
      chown -R 4321:1234 .; chmod 2751 media; touch -d '2019-09-09 09:09:09' media`,
    sources: (at) => [
      {
        policy: { name: "db", kind: "rocksdb", path: `${at}/srv/db`, mode: "hot", min_free: "1MiB" },
        facts: { directory: { mode: "0700", uid: 61_000, gid: 61_000 } },
        entries: databaseEntries(),
      },
    ],
    isNew: `cd srv/db; test "$(cat media/deep/one notes.txt archive/note)" = "picture
two
mine"; test "$(readlink link)" = media; test ! -e LOCK; test ! -e archive/000001.log; ls *.sst
      test "$(stat -c %a:%u:%g:%Y media)" = "2751:4321:1234:$(date -d '2019-09-09 09:09:09' +%s)"`,
    spoiled: "db/CURRENT",
  },
  {
    name: "a directory with what its source excludes",
    before: besideBefore("app"),
    sources: (at) => [{ policy: excluding(at, "app"), entries: treeNew(at, "app") }],
    isNew: besideIsThere("app"),
    spoiled: "app/sub/deep",
  },
  {
    name: "a mount point with what its source excludes",
    before: `mkdir srv/app; mount -t tmpfs none srv/app; ${besideBefore("app")}`,
    after: "umount srv/app",
    sources: (at) => [{ policy: excluding(at, "app"), entries: treeNew(at, "app") }],
    isNew: besideIsThere("app"),
    spoiled: "app/sub/deep",
  },
  {
    name: "files that hold a database, and take the media in it",
    before: `${treeBefore("app")}; mkdir -p srv/app/db/media; echo MANIFEST-000001 >srv/app/db/CURRENT; echo old >srv/app/db/media/old`,
    sources: (at) => [
      {
        policy: filesAt("app", places(at, "app")),
        entries: [
          ...treeNew(at, "app"),
          { path: inSrv(at, "app/db"), type: "dir" },
          { path: inSrv(at, "app/db/CURRENT"), text: "torn" },
          { path: inSrv(at, "app/db/media"), type: "dir", mode: 0o751, ...OTHER },
          { path: inSrv(at, "app/db/media/one"), text: "one", ...OTHER },
        ],
      },
      {
        policy: { name: "db", kind: "rocksdb", path: `${at}/srv/app/db`, mode: "hot", min_free: "1MiB" },
        facts: { directory: { mode: "0700", uid: 61_000, gid: 61_000 } },
        entries: databaseEntries(),
      },
    ],
    isNew: `cd srv/app/db; test "$(stat -c %a:%u:%s media/one)" = 644:12345:3000; test ! -e media/old; ls *.sst
      test "$(stat -c %a:%u .)" = 700:61000; test -s ../sub/deep`,
    spoiled: "app/db/media/one",
  },
);
