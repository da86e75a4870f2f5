import assert from "node:assert/strict";
import {
  appendFile,
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  open,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import { isFailure } from "../../src/lib/errors.ts";
import type { FilesPolicy } from "../../src/policy/schema.ts";
import type { ManifestEntry } from "../../src/snapshot/entry.ts";
import { freezeFiles } from "../../src/source/files/capture.ts";
import { FIND_FORMAT } from "../../src/source/files/find-output.ts";
import type { CaptureContext, SourceSink } from "../../src/source/source.ts";
import { alteredHost } from "../support/altered-host.ts";
import { type CollectedEntry, type CollectingSink, collectingSink } from "../support/collecting-sink.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import { type Sshd, startSshd } from "../support/sshd.ts";

const MIB = 1024 * 1024;
/** Longer than a clock tick: what changed before it may be taken for unchanged later. */
const TICK_MS = 50;
const { signal } = new AbortController();

describe("files", () => {
  let host: Host;
  before(async () => {
    host = await openLocalHost();
  });
  after(() => host[Symbol.asyncDispose]());

  /** One night: freeze and ship into memory. */
  const night = async (source: Partial<FilesPolicy> & { paths: string[] }, more: NightOptions = {}) => {
    const seen = alteredHost(more.host ?? host);
    await using frozen = await freezeFiles(policyOf(source), contextOf(seen, more));
    await more.between?.();
    const sink = more.sink ?? collectingSink(more.previous, more.keepable);
    await frozen.ship(sink, { signal });
    return Object.assign(sink, { commands: seen.commands, facts: frozen.facts });
  };

  describe("the first night", () => {
    test("everything that a tree may hold", async () => {
      await using scratch = await scratchDirectory();
      await buildTree(scratch.path);
      const stored = await night({ paths: [`${scratch.path}//./`] }); // tidied
      const root = scratch.path.slice(1);
      for (const entry of stored.entries) await compareWithDisk(entry);
      const kinds = new Map<string, number>();
      for (const { type } of stored.entries) kinds.set(type, (kinds.get(type) ?? 0) + 1);
      assert.deepEqual(Object.fromEntries(kinds), { dir: 6, file: 10, hardlink: 3, symlink: 2, fifo: 1 });
      assert.equal(stored.entry(`${root}/links/b`).target?.toString(), `${root}/links/a`);
      assert.equal(stored.entry(`${root}/to file, too`).target?.toString(), `${root}/to file`);
      assert.deepEqual(stored.entry(`${root}/with attributes`).xattrs, { "user.a=b": Buffer.from([0, 255]) });
      assert.deepEqual(stored.entry(`${root}/dir`).xattrs, { "user.d": Buffer.from("dir") });
      assert.equal(stored.entry(`${root}/sparse`).sparse, true);
      assert.equal(stored.entry(`${root}/sparse`).size, 8 * MIB);
      assert.deepEqual(stored.entry(`${root}/sparse`).holes, [
        { offset: 0, size: 4 * MIB },
        { offset: 4 * MIB + 4096, size: 4 * MIB - 4096 },
      ]);
      assert.deepEqual(stored.notes, [`sockets and devices are not backed up: ${scratch.path}/socket`]);
      assert.equal(stored.commands.filter(isTar).length, 1);
      assert.equal(stored.facts["entries"], 23);
      assert.match(String(stored.facts["tar"]), /^\d+\.\d+/);
    });

    test("a file of 1 TiB that is one hole costs nothing", async () => {
      await using scratch = await scratchDirectory();
      const file = join(scratch.path, "big");
      await writeFile(file, "");
      await truncate(file, 2 ** 40);
      await using handle = await open(file, "r+");
      await handle.write("end", 10 ** 12);
      const stored = await night({ paths: [scratch.path] });
      const { size, holes = [] } = stored.entry(file.slice(1));
      assert.equal(size, 2 ** 40);
      assert.equal(holes.length, 2);
      assert.ok(stored.bytes(file.slice(1)).length < MIB);
    });

    test("owners are named as the host names them", async () => {
      await using scratch = await scratchDirectory();
      await writeFile(join(scratch.path, "file"), "");
      const { uid, gid } = await lstat(scratch.path);
      const [user, group] = [await nameOf("passwd", uid), await nameOf("group", gid)];
      for (const type of ["f", "d"]) {
        const path = type === "f" ? join(scratch.path, "file") : scratch.path;
        const entry = (await night({ paths: [scratch.path] })).entry(path.slice(1));
        assert.deepEqual([entry.user, entry.group], [user, group]);
      }
    });

    test("several paths, given twice and one inside another", async () => {
      await using scratch = await scratchDirectory();
      await mkdir(join(scratch.path, "a/b"), { recursive: true });
      await writeFile(join(scratch.path, "a/b/c"), "c");
      const paths = [join(scratch.path, "a/b"), join(scratch.path, "a"), join(scratch.path, "a/b/c")];
      const stored = await night({ paths: [...paths, ...paths] });
      assert.deepEqual(pathsBelow(stored, scratch.path), ["a", "a/b", "a/b/c"]);
    });

    test("a path that is a symlink stands for itself and for where it leads", async () => {
      await using scratch = await scratchDirectory();
      await mkdir(join(scratch.path, "private/app"), { recursive: true });
      await writeFile(join(scratch.path, "private/app/data"), "data");
      await symlink("private/app", join(scratch.path, "app"));
      const stored = await night({ paths: [join(scratch.path, "app")] });
      assert.deepEqual(pathsBelow(stored, scratch.path), ["app", "private/app", "private/app/data"]);
    });

    test("an empty source", async () => {
      await using scratch = await scratchDirectory();
      const stored = await night({ paths: [join(scratch.path, "none")], optional: true });
      assert.deepEqual([stored.entries, stored.notes], [[], [`${scratch.path}/none does not exist`]]);
    });
  });

  describe("excludes", () => {
    const table: readonly { exclude: string; left: string[] }[] = [
      { exclude: "%/cache", left: ["cached", "keep", "keep/a.log", "keep/cache", "keep/cache/y", "w[1]*"] },
      { exclude: "%/cache/", left: ["cached", "keep", "keep/a.log", "keep/cache", "keep/cache/y", "w[1]*"] },
      { exclude: "*/cache", left: ["cached", "keep", "keep/a.log", "w[1]*"] },
      { exclude: "%/cache*", left: ["keep", "keep/a.log", "keep/cache", "keep/cache/y", "w[1]*"] },
      {
        exclude: "*.log",
        left: ["cache", "cache/x", "cached", "keep", "keep/cache", "keep/cache/y", "w[1]*"],
      },
      {
        exclude: "%/keep/?.log",
        left: ["cache", "cache/x", "cached", "keep", "keep/cache", "keep/cache/y", "w[1]*"],
      },
      {
        exclude: "%/w[1]?",
        left: ["cache", "cache/x", "cached", "keep", "keep/a.log", "keep/cache", "keep/cache/y"],
      },
      {
        exclude: "-delete",
        left: [
          ...["cache", "cache/x", "cached", "keep", "keep/a.log"],
          "keep/cache",
          "keep/cache/y",
          "w[1]*",
        ],
      },
    ];
    for (const row of table) {
      test(row.exclude, async () => {
        await using scratch = await scratchDirectory();
        await mkdir(join(scratch.path, "cache"));
        await mkdir(join(scratch.path, "keep/cache"), { recursive: true });
        for (const name of ["cache/x", "cached", "keep/a.log", "keep/cache/y", "w[1]*"])
          await writeFile(join(scratch.path, name), "");
        const exclude = [row.exclude.replace("%", scratch.path)];
        assert.deepEqual(pathsBelow(await night({ paths: [scratch.path], exclude }), scratch.path), row.left);
      });
    }

    test("what drops keeps beside data is never captured, whatever the policy says", async () => {
      await using scratch = await scratchDirectory();
      const run = ".drops-restore-20261124T003638-a1b2c3";
      await mkdir(join(scratch.path, run, "old-files-1"), { recursive: true });
      await mkdir(join(scratch.path, "below/.drops-staging-aB3"), { recursive: true });
      await writeFile(join(scratch.path, ".drops-restore-notes"), "a file of somebody");
      const left = pathsBelow(await night({ paths: [scratch.path] }), scratch.path);
      assert.deepEqual(left, [".drops-restore-notes", "below"]);
    });

    test("an excluded directory is not even entered", async () => {
      await using scratch = await scratchDirectory();
      await chmod(scratch.path, 0o755);
      await mkdir(join(scratch.path, "secret"), { mode: 0o700 });
      const paths = [scratch.path];
      const exclude = [join(scratch.path, "secret")];
      assert.equal((await night({ paths, exclude }, { host: asNobody(host) })).entries.length, 1);
    });
  });

  describe("the next night", () => {
    test("when nothing changed nothing but the listing is read", async () => {
      await using scratch = await scratchDirectory();
      await buildTree(scratch.path);
      const first = await night({ paths: [scratch.path] });
      const second = await night({ paths: [scratch.path] }, { previous: first.manifest() });
      assert.equal(second.commands.filter(isTar).length, 0);
      assert.deepEqual(second.manifest(), first.manifest());
      const third = await night({ paths: [scratch.path] }, { previous: second.manifest() });
      assert.deepEqual(third.manifest(), first.manifest());
    });

    const changes: readonly {
      name: string;
      change: (root: string) => Promise<unknown>;
      read: string[];
      gone?: string[];
    }[] = [
      { name: "content", change: (root) => writeFile(join(root, "c"), "other"), read: ["c"] },
      { name: "mode", change: (root) => chmod(join(root, "c"), 0o600), read: ["c"] },
      { name: "time", change: (root) => runTool("touch", "-d", "2001-01-01", join(root, "c")), read: ["c"] },
      { name: "owner", change: (root) => chown(join(root, "c"), 0, 0), read: ["c"] },
      {
        name: "attribute",
        change: (root) => runTool("setfattr", "-n", "user.x", "-v", "1", join(root, "d")),
        read: ["d"],
      },
      {
        name: "a new name for it",
        change: (root) => link(join(root, "c"), join(root, "e")),
        read: ["c", ""],
      },
      {
        name: "a file beside it",
        change: (root) => writeFile(join(root, "d/new"), ""),
        read: ["d", "d/new"],
      },
      { name: "a file less", change: (root) => rm(join(root, "c")), read: [""], gone: ["c"] },
      { name: "a new content of the same length, time put back", change: quietChange, read: ["c"] },
      {
        name: "another file under its name",
        change: async (root) => {
          await writeFile(join(root, "n"), "cc");
          await rename(join(root, "n"), join(root, "c"));
        },
        read: ["c", ""],
      },
      {
        name: "a directory in its place",
        change: async (root) => {
          await unlink(join(root, "c"));
          await mkdir(join(root, "c"));
        },
        read: ["c", ""],
      },
    ];
    for (const row of changes) {
      test(`${row.name} is seen`, async () => {
        await using scratch = await scratchDirectory();
        await mkdir(join(scratch.path, "d"));
        for (const name of ["a", "c", "d/f"]) await writeFile(join(scratch.path, name), "cc");
        await sleep(TICK_MS);
        const first = await night({ paths: [scratch.path] });
        await row.change(scratch.path);
        await sleep(TICK_MS);
        const second = await night({ paths: [scratch.path] }, { previous: first.manifest() });
        const fresh = await night({ paths: [scratch.path] });
        assert.deepEqual(second.manifest(), fresh.manifest());
        assert.deepEqual(askedOf(second, first, scratch.path), [...row.read].sort());
        for (const gone of row.gone ?? []) assert.ok(!pathsBelow(second, scratch.path).includes(gone));
      });
    }

    test("what changed in the very moment of the listing is read again", async () => {
      await using scratch = await scratchDirectory();
      await writeFile(join(scratch.path, "f"), "one");
      const slowClock = alteredHost(host, (argv) =>
        argv.includes("+%s.%N") ? ["date", "-d", "-1sec", "+%s.%N"] : argv,
      );
      const first = await night({ paths: [scratch.path] }, { host: slowClock });
      assert.equal(first.entry(`${scratch.path.slice(1)}/f`).same, undefined);
      const second = await night({ paths: [scratch.path] }, { previous: first.manifest() });
      assert.equal(second.entry(`${scratch.path.slice(1)}/f`).how, "content");
    });

    test("a share of the unchanged is read and compared", async () => {
      await using scratch = await scratchDirectory();
      for (const name of ["a", "b", "c"]) await writeFile(join(scratch.path, name), name);
      await sleep(TICK_MS);
      const paths = [scratch.path];
      const first = await night({ paths });
      const rotten = first
        .manifest()
        .map((entry) => (entry.path.toString().endsWith("b") ? withOtherChunk(entry) : entry));
      const all = await night({ paths }, { previous: rotten, rereadShare: 1 });
      assert.deepEqual(all.notes, [`content changed without trace: ${scratch.path}/b`]);
      assert.deepEqual(all.manifest(), first.manifest());
      const draws = [0.9, 0.1, 0.9];
      const one = await night(
        { paths },
        { previous: rotten, rereadShare: 0.2, random: () => draws.shift() ?? 1 },
      );
      assert.deepEqual(one.notes, [`content changed without trace: ${scratch.path}/b`]);
      assert.deepEqual(howBelow(one, scratch.path), { "": "added", a: "kept", b: "content", c: "kept" });
    });

    test("what the store lost is read again, with few tars", async () => {
      await using scratch = await scratchDirectory();
      for (let number = 0; number < 3000; number++)
        await writeFile(join(scratch.path, String(number)), String(number));
      await sleep(TICK_MS);
      const first = await night({ paths: [scratch.path] });
      const packed = first.manifest().map((entry, index) => inPack(entry, index % 3));
      const isLost = (entry: ManifestEntry) => entry.chunks.some(({ pack }) => pack === 1);
      const again = await night(
        { paths: [scratch.path] },
        { previous: packed, keepable: (entry) => !isLost(entry) },
      );
      const lost = packed.filter(isLost).length;
      assert.ok(lost > 990);
      assert.equal(again.entries.filter(({ how }) => how === "content").length, lost);
      assert.deepEqual(
        again.entries.map(({ path }) => path),
        first.entries.map(({ path }) => path),
      );
      assert.ok(again.commands.filter(isTar).length <= 2);
    });
  });

  describe("while it is used", () => {
    test("what vanished after the listing is a note; nothing else is missed", async () => {
      await using scratch = await scratchDirectory();
      await mkdir(join(scratch.path, "d"));
      for (const name of ["a", "b", "d/x", "d/y", "z"]) await writeFile(join(scratch.path, name), name);
      const between = async () => {
        await rm(join(scratch.path, "b"));
        await rm(join(scratch.path, "d"), { recursive: true });
      };
      const stored = await night({ paths: [scratch.path] }, { between });
      assert.deepEqual(pathsBelow(stored, scratch.path), ["a", "z"]);
      const gone = ["b", "d", "d/x", "d/y"].map((name) => `${scratch.path}/${name}`);
      assert.deepEqual(stored.notes, [`vanished before it was read: ${gone.join(", ")}`]);
    });

    test("hundreds that vanish hide nothing of what tar says", async () => {
      await using scratch = await scratchDirectory();
      await chmod(scratch.path, 0o755);
      const names = Array.from({ length: 400 }, (_, number) => join(scratch.path, `vanishing-${number}`));
      await Promise.all(names.map((name) => writeFile(name, "")));
      await writeFile(join(scratch.path, "kept"), "kept");
      const between = async () => {
        await Promise.all(names.map((name) => rm(name)));
      };
      const stored = await night({ paths: [scratch.path] }, { between });
      assert.deepEqual(pathsBelow(stored, scratch.path), ["kept"]);
      assert.match(stored.notes.join("\n"), /^vanished before it was read: (\S+, ){19}\S+ and 380 more$/);
      await Promise.all(names.map((name) => writeFile(name, "")));
      await chmod(join(scratch.path, "kept"), 0o600);
      const asOther = night({ paths: [scratch.path] }, { between, host: asNobody(host) });
      await assert.rejects(
        asOther,
        (error) =>
          isFailure(error, "source/incomplete") &&
          /^1 file of source media could not be read: .*kept: Cannot open/.test(error.message),
      );
    });

    test("more that vanish than tar is asked for at once do not make it wait for ever", async () => {
      await using scratch = await scratchDirectory();
      await mkdir(join(scratch.path, "objects"));
      const script = 'cd "$1" && seq 1 9000 | xargs touch';
      await runTool("sh", "-c", script, "sh", join(scratch.path, "objects"));
      await writeFile(join(scratch.path, "zz"), "after");
      const between = () => rm(join(scratch.path, "objects"), { recursive: true });
      const stored = await night({ paths: [scratch.path] }, { between });
      assert.deepEqual(pathsBelow(stored, scratch.path), ["zz"]);
      assert.match(stored.notes.join("\n"), /^vanished before it was read: .* and 8981 more$/);
    });

    test("a directory that is emptied under find is a note", async () => {
      await using scratch = await scratchDirectory();
      await writeFile(join(scratch.path, "zz"), "after");
      const script = `"$@"; for i in $(seq 5000); do echo "find: '/o/$i': No such file or directory"; done >&2; exit 1`;
      const noisy = alteredHost(host, (argv) =>
        argv.flatMap((word) =>
          word === "find" && argv.includes(FIND_FORMAT) ? ["sh", "-c", script, "sh", "find"] : [word],
        ),
      );
      const stored = await night({ paths: [scratch.path] }, { host: noisy });
      assert.equal(stored.bytes(`${scratch.path.slice(1)}/zz`).toString(), "after");
      assert.equal(stored.notes[9], "while listing: '/o/10': No such file or directory");
      assert.deepEqual(stored.notes.slice(10), ["while listing: others vanished as well"]);
    });

    test("what became something else is stored as what it is", async () => {
      await using scratch = await scratchDirectory();
      for (const name of ["a", "b", "c"]) await writeFile(join(scratch.path, name), name);
      const between = async () => {
        for (const name of ["a", "b"]) await rm(join(scratch.path, name));
        await mkdir(join(scratch.path, "a"));
        await symlink("c", join(scratch.path, "b"));
      };
      const stored = await night({ paths: [scratch.path] }, { between });
      const types = stored.entries.map(({ type }) => type);
      assert.deepEqual(types, ["dir", "dir", "symlink", "file"]);
    });

    test("the content of a hard link is kept when its first name vanished", async () => {
      await using scratch = await scratchDirectory();
      const at = (name: string) => join(scratch.path, name);
      await writeFile(at("a"), "shared");
      for (const name of ["b", "c", "d"]) await link(at("a"), at(name));
      const between = async () => {
        await unlink(at("a"));
        await unlink(at("b"));
      };
      const stored = await night({ paths: [scratch.path] }, { between });
      const root = scratch.path.slice(1);
      assert.equal(stored.bytes(`${root}/c`).toString(), "shared");
      assert.equal(stored.entry(`${root}/d`).target?.toString(), `${root}/c`);
      assert.deepEqual(pathsBelow(stored, scratch.path), ["c", "d"]);
    });

    test("a file that shrinks while it is read is a note", async () => {
      await using scratch = await scratchDirectory();
      const file = join(scratch.path, "f");
      await writeFile(file, Buffer.alloc(64 * MIB, 1));
      await writeFile(join(scratch.path, "g"), "after");
      const sink = disturbedSink(() => truncate(file, 1000));
      const stored = await night({ paths: [scratch.path] }, { sink });
      assert.equal(stored.bytes(`${scratch.path.slice(1)}/f`).length, 64 * MIB);
      assert.equal(stored.bytes(`${scratch.path.slice(1)}/g`).toString(), "after");
      assert.ok(
        stored.notes.some((note) =>
          /^changed while .*File shrank by \d+ bytes; padding with zeros$/.test(note),
        ),
      );
    });

    test("a file that grows while it is read is stored as long as it was, with a note", async () => {
      await using scratch = await scratchDirectory();
      const file = join(scratch.path, "f");
      await writeFile(file, Buffer.alloc(64 * MIB, 1));
      const sink = disturbedSink(() => appendFile(file, Buffer.alloc(MIB)));
      const stored = await night({ paths: [scratch.path] }, { sink });
      assert.equal(stored.bytes(`${scratch.path.slice(1)}/f`).length, 64 * MIB);
      assert.ok(stored.notes.some((note) => /^changed while .*file changed as we read it$/.test(note)));
    });

    test("a tree that is rewritten all the time is stored, each file whole or not at all", async () => {
      await using scratch = await scratchDirectory();
      const stop = new AbortController();
      const writer = rewrite(scratch.path, stop.signal);
      await sleep(200);
      for (let round = 0; round < 5; round++) {
        const files = (await night({ paths: [scratch.path] })).entries.filter(({ type }) => type === "file");
        assert.deepEqual(new Set([0, 5000, ...files.map(({ bytes }) => bytes?.length)]).size, 2);
      }
      stop.abort();
      await writer;
    });
  });

  describe("what cannot be had", () => {
    test("a missing path is named", async () => {
      await using scratch = await scratchDirectory();
      const missing = join(scratch.path, "none");
      await assert.rejects(night({ paths: [scratch.path, missing] }), (error) => {
        assert.ok(isFailure(error, "source/failed"));
        assert.match(
          error.message,
          new RegExp(`^${missing} of source media does not exist on this machine$`),
        );
        assert.match(error.hint ?? "", /optional: true/);
        return true;
      });
    });

    test("a symlink that leads nowhere is a failure", async () => {
      await using scratch = await scratchDirectory();
      await symlink("nowhere", join(scratch.path, "l"));
      await assert.rejects(night({ paths: [join(scratch.path, "l")] }), (error) =>
        isFailure(error, "source/failed"),
      );
    });

    test("an unreadable file and directory are told after the rest was handed over", async () => {
      await using scratch = await scratchDirectory();
      await chmod(scratch.path, 0o755);
      const names = ["a", "b", "c", "é\n: Cannot open: x"];
      for (const name of names) await writeFile(join(scratch.path, name), name);
      await mkdir(join(scratch.path, "closed"), { mode: 0o700 });
      for (const name of ["b", names[3] ?? ""]) await chmod(join(scratch.path, name), 0o600);
      await link(join(scratch.path, "b"), join(scratch.path, "d"));
      const sink = collectingSink();
      const between = () => rm(join(scratch.path, "c"));
      const others = { host: asNobody(host), sink, between };
      const denied = "Permission denied";
      await assert.rejects(night({ paths: [scratch.path] }, others), {
        code: "source/incomplete",
        message: `4 files of source media could not be read: ${[
          `${scratch.path}/closed: ${denied}`,
          `${scratch.path}/b: Cannot open: ${denied}`,
          `${scratch.path}/é\\n: Cannot open: x: Cannot open: ${denied}`,
          `${scratch.path}/d: Cannot open: ${denied}`,
        ].join("; ")}`,
      });
      assert.deepEqual(pathsBelow(sink, scratch.path), ["a"]);
      assert.deepEqual(sink.notes, [`vanished before it was read: ${scratch.path}/c`]);
    });

    test("what the policy names and cannot be read fails the source", async () => {
      await using scratch = await scratchDirectory();
      await chmod(scratch.path, 0o755);
      await mkdir(join(scratch.path, "open"));
      await mkdir(join(scratch.path, "closed"), { mode: 0o700 });
      const paths = [join(scratch.path, "open"), join(scratch.path, "closed")];
      await assert.rejects(night({ paths }, { host: asNobody(host) }), (error) =>
        isFailure(error, "source/failed"),
      );
    });

    test("more unreadable files than are named, with long names, beside some that vanish", async () => {
      await using scratch = await scratchDirectory();
      await chmod(scratch.path, 0o755);
      const closed = Array.from({ length: 60 }, (_, at) => join(scratch.path, `${"é".repeat(120)}${at}`));
      for (const file of closed) await writeFile(file, "x", { mode: 0o600 });
      for (const name of ["a", "z"]) await writeFile(join(scratch.path, name), name);
      const sink = collectingSink();
      const between = () => rm(join(scratch.path, "a"));
      await assert.rejects(
        night({ paths: [scratch.path] }, { host: asNobody(host), sink, between }),
        (error) => {
          assert.ok(isFailure(error, "source/incomplete"));
          assert.match(error.message, /^6[01] files of source media could not be read: .*; and 5[01] more$/);
          return error.message.length < 4000;
        },
      );
      assert.deepEqual(pathsBelow(sink, scratch.path), ["z"]);
    });

    test("a file that cannot be read to its end is not kept, and neither are links to it", async () => {
      // the kernel says that it has 4096 bytes, and refuses to give one
      const torn = "/sys/devices/virtual/net/lo/speed";
      await using scratch = await scratchDirectory();
      await writeFile(join(scratch.path, "a"), "x");
      const plain = alteredHost(host, (argv) => argv.filter((word) => word !== "--sparse"));
      const sink = collectingSink();
      await assert.rejects(
        night({ paths: [scratch.path, "/sys/devices/virtual/net/lo"] }, { host: plain, sink }),
        {
          code: "source/incomplete",
          message: new RegExp(`${torn}: Read error at byte 0, while reading \\d+ bytes: Invalid argument`),
        },
      );
      const paths = sink.entries.map(({ path }) => `/${path}`);
      assert.ok(!paths.includes(torn) && paths.includes("/sys/devices/virtual/net/lo/mtu"));
      assert.ok(paths.includes(join(scratch.path, "a")));
    });

    test("a path longer than a system call takes is a note, and so are other names outside", async () => {
      await using scratch = await scratchDirectory();
      const deep =
        'cd "$1"; for i in $(seq 20); do mkdir $2; cd -P $2; done; echo leaf >leaf; echo b >../../b';
      await runTool("sh", "-c", deep, "sh", scratch.path, "d".repeat(240));
      await mkdir(join(scratch.path, "in"));
      await writeFile(join(scratch.path, "in/a"), "shared");
      await link(join(scratch.path, "in/a"), join(scratch.path, "other"));
      const all = await night({ paths: [scratch.path] });
      assert.equal(all.notes.length, 1);
      assert.match(
        all.notes[0] ?? "",
        /^not backed up, since the path has 4096 bytes or more: .*…, and whatever is below$/,
      );
      assert.ok(all.entries.length > 17);
      const some = await night({ paths: [join(scratch.path, "in")] });
      assert.deepEqual(some.notes, [
        `hard links to files outside of this source are not kept: ${scratch.path}/in/a`,
      ]);
      await runTool("sh", "-c", 'rm -r "$1"/d*', "sh", scratch.path); // node cannot
    });

    const tools: readonly {
      name: string;
      alter: (argv: readonly string[]) => readonly string[];
      package: string;
    }[] = [
      {
        name: "no find",
        alter: (argv) => (argv[0] === "find" ? ["no-such-find"] : argv),
        package: "findutils",
      },
      { name: "no tar", alter: (argv) => (argv[0] === "tar" ? ["no-such-tar"] : argv), package: "tar" },
      {
        name: "a find of BusyBox",
        alter: (argv) => (argv[0] === "find" ? busyBox("find") : argv),
        package: "findutils",
      },
      {
        name: "a tar of BusyBox",
        alter: (argv) => (argv[0] === "tar" ? busyBox("tar") : argv),
        package: "tar",
      },
    ];
    for (const row of tools) {
      test(`${row.name}: the package is named`, async () => {
        await assert.rejects(night({ paths: ["/etc"] }, { host: alteredHost(host, row.alter) }), (error) => {
          assert.ok(isFailure(error, "source/failed"));
          assert.equal(error.hint, `install the package ${row.package} on the host`);
          return true;
        });
      });
    }

    const breaks: readonly { name: string; tar: string; message: RegExp }[] = [
      {
        name: "runs out of memory",
        tar: "head -c 100000 /dev/zero; echo 'tar: memory exhausted' >&2; exit 2",
        message: /memory exhausted/,
      },
      { name: "is killed", tar: "kill -9 $$", message: /failed with exit status 137/ },
      {
        name: "ends in the middle of a file, as if well",
        tar: 'tar "$@" | head -c 40000; exit 0',
        message: /ended before its trailer/,
      },
      {
        name: "prints garbage",
        tar: "yes; cat >/dev/null",
        message: /^DropsError: reading the files of media on this machine ended too early: /,
      },
      {
        name: "hides a file",
        tar: "tar --create --file=- --files-from=/dev/null",
        message: /passed over/,
      },
      {
        name: "complains of something else",
        tar: `tar "$@"; echo 'tar: Something: is wrong' >&2; exit 2`,
        message: /^DropsError: source media could not be read: Something: is wrong/,
      },
    ];
    for (const row of breaks) {
      test(`a tar that ${row.name} fails the source`, async () => {
        await using scratch = await scratchDirectory();
        await writeFile(join(scratch.path, "f"), Buffer.alloc(MIB, 7));
        const bad = alteredHost(host, (argv) =>
          isTar(argv)
            ? argv.flatMap((word) => (word === "tar" ? ["sh", "-c", row.tar, "tar"] : [word]))
            : argv,
        );
        await assert.rejects(night({ paths: [scratch.path] }, { host: bad }), row.message);
      });
    }

    test("aborting ends it with the reason", async () => {
      await using scratch = await scratchDirectory();
      await writeFile(join(scratch.path, "f"), Buffer.alloc(8 * MIB, 7));
      const stop = new AbortController();
      const reason = new Error("enough");
      await using frozen = await freezeFiles(policyOf({ paths: [scratch.path] }), contextOf(host, {}));
      const sink = disturbedSink(async () => stop.abort(reason));
      await assert.rejects(frozen.ship(sink, { signal: stop.signal }), (error) => error === reason);
    });
  });

  describe("over SSH", () => {
    let sshd: Sshd;
    let remote: Host;
    before(async () => {
      sshd = await startSshd();
      remote = await openSshHost(sshd.policy, { signal, home: sshd.directory });
    });
    after(async () => {
      await remote?.[Symbol.asyncDispose]();
      await sshd?.[Symbol.asyncDispose]();
    });

    test("it is all the same", async () => {
      await using scratch = await scratchDirectory();
      await buildTree(scratch.path);
      const here = await night({ paths: [scratch.path] });
      const there = await night({ paths: [scratch.path] }, { host: remote });
      assert.deepEqual(there.entries, here.entries);
      const next = await night({ paths: [scratch.path] }, { host: remote, previous: there.manifest() });
      assert.equal(next.commands.filter(isTar).length, 0);
      assert.deepEqual(next.manifest(), there.manifest());
    });

    test("a connection that is lost while it reads fails the source", async () => {
      await using scratch = await scratchDirectory();
      await writeFile(join(scratch.path, "f"), Buffer.alloc(64 * MIB, 7));
      const sink = disturbedSink(async () => {
        await sshd.killConnections();
      });
      await assert.rejects(night({ paths: [scratch.path] }, { host: remote, sink }), (error) =>
        isFailure(error, "host/unreachable"),
      );
    });
  });

  test("an appservice registration that is malformed is a note", async () => {
    await using scratch = await scratchDirectory();
    const folder = join(scratch.path, "appservices");
    await mkdir(folder);
    await writeFile(join(folder, "good.yaml"), GOOD_REGISTRATION);
    await writeFile(join(folder, "bad.yaml"), GOOD_REGISTRATION.replace("hs_token", "h_token"));
    const stored = await night({ paths: [scratch.path] });
    assert.deepEqual(stored.notes, [`appservice registration ${folder}/bad.yaml is malformed at hs_token`]);
    assert.equal(stored.bytes(`${folder.slice(1)}/good.yaml`).toString(), GOOD_REGISTRATION);
  });
});

const GOOD_REGISTRATION = `id: slack
url: http://127.0.0.1:29335
as_token: secret-one
hs_token: secret-two
sender_localpart: slackbot
namespaces:
  users: [{ regex: "@slack_.*", exclusive: true }]
`;

interface NightOptions {
  readonly host?: Host;
  readonly previous?: readonly ManifestEntry[];
  readonly keepable?: (entry: ManifestEntry) => boolean;
  readonly sink?: CollectingSink;
  readonly between?: () => Promise<void>;
  readonly rereadShare?: number;
  readonly random?: () => number;
}

function policyOf(source: Partial<FilesPolicy> & { paths: string[] }): FilesPolicy {
  return { name: "media", kind: "files", exclude: [], optional: false, one_file_system: true, ...source };
}

function contextOf(host: Host, more: NightOptions): CaptureContext {
  const { rereadShare = 0, random = () => 0.5 } = more;
  return {
    host,
    signal,
    rereadShare,
    random,
    policyName: "test",
    sources: [],
    now: () => new Date(),
    say: () => {},
  };
}

async function buildTree(root: string): Promise<void> {
  const at = (name: string) => join(root, name);
  const deep = Array.from({ length: 3 }, (_, level) => String(level).repeat(100)).join("/");
  await mkdir(at("dir"));
  await mkdir(at(deep), { recursive: true });
  await mkdir(at("links"));
  await writeFile(at("dir/empty"), "");
  await writeFile(at("large"), Buffer.alloc(3 * MIB + 1, 5));
  await writeFile(at("new\nline"), "line");
  await writeFile(at("back\\nslash"), "slash");
  await writeFile(at("-rf"), "dash");
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe, 0x80])]), "bytes");
  await writeFile(at(`${deep}/${"f".repeat(200)}`), "deep");
  await writeFile(at("with attributes"), "x");
  await runTool("setfattr", "-n", "user.a=b", "-v", "0x00ff", at("with attributes"));
  await runTool("setfattr", "-n", "user.d", "-v", "dir", at("dir"));
  await writeFile(at("links/a"), "shared");
  await link(at("links/a"), at("links/b"));
  await link(at("links/a"), at("zlink"));
  await symlink("dir/empty", at("to file"));
  await link(at("to file"), at("to file, too"));
  await symlink(`nowhere/${"n".repeat(200)}`, at("to nowhere"));
  await runTool("mkfifo", at("pipe"));
  await chmod(at("large"), 0o4711);
  await using sparse = await open(at("sparse"), "w");
  await sparse.write(Buffer.alloc(4096, 9), 0, 4096, 4 * MIB);
  await sparse.truncate(8 * MIB);
  const server = createServer().listen(at("socket"));
  await new Promise((done) => server.once("listening", done));
  await rename(at("socket"), at("moved")); // so that closing the server does not remove it
  await new Promise((done) => server.close(done));
  await rename(at("moved"), at("socket"));
  await sleep(TICK_MS);
}

