import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { alteredHost } from "../support/altered-host.ts";
import { filesAt, type PathCase, type PathRow, pathCase, RUN } from "../support/path-cases.ts";

// root restores a path in a directory of a user, who may rename, link and replace everything in it meanwhile
const MALLORY = { uid: 12_345, gid: 12_345 };
const AS_MALLORY = ["--reuid", "12345", "--regid", "12345", "--clear-groups", "sh", "-ec"];
const how = { signal: new AbortController().signal };
const host = await openLocalHost();
after(() => host[Symbol.asyncDispose]());

const row = (path: string, before: string): PathRow => ({
  name: path,
  before: `chmod 755 . srv; mkdir -m 700 srv/vault; mkdir srv/theirs; ${before}; chown -R 12345:12345 srv/theirs`,
  sources: (at) => [
    {
      policy: filesAt("app", [`${at}/srv/${path}`]),
      entries: [
        { path: `${at.slice(1)}/srv/${path}`, type: "dir", mode: 0o750, ...MALLORY },
        { path: `${at.slice(1)}/srv/${path}/f`, text: "new f", mode: 0o640, ...MALLORY },
      ],
    },
  ],
  isNew: `cd srv/${path}; test "$(stat -c %u:%a:%s f)" = 12345:640:3000; test "$(stat -c %u:%a .)" = 12345:750`,
  spoiled: "f",
});
const IN_PLACE = row("theirs/app", "mkdir srv/theirs/app; echo old >srv/theirs/app/f");
const MISSING = row("theirs/sub/app", ":");

/** What Mallory does in his directory. */
function mallory(its: PathCase, script: string): void {
  execFileSync("setpriv", [...AS_MALLORY, `cd "$1"; ${script}`, "mallory", join(its.at, "srv/theirs")]);
}

/** The same host, on which something happens right before the first command that fits. */
function interrupted(
  fits: (argv: readonly string[]) => boolean,
  act: (argv: readonly string[]) => void,
): Host {
  let isDone = false;
  return alteredHost(host, (argv) => {
    if (!isDone && fits(argv)) {
      isDone = true;
      act(argv);
    }
    return argv;
  });
}

const isRefusal = (error: unknown): boolean =>
  isFailure(error, "safety/refused") &&
  /another user put something else in the place of/.test(error.message) &&
  /namei -l/.test(error.hint ?? "");

describe("a guided restore in a directory of somebody who swaps names", () => {
  test("who swaps nothing gets everything back, and is given it at the end", async () => {
    for (const each of [IN_PLACE, MISSING]) {
      await using its = await pathCase(each, { host });
      await its.open().stage(how);
      const work = [join(its.at, "srv/theirs"), join(its.at, "srv/theirs/sub")]
        .map((path) => join(path, `.drops-restore-${RUN}`))
        .find((path) => existsSync(path));
      assert.throws(() => mallory(its, `ls ${work}`));
      await its.open().swap(how);
      await its.assertNew();
      await its.open().finish(how);
      assert.deepEqual(await its.leftOvers(), []);
    }
  });

  test("the directory that is filled, for a link: nothing is written where it leads", async () => {
    await using its = await pathCase(IN_PLACE, { host });
    const vault = join(its.at, "srv/vault");
    const on = interrupted(
      (argv) => argv.includes("--extract"),
      () => {
        const [name] = readdirSync(join(its.at, `srv/theirs/.drops-restore-${RUN}`));
        mallory(
          its,
          `mv .drops-restore-* away; mkdir .drops-restore-${RUN}; ln -s ${vault} .drops-restore-${RUN}/${name}`,
        );
      },
    );
    await assert.rejects(its.openOn(on).stage(how), isRefusal);
    assert.deepEqual(readdirSync(vault), []);
  });

  test("a directory on the way that is to be made, for a link", async () => {
    await using its = await pathCase(MISSING, { host });
    const vault = join(its.at, "srv/vault");
    const on = interrupted(
      (argv) => argv[4] === "begin",
      () => mallory(its, `ln -s ${vault} sub`),
    );
    await assert.rejects(its.openOn(on).stage(how), isRefusal);
    assert.deepEqual(readdirSync(vault), []);
  });

  for (const verb of ["swap", "unswap", "discard", "finish"] as const) {
    test(`the run's directory, for a link, before ${verb}: what it leads to stays as it is`, async () => {
      await using its = await pathCase(IN_PLACE, { host });
      await its.open().stage(how);
      if (verb === "unswap" || verb === "finish") await its.open().swap(how);
      const vault = join(its.at, "srv/vault");
      for (const name of ["new", "old", "whole"]) {
        mkdirSync(join(vault, `${name}-app-1`));
        writeFileSync(join(vault, `${name}-app-1/file`), "precious");
      }
      const seen = () => execFileSync("find", [vault, "-printf", "%P %U:%m\\n"], { encoding: "utf8" });
      const before = seen();
      const on = interrupted(
        (argv) => argv[4] === verb,
        () => mallory(its, `mv .drops-restore-* away; ln -s ${vault} .drops-restore-${RUN}`),
      );
      await assert.rejects(its.openOn(on)[verb](how), isRefusal);
      assert.equal(seen(), before);
      // and when it is back in its place, the restore goes on
      mallory(its, `rm .drops-restore-*; mv away .drops-restore-${RUN}`);
      await its.open()[verb](how);
      if (verb === "swap" || verb === "finish") await its.assertNew();
      else assert.equal(readFileSync(join(its.at, "srv/theirs/app/f"), "utf8"), "old\n");
    });
  }

  test("the run's directory, for one of the user's own that looks as if it were staged", async () => {
    await using its = await pathCase(IN_PLACE, { host });
    await its.open().stage(how);
    const on = interrupted(
      (argv) => argv[4] === "swap",
      () =>
        mallory(
          its,
          `mv .drops-restore-* away; mkdir .drops-restore-${RUN}; cd .drops-restore-*; touch whole-app-1; mkdir new-app-1`,
        ),
    );
    await assert.rejects(its.openOn(on).swap(how), isRefusal);
    assert.equal(readFileSync(join(its.at, "srv/theirs/app/f"), "utf8"), "old\n");
  });
});
