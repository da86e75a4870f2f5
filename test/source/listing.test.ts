import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import type { FilesPolicy } from "../../src/policy/schema.ts";
import type { ManifestEntry } from "../../src/snapshot/entry.ts";
import { findFiles } from "../../src/source/files/find.ts";
import { readFindOutput } from "../../src/source/files/find-output.ts";
import { FileListing } from "../../src/source/files/listing.ts";
import { type FileDecision, identityOf, planFiles } from "../../src/source/files/plan.ts";
import { shownHostPath } from "../../src/source/files/shown-path.ts";
import { judged, judgedExit, sortedStderr } from "../../src/source/files/stderr-lines.ts";
import { alteredHost } from "../support/altered-host.ts";
import { scratchDirectory } from "../support/scratch.ts";

const MIB = 1024 * 1024;
const SECOND = 1_000_000_000n;

describe("what find prints", () => {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 30 })
    .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)));
  const file = fc.record({
    kind: fc.constantFrom("f", "d", "l", "p", "s", "b", "c"),
    mode: fc.nat(0o7777),
    uid: fc.nat(2 ** 32 - 1),
    gid: fc.nat(2 ** 32 - 1),
    size: fc.nat(Number.MAX_SAFE_INTEGER),
    mtime: fc.bigInt(0n, 2n ** 63n * SECOND),
    ctime: fc.bigInt(0n, 9_000_000_000_000_000_000n),
    inode: fc.bigInt(0n, 2n ** 64n - 1n),
    device: fc.nat(100_000).map(String),
    links: fc.integer({ min: 1, max: 65_000 }),
    path: name,
    target: fc.oneof(fc.constant(Buffer.alloc(0)), name),
  });

  test("is read back, cut anywhere, in order of path bytes", async () => {
    const files = fc.uniqueArray(file, { selector: ({ path }) => path.toString("latin1"), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 1, max: 400 }), async (all, piece) => {
        const listing = await listed(Buffer.concat(all.map(record)), piece);
        const wanted = all.toSorted((a, b) => Buffer.compare(a.path, b.path));
        const read = wanted.map((_, at) => ({
          kind: listing.kind(at),
          mode: listing.mode(at),
          uid: listing.uid(at),
          gid: listing.gid(at),
          size: listing.size(at),
          mtime: listing.mtime(at),
          ctime: listing.ctime(at),
          inode: listing.inode(at),
          links: listing.links(at),
          path: Buffer.from(listing.path(at)),
          target: Buffer.from(listing.target(at)),
        }));
        assert.equal(listing.length, all.length);
        assert.deepEqual(
          read,
          wanted.map(({ device, ...rest }) => ({ ...rest, inode: `${device}:${rest.inode}` })),
        );
      }),
      { numRuns: 200 },
    );
  });

  const table: readonly { name: string; output: string }[] = [
    { name: "a record that is cut", output: "f 644 0 0 1 1.5 1.5 9 1 1 /a\0" },
    { name: "a kind that is none", output: "U 644 0 0 1 1.5 1.5 9 1 1 /a\0\0" },
    { name: "a mode that is none", output: "f 689 0 0 1 1.5 1.5 9 1 1 /a\0\0" },
    { name: "an owner of 33 bits", output: "f 644 4294967296 0 1 1.5 1.5 9 1 1 /a\0\0" },
    { name: "more links than there are", output: "f 644 0 0 1 1.5 1.5 9 1 4294967296 /a\0\0" },
    { name: "a mode of 17 bits", output: "f 777777 0 0 1 1.5 1.5 9 1 1 /a\0\0" },
    { name: "an inode of many digits", output: `f 644 0 0 1 1.5 1.5 ${"9".repeat(400)} 1 1 /a\0\0` },
    { name: "a device that is none", output: "f 644 0 0 1 1.5 1.5 9 x 1 /a\0\0" },
    { name: "a device that reaches into the path", output: "f 644 0 0 1 1.5 1.5 9 1/a\0\0f 1 /b\0\0" },
    { name: "a field less", output: "f 644 0 0 1 1.5 1.5 9 1 /a\0\0" },
    { name: "a path that is not absolute", output: "f 644 0 0 1 1.5 1.5 9 1 1 a\0\0" },
    { name: "a record without an end", output: "f".repeat(100_000) },
    { name: "a path without an end", output: `f 644 0 0 1 1.5 1.5 9 1 1 /${"a/".repeat(50_000)}` },
  ];
  test("what no system call or manifest takes is left out and counted; the rest is listed", async () => {
    const listing = new FileListing();
    const lines = [
      `f 644 0 0 1 1.5 1.5 9 1 1 /${"a/".repeat(2047)}b`,
      `f 644 0 0 1 1.5 1.5 9 1 1 /${"a/".repeat(2048)}`,
      `d 755 0 0 1 1.5 1.5 9 1 1 /${"long/".repeat(900)}`,
      `f 644 0 0 9223372036854775807 1.5 1.5 9 1 1 /8EiB`,
      `l 777 0 0 1 1.5 1.5 9 1 1 /l\0${"t".repeat(5000)}`,
      "f 644 0 0 1 1.5 1.5 9 1 1 /z",
    ].map((line) => (line.includes("\0") ? `${line}\0` : `${line}\0\0`));
    const leftOut = await readFindOutput([Buffer.from(lines.join(""))] as never, listing);
    await listing.sort();
    const found = Array.from({ length: listing.length }, (_, at) => listing.path(at).length);
    assert.deepEqual([found, leftOut.long.count, leftOut.large.count], [[4095, 1], 3, 1]);
    assert.match(String(leftOut.long), /^\/(a\/){99}a…, .*, \/l$/);
  });

  const bounds = [
    { name: "files", bounds: { files: 10, bytes: 1e9 } },
    { name: "bytes of paths", bounds: { files: 1e9, bytes: 500 } },
  ];
  for (const row of bounds) {
    test(`more ${row.name} than there is memory for end the listing`, async () => {
      let pulled = 0;
      const endless = (async function* () {
        for (; ; pulled++) yield Buffer.from(`f 644 0 0 1 1.5 1.5 9 1 1 /some/file-${pulled}\0\0`);
      })();
      await assert.rejects(readFindOutput(endless, new FileListing(), row.bounds), (error) =>
        isFailure(error, "source/failed"),
      );
      assert.ok(pulled < 100);
    });
  }

  test("files of as many file systems as there are files are listed at once", async () => {
    const lines = Array.from({ length: 100_000 }, (_, at) => `d 755 0 0 1 1.5 1.5 9 ${at} 1 /${at}\0\0`);
    const listing = new FileListing();
    const before = process.threadCpuUsage();
    await readFindOutput([Buffer.from(lines.join(""))] as never, listing);
    assert.ok(process.threadCpuUsage(before).user < 2_000_000, "two seconds of the processor's time");
    await listing.sort();
    const last = Array.from({ length: listing.length }, (_, at) => at).find(
      (at) => listing.path(at).toString() === "99999",
    );
    assert.equal(listing.inode(last ?? 0), "99999:9");
  });

  for (const row of table) {
    test(`${row.name} is refused`, async () => {
      await assert.rejects(listed(Buffer.from(row.output), 1000), (error) =>
        isFailure(error, "host/command-failed"),
      );
    });
  }
});