async function compareWithDisk(entry: CollectedEntry): Promise<void> {
  const path = Buffer.concat([Buffer.from("/"), entry.path]);
  const found = await lstat(path, { bigint: true });
  const name = entry.path.toString();
  assert.equal(entry.mtime, found.mtimeNs, name);
  assert.equal(entry.mode, Number(found.mode & 0o7777n), name);
  assert.deepEqual([entry.uid, entry.gid], [Number(found.uid), Number(found.gid)], name);
  if (entry.type === "file") assert.equal(entry.size, Number(found.size), name);
}

function isTar(argv: readonly string[]): boolean {
  return argv.includes("tar") && argv.includes("--create");
}

function pathsBelow(stored: CollectingSink, root: string): string[] {
  const prefix = root.slice(1);
  return stored.entries
    .map(({ path }) => path.toString().slice(prefix.length + 1))
    .filter((path) => path !== "");
}

function howBelow(stored: CollectingSink, root: string): Record<string, string> {
  return Object.fromEntries(stored.entries.map(({ path, how }) => [path.toString().slice(root.length), how]));
}

/** What was read anew: files, and entries without content whose identity is another than before. */
function askedOf(stored: CollectingSink, previous: CollectingSink, root: string): string[] {
  const known = new Set(previous.entries.map(({ path, same }) => `${path.toString("latin1")} ${same}`));
  return stored.entries
    .filter((entry) =>
      entry.type === "file"
        ? entry.how === "content"
        : entry.type !== "hardlink" && !known.has(`${entry.path.toString("latin1")} ${entry.same}`),
    )
    .map(({ path }) => path.toString().slice(root.length))
    .sort();
}

