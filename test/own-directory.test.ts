import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { DropsError } from "../src/lib/errors.ts";
import { ownDirectory } from "../src/lib/own-directory.ts";
import { newSigningKey } from "../src/seal/keygen.ts";
import { scratchDirectory } from "./support/scratch.ts";

/** Somebody who is neither root nor the caller. */
const OTHER = 65_534;
const CALLER = 12_345;

interface Row {
  readonly name: string;
  /** Shell in a directory of root's. */
  readonly given: string;
  readonly path: string;
  /** The caller; root when it is not said. */
  readonly uid?: number;
  /** Where it leads; else the path that is complained of. */
  readonly real?: string;
  readonly refused?: string;
  readonly hint?: RegExp;
}

const table: readonly Row[] = [
  { name: "root's own", given: "mkdir a", path: "a", real: "a" },
  { name: "what is missing is made", given: "", path: "a/b", real: "a/b" },
  { name: "in a sticky directory", given: "mkdir -m 1777 t", path: "t/new", real: "t/new" },
  { name: "by way of root's symlink", given: "mkdir -p p/x; ln -s p/x l", path: "l/y", real: "p/x/y" },
  { name: "and of one that goes up", given: "mkdir -p p q; ln -s ../q p/l", path: "p/l/y", real: "q/y" },
  {
    name: "another's directory",
    given: `mkdir h; chown ${OTHER} h`,
    path: "h/new",
    refused: "h",
    hint: /^chown -h root: \S+\/h; chmod go-w \S+\/h; or elsewhere$/,
  },
  { name: "a directory above", given: `mkdir -p h/a; chown ${OTHER} h`, path: "h/a", refused: "h" },
  {
    name: "everybody may rename in it",
    given: "mkdir -m 777 w",
    path: "w/new",
    refused: "w",
    hint: /^chmod go-w \S+\/w; or elsewhere$/,
  },
  { name: "a group may", given: "mkdir -m 775 g", path: "g", refused: "g" },
  {
    name: "another's directory in a sticky one",
    given: `mkdir -m 1777 t; mkdir t/d; chown ${OTHER} t/d`,
    path: "t/d",
    refused: "t/d",
  },
  {
    name: "another's symlink in a sticky one",
    given: `mkdir -m 1777 t; mkdir a; ln -s ../a t/l; chown -h ${OTHER} t/l`,
    path: "t/l/x",
    refused: "t/l",
  },
  {
    name: "root's symlink into another's directory",
    given: `mkdir -p h/a; chown ${OTHER} h; ln -s h/a l`,
    path: "l",
    refused: "h",
  },
  {
    name: "root's symlink by way of another's that leads back to root's",
    given: `mkdir -p h a; ln -s ../a h/l; chown ${OTHER} h; ln -s h/l l`,
    path: "l",
    refused: "h",
  },
  {
    name: "a home",
    given: `mkdir u; chown ${CALLER}:100 u`,
    path: "u",
    uid: CALLER,
    real: "u",
  },
  {
    name: "a home with a group of the user's own",
    given: `mkdir -m 775 u; chown ${CALLER}:${CALLER} u`,
    path: "u",
    uid: CALLER,
    real: "u",
  },
  {
    name: "what a group shares, when nobody is root",
    given: `mkdir -m 775 u; chown ${CALLER}:100 u`,
    path: "u",
    uid: CALLER,
    refused: "u",
    hint: /^chmod go-w \S+\/u; or elsewhere$/,
  },
  {
    name: "another's, when nobody is root",
    given: `mkdir h; chown ${OTHER} h`,
    path: "h",
    uid: CALLER,
    refused: "h",
    hint: /^elsewhere$/,
  },
];

/** recover.sh holds the same rule, in its own words. */
const SCRIPT = new URL("../src/backup/recover.sh", import.meta.url).pathname;
const IN_RECOVER = `fail() { echo "$*" >&2; exit 1; }; umask 077
  eval "$(sed -n '/^own_directory() {/,/^}/p' ${SCRIPT})"; own_directory "$1"`;

function byScript(path: string, uid: number) {
  const words = [
    "--reuid",
    `${uid}`,
    "--regid",
    `${uid}`,
    "--clear-groups",
    "bash",
    "--norc",
    "-euc",
    IN_RECOVER,
    "bash",
  ];
  return spawnSync("setpriv", [...words, path], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

for (const { name, given, path, uid = 0, real, refused } of table) {
  test(`recover.sh, ${refused === undefined ? "taken" : "refused"}: ${name}`, async () => {
    await using at = await scratchDirectory();
    execFileSync("sh", ["-ec", `umask 022; chmod 755 .; ${given}`], { cwd: at.path });
    const { status, stderr } = byScript(join(at.path, path), uid);
    if (refused === undefined) {
      assert.deepEqual([status, stderr], [0, ""]);
      assert.ok(existsSync(join(at.path, real ?? "")));
      return;
    }
    assert.equal(status, 1);
    assert.equal(stderr.split(" ")[0], join(at.path, refused));
    assert.ok(!existsSync(join(at.path, "h/new")) && !existsSync(join(at.path, "w/new")));
  });
}

test("recover.sh writes nothing into a directory that another user can swap", async () => {
  await using at = await scratchDirectory();
  execFileSync("sh", ["-ec", `chmod 755 .; mkdir -p r/p/snapshots h; touch id; chown ${OTHER} h`], {
    cwd: at.path,
  });
  const signer = newSigningKey("a key").publicKey;
  const words = [join(at.path, "r"), "p", "latest", join(at.path, "id"), signer, join(at.path, "h/out")];
  const { status, stderr } = spawnSync("bash", [SCRIPT, ...words], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /\/h belongs to another user .*chown -h root: /);
  assert.deepEqual(readdirSync(join(at.path, "h")), []);
});

for (const { name, given, path, uid = 0, real, refused, hint } of table) {
  test(`${refused === undefined ? "taken" : "refused"}: ${name}`, async () => {
    await using at = await scratchDirectory();
    execFileSync("sh", ["-ec", `umask 022; chmod 755 .; ${given}`], { cwd: at.path });
    const asked = ownDirectory(join(at.path, path), { make: 0o700, instead: "elsewhere", uid });
    if (refused === undefined) {
      assert.equal(await asked, join(at.path, real ?? ""));
      assert.ok(existsSync(join(at.path, real ?? "")));
      return;
    }
    await assert.rejects(asked, (error) => {
      assert.ok(error instanceof DropsError && error.code === "safety/refused");
      assert.equal(error.message.split(" ")[0], join(at.path, refused));
      assert.match(error.hint ?? "", hint ?? /elsewhere$/);
      return true;
    });
    assert.ok(!existsSync(join(at.path, "h/new")) && !existsSync(join(at.path, "w/new")));
  });
}

test("a relative path, and one that is not there", async () => {
  await using at = await scratchDirectory();
  const path = relative(process.cwd(), at.path);
  assert.equal(await ownDirectory(path, { instead: "" }), at.path);
  await assert.rejects(
    ownDirectory(join(path, "no"), { instead: "" }),
    /^DropsError: cannot use the directory \S+: ENOENT$/,
  );
});

test("a file, and symlinks that lead round", async () => {
  await using at = await scratchDirectory();
  execFileSync("sh", ["-ec", "touch file; ln -s b a; ln -s a b"], { cwd: at.path });
  for (const name of ["file", "file/below", "a"]) {
    const asked = ownDirectory(join(at.path, name), { instead: "elsewhere" });
    await assert.rejects(asked, /is not a directory$/);
  }
});