describe("one file system", () => {
  const source: FilesPolicy = {
    ...{ name: "dev", kind: "files", paths: ["/dev"], exclude: ["/dev/shm/*"], optional: false },
    one_file_system: true,
  };

  test("what is left out is told, but for the kernel's own", async () => {
    await using scratch = await scratchDirectory();
    const inside = join(scratch.path, "repos");
    await mkdir(join(scratch.path, "plain"));
    await mkdir(inside);
    // a name space of its own: the mount ends with it
    const script = 'mount -t tmpfs none "$1/repos" && mount -t proc none "$1/plain" && shift && exec "$@"';
    await using host = await openLocalHost();
    const mounted = alteredHost(host, (argv) => [
      ...["unshare", "--mount", "--map-root-user", "--pid", "--fork"],
      ...["sh", "-c", script, "sh", scratch.path, ...argv],
    ]);
    const { signal } = new AbortController();
    const look = (more: Partial<FilesPolicy>) =>
      findFiles(mounted, { ...source, paths: [scratch.path], exclude: [], ...more }, { signal });
    assert.deepEqual((await look({})).mounts, [{ path: inside, kind: "tmpfs" }]);
    assert.deepEqual((await look({ one_file_system: false, exclude: ["*/plain"] })).mounts, []);
    assert.deepEqual((await look({ paths: [scratch.path, inside] })).mounts, []);
    assert.deepEqual((await look({ exclude: [inside] })).mounts, []);
  });

  for (const stays of [true, false]) {
    test(stays ? "is not left" : "is left when the policy says so", async () => {
      await using host = await openLocalHost();
      const { signal } = new AbortController();
      const { listing } = await findFiles(host, { ...source, one_file_system: stays }, { signal });
      const found = Array.from({ length: listing.length }, (_, at) => listing.shown(at));
      assert.ok((await readdir("/dev/pts")).includes("ptmx"), "/dev/pts is no file system of its own here");
      assert.ok(found.includes("/dev/pts"));
      assert.equal(found.includes("/dev/pts/ptmx"), !stays);
    });
  }
});