async function quietChange(root: string): Promise<void> {
  const { mtimeNs } = await lstat(join(root, "c"), { bigint: true });
  await writeFile(join(root, "c"), "xx");
  const seconds = `${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, "0")}`;
  await runTool("touch", "-d", `@${seconds}`, join(root, "c"));
}

function withOtherChunk(entry: ManifestEntry): ManifestEntry {
  return { ...entry, chunks: entry.chunks.map((chunk) => ({ ...chunk, id: "0".repeat(64) })) };
}

function inPack(entry: ManifestEntry, pack: number): ManifestEntry {
  return { ...entry, chunks: entry.chunks.map((chunk) => ({ ...chunk, pack })) };
}

/** A sink that does something as soon as the first view of the first content arrived. */
function disturbedSink(disturb: () => Promise<void>): CollectingSink {
  const sink = collectingSink();
  let isFirst = true;
  const file: SourceSink["file"] = (entry, data, how) => sink.file(entry, disturbed(data), how);
  async function* disturbed(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const view of data) {
      yield view;
      if (isFirst) await disturb();
      isFirst = false;
    }
  }
  return { ...sink, file };
}

/** Replace, append and remove files until it is told to stop. */
async function rewrite(root: string, stop: AbortSignal): Promise<void> {
  for (let number = 0; !stop.aborted; number++) {
    const name = join(root, String(number % 40));
    await writeFile(`${name}.new`, Buffer.alloc(5000, number));
    await rename(`${name}.new`, name);
    if (number % 3 === 0) await rm(join(root, String((number * 7) % 40)), { force: true });
  }
}

function asNobody(host: Host): Host {
  return alteredHost(host, undefined, { as: "nobody" });
}

function busyBox(name: string): readonly string[] {
  return ["sh", "-c", `echo 'BusyBox v1.36.1 () multi-call binary: ${name}' >&2; exit 1`];
}

async function nameOf(database: string, id: number): Promise<string | undefined> {
  return (await runTool("getent", database, String(id))).toString().split(":")[0];
}
