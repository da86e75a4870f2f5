import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { replacementContract } from "../contracts/replacement.ts";
import { alteredHost } from "../support/altered-host.ts";
import { filesAt, type PathRow, pathCase, RUN } from "../support/path-cases.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { PLAIN_USER, type Sshd, startSshd } from "../support/sshd.ts";
import { until } from "../support/until.ts";
import { databaseEntries, ROWS } from "./path-rows.ts";

const how = { signal: new AbortController().signal };
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const local = stack.use(await openLocalHost());
const sshd: Sshd = stack.use(await startSshd({ plainUser: true }));
const remote: Host = stack.use(await openSshHost(sshd.policy, { ...how, home: sshd.directory }));

const rowOf = (name: string): PathRow => {
  const row = ROWS.find((each) => each.name === name);
  assert.ok(row);
  return row;
};
const plain = rowOf("a directory");
const database = rowOf("RocksDB with media in it");

replacementContract("RocksDB with media over SSH", () => pathCase(database, { host: remote }));

const ofOneUser: PathRow = {
  ...plain,
  before: `chmod 755 .; chmod 777 srv notes; mkdir -p srv/app/locked; echo old >srv/app/f
    chown -R ${PLAIN_USER}: srv; chmod 555 srv/app/locked`,
  isNew: `cd srv/app; test "$(stat -c %U:%a sub)" = ${PLAIN_USER}:555; test "$(stat -c %s:%a f)" = 3000:640`,
};
const another = stack.use(await openSshHost(sshd.plainPolicy, { ...how, home: sshd.directory }));
replacementContract("a directory of a user who is not root", () => pathCase(ofOneUser, { host: another }));

describe("over SSH", () => {
  test("a connection that is cut while it is staged, swapped or put back: another one goes on", async () => {
    for (const verb of ["stage", "swap", "unswap"] as const) {
      await using its = await pathCase(database, { host: local });
      const old = await its.look();
      if (verb !== "stage") await its.open().stage(how);
      if (verb === "unswap") await its.open().swap(how);
      const cut = async () => {
        await using doomed = await openSshHost(sshd.policy, { ...how, home: sshd.directory });
        // the script rests before it does anything, until the cut has been noticed
        await using scratch = await scratchDirectory();
        const go = join(scratch.path, "go");
        const resting = `until [ -e ${go} ]; do sleep 0.1; done\nexists() {`;
        const slow = alteredHost(doomed, (argv) =>
          argv[4] === (verb === "stage" ? "whole" : verb)
            ? argv.map((word, at) => (at === 2 ? word.replace("exists() {", resting) : word))
            : argv,
        );
        const work = its.openOn(slow)[verb](how);
        work.catch(() => {});
        const name = verb === "stage" ? "whole" : verb;
        await until("the script is called", () => slow.commands.some((argv) => argv[4] === name));
        await sshd.killConnections();
        await assert.rejects(work, (error) => isFailure(error, "host/unreachable"));
        await writeFile(go, "");
      };
      await cut();
      await its.open().stage(how);
      await its.open().swap(how);
      await its.assertNew();
      await its.open().unswap(how);
      assert.deepEqual(await its.look(), old);
      await its.open().discard(how);
      assert.deepEqual(await its.leftOvers(), []);
    }
  });
});

