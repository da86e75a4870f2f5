import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mountPoints } from "../../src/guided/paths/host.ts";
import { layOut, missingAbove, workOf } from "../../src/guided/paths/layout.ts";
import { adoptOwner, ownerHere } from "../../src/guided/paths/owners.ts";
import type { Ground, HostPlace } from "../../src/guided/paths/places.ts";
import type { PathPart, PathRecord } from "../../src/guided/paths/record.ts";
import { parseLook, pathState } from "../../src/guided/paths/state.ts";
import type { WantedPlace } from "../../src/guided/paths/survey.ts";
import { isFailure } from "../../src/lib/errors.ts";

const OWNER = { uid: 0, gid: 0, user: "root", group: "root" };

/** `SOURCE:FROM@PLACE`; `=` after the place: the path itself; `->TARGET`: captured as a link to that. */
function wanted(text: string): WantedPlace {
  const [, source = "", from = "", place = "", itself, target] =
    /^(\w+):([^@]*)@([^=>]*?)(=)?(?:->(.*))?$/.exec(text) ?? [];
  const link = target === undefined ? {} : { link: { from: place.slice(1), target } };
  return {
    source,
    from,
    type: itself ? "symlink" : "dir",
    owner: OWNER,
    place,
    itself: itself !== undefined,
    ...link,
  };
}

interface Row {
  readonly name: string;
  readonly wanted: readonly string[];
  /** Symlinks of the host: where a path leads, and what is at the end. */
  readonly links?: Readonly<Record<string, string>>;
  readonly there?: readonly string[];
  readonly mounts?: readonly string[];
  /** `MODE REAL: SOURCE:FROM@AT …`, or what is refused. */
  readonly laid: readonly string[] | RegExp;
}

const rows: readonly Row[] = [
  { name: "a path", wanted: ["a:x/y@/x/y"], there: ["/x/y"], laid: ["rename /x/y: a:x/y@"] },
  { name: "a database", wanted: ["db:@/x/db"], laid: ["rename /x/db: db:@"] },
  {
    name: "a link on the host is followed",
    wanted: ["a:x/y@/x/y"],
    links: { "/x/y": "/x/private/y" },
    laid: ["rename /x/private/y: a:x/y@"],
  },
  {
    name: "a link on the host and in the snapshot stays",
    wanted: ["a:x/private/y@/x/y->/x/private/y"],
    links: { "/x/y": "/x/other/y" },
    laid: ["rename /x/other/y: a:x/private/y@"],
  },
  {
    name: "a link that is not there is made, with what it leads to",
    wanted: ["a:x/private/y@/x/y->/x/private/y"],
    laid: ["rename /x/y: a:x/y@", "rename /x/private/y: a:x/private/y@"],
  },
  {
    name: "a link in the snapshot that is a directory here stays one",
    wanted: ["a:x/private/y@/x/y->/x/private/y"],
    there: ["/x/y"],
    laid: ["rename /x/y: a:x/private/y@"],
  },
  {
    name: "a link inside another place comes with that, and leads where it led",
    wanted: ["db:@/x/db", "media:big/m@/x/db/media->/big/m"],
    there: ["/x/db", "/x/db/media"],
    laid: ["rename /x/db: db:@ media:x/db/media@media", "rename /big/m: media:big/m@"],
  },
  {
    name: "media in a database behind a link",
    wanted: ["db:@/x/db", "media:x/db/media@/x/db/media"],
    links: { "/x/db": "/x/private/db", "/x/db/media": "/x/private/db/media" },
    laid: ["rename /x/private/db: db:@ media:x/db/media@media"],
  },
  {
    name: "a database reached through a link that is made lies where that leads",
    wanted: ["a:x/private/y@/x/y->/x/private/y", "db:@/x/y/db"],
    laid: ["rename /x/y: a:x/y@", "rename /x/private/y: a:x/private/y@ db:@db"],
  },
  {
    name: "media that a link takes elsewhere on this host lies in the database again",
    wanted: ["db:@/x/db", "media:x/db/media@/x/db/media"],
    links: { "/x/db/media": "/big/m" },
    there: ["/x/db"],
    laid: ["rename /x/db: db:@ media:x/db/media@media"],
  },
  {
    name: "a database in files",
    wanted: ["files:x@/x", "db:@/x/deep/db"],
    laid: ["rename /x: files:x@ db:@deep/db"],
  },
  {
    name: "names that begin alike are apart",
    wanted: ["a:x/y@/x/y", "a:x/y-z@/x/y-z"],
    laid: ["rename /x/y: a:x/y@", "rename /x/y-z: a:x/y-z@"],
  },
  { name: "a mount point", wanted: ["a:x@/x"], mounts: ["/", "/x"], laid: ["inside /x: a:x@"] },
  { name: "a file system above", wanted: ["a:x/y@/x/y"], mounts: ["/", "/x"], laid: ["rename /x/y: a:x/y@"] },
  {
    name: "a mount inside",
    wanted: ["a:x@/x"],
    mounts: ["/", "/x/y/z"],
    laid: /\/x\/y\/z is mounted inside \/x/,
  },
  { name: "the root", wanted: ["a:@/"], laid: /\/ cannot be replaced/ },
  { name: "a link over a mount point", wanted: ["a:x@/x="], mounts: ["/", "/x"], laid: /was no directory/ },
  {
    name: "two in one place",
    wanted: ["a:x@/x", "b:y@/y"],
    links: { "/y": "/x" },
    laid: /both restored to \/x/,
  },
];