describe("the plan", () => {
  const old = { mtime: 5n * SECOND + 1n, ctime: 6n * SECOND + 1n };
  const listedAt = 100n * SECOND;

  test("takes each decision beside the previous entries", async () => {
    const listing = await listed(
      Buffer.concat([
        plain("same", 1),
        plain("longer", 2, { size: 11 }),
        plain("other time", 3, { mtime: 7n * SECOND }),
        plain("other change", 4, { ctime: 8n * SECOND + 1n }),
        plain("other inode", 55),
        plain("new", 6),
        plain("link a", 7, { links: 2 }),
        plain("link b", 7, { links: 2 }),
        plain("just now", 8, { ctime: listedAt }),
        plain("socket", 9, { kind: "s" }),
        plain("pipe", 10, { kind: "p" }),
        plain("was a directory", 11),
      ]),
    );
    const previous = [
      ...["gone", "same", "longer", "other time", "other change"].map((name, at) => previousFile(name, at)),
      previousFile("other inode", 5),
      { ...previousFile("just now", 8), same: `1:8:${listedAt}` },
      { ...previousFile("was a directory", 11), type: "dir" as const },
      previousFile("zz gone", 12),
    ].sort((a, b) => Buffer.compare(a.path, b.path));
    const acts: Record<string, string> = {};
    for (const { position, ...rest } of await planned(listing, previous))
      acts[listing.path(position).toString()] = rest.act === "link" ? `link ${rest.first}` : rest.act;
    assert.deepEqual(acts, {
      "just now": "read",
      "link a": "read",
      "link b": "link 1",
      longer: "read",
      new: "read",
      "other change": "read",
      "other inode": "read",
      "other time": "read",
      pipe: "record",
      same: "keep",
      socket: "skip",
      "was a directory": "read",
    });
  });

  const doubts: readonly { ctime: bigint; certain: boolean }[] = [
    { ctime: listedAt - 2n * SECOND, certain: true },
    { ctime: listedAt - SECOND, certain: false }, // may be a file system of whole seconds
    { ctime: listedAt - 21_000_000n, certain: true },
    { ctime: listedAt - 19_000_000n, certain: false },
    { ctime: listedAt + 1n, certain: false },
  ];
  for (const row of doubts) {
    test(`a change ${Number(row.ctime - listedAt) / 1e9} s from the listing`, async () => {
      const listing = await listed(plain("f", 1, { ctime: row.ctime }));
      assert.equal(identityOf(listing, 0, listedAt) !== undefined, row.certain);
    });
  }

  test("reads the previous entries to their end", async () => {
    let ended = false;
    const previous = (async function* () {
      yield previousFile("x", 1);
      yield previousFile("y", 2);
      ended = true;
    })();
    for await (const _ of planFiles(await listed(plain("a", 1)), previous, {
      reread: () => false,
      listedAt,
    })) {
      // only pulled
    }
    assert.ok(ended);
  });

  function plain(path: string, inode: number, more: Partial<Parameters<typeof record>[0]> = {}): Buffer {
    return record({
      ...{ kind: "f", mode: 0o644, uid: 0, gid: 0, size: 10, device: "1", links: 1, target: Buffer.alloc(0) },
      ...{ ...old, inode: BigInt(inode), path: Buffer.from(path), ...more },
    });
  }

  function previousFile(path: string, inode: number): ManifestEntry {
    return {
      ...{ path: Buffer.from(path), type: "file", mode: 0o644, uid: 0, gid: 0, mtime: old.mtime, size: 10 },
      ...{ same: `1:${inode}:${old.ctime}`, chunks: [] },
    };
  }

  async function planned(listing: FileListing, previous: ManifestEntry[]): Promise<FileDecision[]> {
    const entries = (async function* () {
      yield* previous;
    })();
    const decisions: FileDecision[] = [];
    for await (const decision of planFiles(listing, entries, { reread: () => false, listedAt }))
      decisions.push(decision);
    return decisions;
  }
});