describe("what happens meanwhile", () => {
  test("a service that makes an empty directory in the place while it was half swapped loses nothing old", async () => {
    for (const forward of [true, false]) {
      await using its = await pathCase(plain, { host: local });
      const old = await its.look();
      await its.open().stage(how);
      const work = join(its.at, "srv", `.drops-restore-${RUN}`);
      execFileSync("mv", ["-T", join(its.at, "srv/app"), join(work, "old-app-1")]); // and the power goes
      assert.equal(await its.open().state(how), "staged");
      mkdirSync(join(its.at, "srv/app"));
      writeFileSync(join(its.at, "srv/app/fresh"), "");
      if (forward) {
        await its.open().swap(how);
        await its.assertNew();
      }
      await its.open().unswap(how);
      assert.deepEqual(await its.look(), old);
      await its.open().discard(how);
      assert.deepEqual(await its.leftOvers(), []);
    }
  });

  const table = [
    { after: 'mkdir -- "$old"', moved: ["", "d", "old-app-1"], strangers: ["d"], forward: false },
    { after: 'mark "$out"', moved: ["new-app-1", "f", ".."], strangers: ["link", "sub"], forward: true },
  ] as const;
  for (const { after: line, moved, strangers, forward } of table) {
    test(`the same in a mount point, after ${line}, with names that are on their way`, async () => {
      await using its = await pathCase(rowOf("a mount point"), { host: local });
      const old = await its.look();
      await its.open().stage(how);
      await assert.rejects(its.openOn(stoppingAfter(line)).swap(how));
      assert.equal(await its.open().state(how), "staged");
      const app = join(its.at, "srv/app");
      const work = join(app, `.drops-restore-${RUN}`);
      const [from, name, to] = moved;
      execFileSync("mv", [join(from === "" ? app : join(work, from), name), join(work, to)]);
      for (const stranger of strangers) writeFileSync(join(app, stranger), "stranger");
      if (forward) {
        await its.open().swap(how);
        await its.assertNew();
      }
      await its.open().unswap(how);
      assert.deepEqual(await its.look(), old);
      await its.open().discard(how);
      assert.deepEqual(await its.leftOvers(), []);
    });
  }

  test("a mount that is gone is not taken for a place in which nothing is", async () => {
    await using its = await pathCase(
      { ...rowOf("a mount point"), after: "umount srv/app || :" },
      { host: local },
    );
    await its.open().stage(how);
    const gone = (verb: "swap" | "unswap" | "discard" | "stage") =>
      assert.rejects(
        its.open()[verb](how),
        (error) => isFailure(error, "safety/refused") && /not mounted/.test(error.message),
      );
    execFileSync("umount", [join(its.at, "srv/app")]);
    for (const verb of ["swap", "unswap", "discard", "stage"] as const) await gone(verb);
    assert.equal(existsSync(join(its.at, `srv/app/.drops-restore-${RUN}`)), false);
  });

  test("what was staged and then changed by a service is told, and brought anew", async () => {
    await using its = await pathCase(plain, { host: local });
    await its.open().stage(how);
    await its.open().swap(how);
    rmSync(join(its.at, "srv/app/link"));
    await its.open().unswap(how);
    const differences = await its.open().check(how);
    assert.equal(differences.length, 2, differences.join("; "));
    assert.match(differences[0] ?? "", /new-app-1 has time \d+ and had \d+$/);
    assert.match(differences[1] ?? "", /new-app-1\/link is missing$/);
    await its.open().discard(how);
    await its.open().stage(how);
    assert.deepEqual(await its.open().check(how), []);
  });
});

describe("what is refused", () => {
  test("a file system without room, before anything is written", async () => {
    const small: PathRow = {
      ...plain,
      before: `mkdir srv/disk; mount -t tmpfs -o size=16k none srv/disk; mkdir srv/disk/app`,
      after: "umount srv/disk",
      sources: (at) => [
        {
          policy: filesAt("app", [`${at}/srv/disk/app`]),
          entries: [
            { path: `${at.slice(1)}/srv/disk/app`, type: "dir" },
            ...Array.from({ length: 9 }, (_, n) => ({
              path: `${at.slice(1)}/srv/disk/app/f${n}`,
              text: `${n}`,
            })),
          ],
        },
      ],
    };
    await using its = await pathCase(small, { host: local });
    await assert.rejects(its.open().stage(how), (error) => isFailure(error, "space/low"));
    assert.equal(await its.open().state(how), "untouched");
    assert.deepEqual(await its.leftOvers(), []);
  });

  test("another run's record", async () => {
    await using its = await pathCase(plain, { host: local });
    await its.open().stage(how);
    const file = join(its.at, "notes/paths-app.json");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace(RUN, "another"));
    await assert.rejects(its.open().swap(how), (error) => isFailure(error, "safety/refused"));
    writeFileSync(file, text.slice(0, 50));
    await assert.rejects(its.open().state(how), (error) => isFailure(error, "data/damaged"));
  });
});

describe("a database", () => {
  test("without its MANIFEST is told before it is swapped", async () => {
    const cut: PathRow = {
      ...database,
      sources: (at) =>
        database.sources(at).map((source) => ({
          ...source,
          entries:
            source.policy.kind !== "rocksdb"
              ? source.entries
              : databaseEntries().filter(({ path }) => !/^MANIFEST/.test(path)),
        })),
    };
    await using its = await pathCase(cut, { host: local });
    await its.open().stage(how);
    assert.match(
      (await its.open().check(how)).join(),
      /CURRENT in .*new-db-1 names a MANIFEST that does not exist/,
    );
  });
});

/** A host whose script ends after a line. */
function stoppingAfter(line: string): Host {
  return alteredHost(local, (argv) =>
    argv.map((word) => word.replace(`    ${line}`, () => `    ${line}; kill -KILL $$`)),
  );
}