describe("the layout of paths on a host", () => {
  for (const row of rows) {
    test(row.name, () => {
      const lay = () => layOut(row.wanted.map(wanted), placesIn(row), row.mounts ?? ["/"]);
      if (row.laid instanceof RegExp) {
        const says = row.laid;
        assert.throws(lay, (error) => isFailure(error, "safety/refused") && says.test(error.message));
        return;
      }
      const laid = lay().map(({ mode, real, pieces }) => {
        const shown = pieces.map(({ source, from, at }) => `${source}:${from}@${at}`);
        return `${mode} ${real}: ${shown.join(" ")}`;
      });
      assert.deepEqual(laid, row.laid);
    });
  }

  test("the run's directory lies beside a path, and in a mount point", () => {
    assert.equal(workOf({ real: "/x/y", mode: "rename" }, "R"), "/x/.drops-restore-R");
    assert.equal(workOf({ real: "/y", mode: "rename" }, "R"), "/.drops-restore-R");
    assert.equal(workOf({ real: "/x/y", mode: "inside" }, "R"), "/x/y/.drops-restore-R");
  });

  test("what must be made above, the deepest first", () => {
    const ground = (path: string): Ground => ({
      path,
      device: "1",
      uid: 0,
      gid: 0,
      freeBytes: 0,
      freeFiles: 0,
    });
    const made = missingAbove(["/x/a/b/c", "/x/a/d", "/y/z"], [ground("/x"), ground("/x"), ground("/y/z")]);
    assert.deepEqual(made, ["/x/a/b", "/x/a"]);
    assert.deepEqual(missingAbove(["/a/b"], [ground("/")]), ["/a"]);
  });

  test("mount points are read as the kernel writes them", () => {
    const text =
      "36 35 98:0 /mnt1 /mnt/a\\040b\\134 rw,noatime master:1 - ext3 /dev/root rw\n22 1 0:5 / / rw - tmpfs x rw\n";
    assert.deepEqual(mountPoints(text), ["/mnt/a b\\", "/"]);
  });
});