test("300,000 files cost little memory, and are planned in seconds", async () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const count = 300_000;
  gc();
  const before = process.memoryUsage();
  const started = process.cpuUsage();
  const listing = new FileListing();
  await readFindOutput(manyRecords(count), listing);
  await listing.sort();
  const listedMs = cpuSince(started);
  gc();
  const after = process.memoryUsage();
  const cost = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  assert.equal(listing.length, count);
  assert.ok(cost < 64 * MIB, `${Math.round(cost / MIB)} MiB`);
  const again = process.cpuUsage();
  let kept = 0;
  const previous = previousOf(listing);
  const plan = planFiles(listing, previous, { reread: () => false, listedAt: 2_000_000_000n * SECOND });
  for await (const { act } of plan) if (act === "keep") kept++;
  assert.equal(kept, count);
  const planMs = cpuSince(again);
  console.log(
    `# listing of ${count}: ${Math.round(cost / MIB)} MiB, read and sorted in ${listedMs} ms of CPU, planned in ${planMs} ms`,
  );
  assert.ok(listedMs < 10_000 && planMs < 10_000);
});

describe("what a command told", () => {
  const table: readonly { line: string; kind: "gone" | "changed" | "unread" | "strange" | "nothing" }[] = [
    { line: "find: '/x': No such file or directory", kind: "gone" },
    { line: "find: '/x': Permission denied", kind: "unread" },
    {
      line: "find: File system loop detected; '/a' is part of the same file system loop as '/b'.",
      kind: "unread",
    },
    { line: "tar: a/b: Cannot stat: No such file or directory", kind: "gone" },
    { line: "tar: a/b: File removed before we read it", kind: "gone" },
    { line: "tar: a/b: file changed as we read it", kind: "changed" },
    { line: "tar: a/b: File shrank by 5 bytes; padding with zeros", kind: "changed" },
    { line: "tar: a/b: socket ignored", kind: "changed" },
    { line: "tar: a/b: Cannot open: Permission denied", kind: "unread" },
    { line: "tar: a/b: Read error at byte 0, while reading 512 bytes: Input/output error", kind: "unread" },
    { line: "tar: -: Cannot write: No space left on device", kind: "strange" },
    { line: "tar: Memory exhausted", kind: "strange" },
    { line: "/bin/tar: something nobody has seen", kind: "strange" },
    { line: "tar: Exiting with failure status due to previous errors", kind: "nothing" },
    { line: "", kind: "nothing" },
  ];
  for (const { line, kind } of table) {
    test(`${kind}: ${line}`, () => {
      const told = sortedStderr(line);
      const { gone, changed, unread, strange } = told;
      const counts = {
        gone: gone.length,
        changed: changed.length,
        unread: unread.length,
        strange: strange.length,
      };
      assert.deepEqual(counts, {
        gone: 0,
        changed: 0,
        unread: 0,
        strange: 0,
        ...(kind === "nothing" ? {} : { [kind]: 1 }),
      });
    });
  }

  test("names of any bytes are read back from their quotes", () => {
    const torn = "Read error at byte 5, while reading 9 bytes: Input/output error";
    const table: readonly [string, string, string][] = [
      [
        "tar: a\\303\\251 b\\\\n\\n: Cannot open: Permission denied",
        "aé b\\n\n",
        "Cannot open: Permission denied",
      ],
      [`tar: x: ${torn}: ${torn}`, `x: ${torn}`, torn],
      ["find: '/a\\'b\\033': Input/output error", "a'b\x1b", "Input/output error"],
    ];
    for (const [line, path, why] of table)
      assert.deepEqual(sortedStderr(line).unread, [{ path: Buffer.from(path), why, torn: why === torn }]);
  });

  test("more than was kept is strange, since anything may be missing", () => {
    const lines = "tar: a: Cannot stat: No such file or directory\n".repeat(200).slice(-8100);
    const { strange, gone } = sortedStderr(lines);
    assert.deepEqual([strange, gone.length], [["there was more to complain about than could be kept"], 172]);
  });

  test("of thousands of lines the first few of each kind are passed on, cut where they are long, and all others", async () => {
    const script = `for i in $(seq 1 3000); do
      echo "tar: a$i: Cannot stat: No such file or directory"
      echo "tar: b$i: file changed as we read it"
      echo "tar: ${"d".repeat(4000)}$i: Cannot open: Permission denied"
    done >&2; for i in $(seq 9); do echo "tar: c$i: Read error at byte 0, while reading 512 bytes: Input/output error"; done >&2; exit 2`;
    await using host = await openLocalHost();
    const how = { signal: new AbortController().signal, okExits: [0] };
    const ended = judgedExit(await host.run(judged(["sh", "-c", script]), how));
    const { gone, changed, unread, strange } = sortedStderr(ended.stderr);
    assert.deepEqual([ended.exit, gone.length, changed.length, strange], [2, 10, 10, []]);
    assert.equal(unread.filter(({ path }) => path === undefined).length, 10);
    assert.deepEqual(
      unread.flatMap(({ path, torn }) => (path && torn ? [path.toString()] : [])),
      Array.from({ length: 9 }, (_, at) => `c${at + 1}`),
    );
  });
});

