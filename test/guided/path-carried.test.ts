import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { type PathRow, pathCase, RUN } from "../support/path-cases.ts";
import { ROWS } from "./path-rows.ts";

const how = { signal: new AbortController().signal };
const host = await openLocalHost();
after(() => host[Symbol.asyncDispose]());

const rowOf = (name: string): PathRow => {
  const row = ROWS.find((each) => each.name === name);
  assert.ok(row);
  return row;
};
const media = rowOf("a database with media that no source names");
const excluding = rowOf("a directory with what its source excludes");

describe("what lies in a replaced directory and is in no source", () => {
  test("is the same file after swap, rollback and finish, with what was written to it since", async () => {
    await using its = await pathCase(media, { host });
    const old = await its.look();
    const picture = join(its.at, "srv/db/media/deep/one");
    const { ino } = statSync(picture);
    await its.open().stage(how);
    await its.open().swap(how);
    assert.equal(statSync(picture).ino, ino);
    await its.open().unswap(how);
    assert.deepEqual(await its.look(), old);
    await its.open().swap(how);
    writeFileSync(join(its.at, "srv/db/media/uploaded"), "since");
    await its.open().unswap(how);
    assert.equal(readFileSync(join(its.at, "srv/db/media/uploaded"), "utf8"), "since");
    await its.open().swap(how);
    await its.open().finish(how);
    assert.equal(statSync(picture).ino, ino);
    assert.equal(readFileSync(join(its.at, "srv/db/media/uploaded"), "utf8"), "since");
  });

  test("is not removed by finish when it is in the old data alone", async () => {
    await using its = await pathCase(media, { host });
    await its.open().stage(how);
    await its.open().swap(how);
    // as a run left it that was begun by a version of drops that took nothing along
    const kept = join(its.at, "srv", `.drops-restore-${RUN}`, "old-db-1");
    renameSync(join(its.at, "srv/db/media"), join(kept, "media"));
    const [words] = await its.open().onlyInOld(how);
    assert.match(
      words ?? "",
      /old-db-1, the old .*\/srv\/db, holds what is nowhere else: in no source: .*\/media \(8 B\)/,
    );
    const refused = (error: unknown) => isFailure(error, "safety/refused") && /media/.test(error.message);
    await assert.rejects(its.open().finish(how), refused);
    assert.equal(readFileSync(join(kept, "media/deep/one"), "utf8"), "picture\n");
    assert.equal(await its.open().state(how), "swapped");
    renameSync(join(kept, "media"), join(its.at, "srv/db/media"));
    await its.open().finish(how);
    await its.assertNew();
    assert.deepEqual(await its.leftOvers(), []);
  });

  test("is named by finish when the source could not read it, and the snapshot is without it", async () => {
    const plain = rowOf("a directory");
    const row: PathRow = {
      ...plain,
      before: `${plain.before}
        cd srv/app; mkdir unread; echo 1 >unread/one; echo new >after
        find . ! -path './unread*' -exec touch -h -d 2027-01-01 {} +; touch -d 2026-01-01 unread/one unread d`,
      incomplete: "3 files could not be read",
    };
    await using its = await pathCase(row, { host });
    await its.open().stage(how);
    await its.open().swap(how);
    const [words] = await its.open().onlyInOld(how);
    // what was made after the capture is replaced, as always
    assert.match(words ?? "", /not in the snapshot, which is incomplete: \/d, \/unread \(/);
    assert.doesNotMatch(words ?? "", /after/);
    await assert.rejects(its.open().finish(how), (error) => isFailure(error, "safety/refused"));
    const kept = join(its.at, "srv", `.drops-restore-${RUN}`, "old-app-1");
    renameSync(join(kept, "unread"), join(its.at, "srv/app/unread"));
    rmSync(join(kept, "d"), { recursive: true });
    await its.open().finish(how);
    assert.equal(readFileSync(join(its.at, "srv/app/unread/one"), "utf8"), "1\n");
  });

  test("stays with the old where the snapshot has something else in its place, and finish says so", async () => {
    const row: PathRow = {
      ...excluding,
      before: "mkdir -p srv/app/sub/deep; echo hit >srv/app/sub/deep/cache; echo 1 >srv/app/cache",
    };
    await using its = await pathCase(row, { host });
    const old = await its.look();
    await its.open().stage(how);
    await its.open().swap(how); // sub/deep is a file in the snapshot
    assert.ok(statSync(join(its.at, "srv/app/sub/deep")).isFile());
    assert.equal(readFileSync(join(its.at, "srv/app/cache"), "utf8"), "1\n");
    await assert.rejects(its.open().finish(how), (error) => isFailure(error, "safety/refused"));
    await its.open().unswap(how);
    assert.deepEqual(await its.look(), old);
  });

  test("a symlink that somebody put on the way to it leads nothing out", async () => {
    await using its = await pathCase(excluding, { host });
    const outer = join(its.at, "outer");
    mkdirSync(join(outer, "cache"), { recursive: true });
    writeFileSync(join(outer, "cache/secret"), "");
    await its.open().stage(how);
    await its.open().swap(how);
    await its.open().unswap(how);
    // the list names a/b/cache; whoever still has the directory open puts a link in its place
    const app = join(its.at, "srv/app");
    const work = join(its.at, "srv", `.drops-restore-${RUN}`);
    renameSync(app, join(work, "old-app-1")); // half swapped
    renameSync(join(work, "old-app-1/a/b"), join(work, "old-app-1/a/mine"));
    symlinkSync(outer, join(work, "old-app-1/a/b"));
    await its.open().swap(how);
    assert.ok(existsSync(join(outer, "cache/secret")));
    await assert.rejects(its.open().finish(how), (error) => isFailure(error, "safety/refused"));
    await its.open().unswap(how);
    assert.ok(existsSync(join(outer, "cache/secret")));
    assert.equal(readFileSync(join(app, "a/mine/cache/deep"), "utf8"), "deep\n");
    assert.equal(
      execFileSync("find", [join(work, "new-app-1"), "-name", "*secret*"], { encoding: "utf8" }),
      "",
    );
  });
});