describe("how far paths are", () => {
  const part = (mode: PathPart["mode"]): PathPart => ({
    id: "a-1",
    real: "/x",
    work: "/w",
    mode,
    mount: "/",
    pieces: [{ source: "a", from: "x", at: "" }],
    adopt: {},
  });
  const record = (...parts: PathPart[]): PathRecord => ({
    drops: "path-replacement",
    version: 1,
    run: "r",
    source: "a",
    parts,
    parents: [],
    users: {},
    groups: {},
    notes: [],
  });
  // whole, new, old, absent, out, real
  const table: readonly [PathPart["mode"], string, string][] = [
    ["rename", "000000", "staging"],
    ["rename", "000001", "staging"],
    ["rename", "010001", "staging"],
    ["rename", "110001", "staged"],
    ["rename", "110000", "staged"],
    ["rename", "111000", "staged"],
    ["rename", "110100", "staged"],
    ["rename", "111001", "staged"],
    ["rename", "101001", "swapped"],
    ["rename", "100101", "swapped"],
    ["rename", "101000", "staging"],
    ["rename", "001001", "staging"],
    ["inside", "110001", "staged"],
    ["inside", "111001", "staged"],
    ["inside", "111011", "staged"],
    ["inside", "101011", "swapped"],
    ["inside", "101001", "staging"],
  ];
  for (const [mode, digits, state] of table)
    test(`${mode} ${digits}: ${state}`, () =>
      assert.equal(pathState(record(part(mode)), [parseLook(digits)]), state));

  test("of several, the one that is least far tells", () => {
    const two = record(part("rename"), part("rename"));
    const state = (...digits: string[]) => pathState(two, digits.map(parseLook));
    assert.equal(state("101001", "101001"), "swapped");
    assert.equal(state("101001", "110001"), "staged");
    assert.equal(state("101001", "010001"), "staging");
    assert.equal(pathState({ ...two, finishing: true }, []), "finished");
    assert.equal(pathState(undefined, []), "untouched");
    assert.throws(() => parseLook("10"), RangeError);
  });
});

describe("whose files are whose", () => {
  const ground = { path: "/x/db", device: "1", uid: 700, gid: 700, freeBytes: 0, freeFiles: undefined };
  const gone = { uid: 61_000, gid: 61_000, user: "gone", group: "gone" };
  const known = { users: { svc: 33 }, groups: { svc: 34 } };
  const adopt = (real: string, kind: "rocksdb" | "files", change: object = {}, owner = gone) =>
    adoptOwner({ real }, { owner, kind, ground: { ...ground, ...change } }, known).adopt;
  const given = { uid: { from: 61_000, to: 700 }, gid: { from: 61_000, to: 700 } };

  test("a database of nobody known is given to the owner of what is there", () => {
    assert.deepEqual(adopt("/x/db", "rocksdb"), given);
    assert.deepEqual(adopt("/x/db", "rocksdb", { uid: 0 }), {});
    assert.deepEqual(adopt("/x/db", "rocksdb", {}, { uid: 33, gid: 34, user: "svc", group: "svc" }), {});
    assert.deepEqual(adopt("/x/db", "rocksdb", {}, { ...gone, uid: 0 }), {});
  });

  test("files keep their numbers, except where only systemd looks", () => {
    assert.deepEqual(adopt("/x/db", "files"), {});
    assert.deepEqual(adopt("/var/lib/private/bridge", "files"), given);
  });

  test("a name that is known counts, then what was adopted, then the number", () => {
    const numbers = (owner: Partial<typeof gone>) =>
      Object.values(ownerHere({ ...gone, ...owner }, given, known));
    assert.deepEqual(numbers({}), [700, 700]);
    assert.deepEqual(numbers({ user: "svc", group: "svc" }), [33, 34]);
    assert.deepEqual(numbers({ uid: 5, gid: 6 }), [5, 6]);
    assert.deepEqual(numbers({ user: "constructor", group: "toString", uid: 5, gid: 6 }), [5, 6]);
  });
});

function placesIn({ wanted: all, links = {}, there = [] }: Row): ReadonlyMap<string, HostPlace> {
  const above = (path: string): string => {
    const found = Object.keys(links).find((link) => path.startsWith(`${link}/`));
    return found === undefined ? path : `${links[found]}${path.slice(found.length)}`;
  };
  const paths = all.flatMap((text) => {
    const { place, link } = wanted(text);
    return link ? [place, link.target] : [place];
  });
  return new Map(
    paths.map((path) => {
      const spot = above(path);
      const target = links[path];
      const spotKind = target !== undefined ? "l" : there.includes(path) ? "d" : "-";
      return [path, { spot, spotKind, real: target ?? spot, realKind: target ? "d" : spotKind }];
    }),
  );
}