test("a path in a sentence", () => {
  const table: readonly [string, string][] = [
    ["var/lib/a b", "/var/lib/a b"],
    ["a\nb\x1b[31m", "/a\\nb\\u001b[31m"],
    ['a"b\\c', '/a"b\\c'],
  ];
  for (const [path, shown] of table) assert.equal(shownHostPath(Buffer.from(path)), shown);
});

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return Math.round((user + system) / 1000);
}

interface Recorded {
  readonly kind: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly inode: bigint;
  readonly device: string;
  readonly links: number;
  readonly path: Buffer;
  readonly target: Buffer;
}

function record(file: Recorded): Buffer {
  const { kind, mode, uid, gid, size, mtime, ctime, inode, device, links, path, target } = file;
  const numbers = [kind, mode.toString(8), uid, gid, size, time(mtime), time(ctime), inode, device, links];
  return Buffer.concat([
    Buffer.from(`${numbers.join(" ")} /`),
    path,
    Buffer.alloc(1),
    target,
    Buffer.alloc(1),
  ]);
}

function time(nanoseconds: bigint): string {
  return `${nanoseconds / SECOND}.${String(nanoseconds % SECOND).padStart(9, "0")}0`;
}

async function listed(output: Buffer, piece = 1000): Promise<FileListing> {
  const listing = new FileListing();
  const pieces = (async function* () {
    for (let at = 0; at < output.length; at += piece) yield output.subarray(at, at + piece);
  })();
  await readFindOutput(pieces, listing);
  await listing.sort();
  return listing;
}

/** As a media store looks: names of hashes in many directories, in no order. */
async function* manyRecords(count: number): AsyncGenerator<Buffer> {
  let lines: string[] = [];
  for (let at = 0; at < count; at++) {
    const hash = ((at * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, "0");
    const path = `/var/lib/matrix-conduit/media/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash.repeat(4)}`;
    lines.push(
      `f 640 998 997 ${at * 7} 1700000000.1234567890 1700000001.1234567890 ${at + 1} 65024 1 ${path}\0\0`,
    );
    if (lines.length === 400) {
      yield Buffer.from(lines.join(""));
      lines = [];
    }
  }
  yield Buffer.from(lines.join(""));
}

async function* previousOf(listing: FileListing): AsyncGenerator<ManifestEntry> {
  for (let at = 0; at < listing.length; at++) {
    yield {
      ...{ path: Buffer.from(listing.path(at)), type: "file", mode: 0o640, uid: 998, gid: 997, chunks: [] },
      ...{
        mtime: listing.mtime(at),
        size: listing.size(at),
        same: `${listing.inode(at)}:${listing.ctime(at)}`,
      },
    };
  }
}
