import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { lstat, mkdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import fc from "fast-check";
import { TAR_END, type TarHead, tarHeader, tarPadding } from "../../src/restore/tar-writer.ts";
import type { DataSegment } from "../../src/source/files/tar-sparse.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** Only root may give files away. */
const isRoot = process.getuid?.() === 0;
const ME = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const OTHER = isRoot ? { uid: 12_345, gid: 3_000_000 } : ME;

interface Member extends TarHead {
  readonly content?: Buffer;
  readonly segments?: readonly DataSegment[];
}

const base = { mode: 0o640, ...OTHER, mtime: 1_700_000_000_123_456_789n, size: 0 };
const deep = `${"d".repeat(140)}/${"e".repeat(140)}`;
const members: readonly Member[] = [
  member("dir", { type: "dir", mode: 0o2750, mtime: 1_600_000_000_000_000_001n }),
  member("dir/file", {
    content: Buffer.from("content"),
    xattrs: { "user.a=b%c": Buffer.from([0, 255, 10]) },
  }),
  member("dir/empty-attribute", { xattrs: { "user.empty": Buffer.alloc(0) } }),
  member("dir/hard", { type: "hardlink", target: Buffer.from("dir/file") }),
  member("dir/soft", { type: "symlink", mode: 0o777, target: Buffer.from(`../${"t".repeat(200)}`) }),
  member("fifo", { type: "fifo" }),
  member("before-1970", { mtime: -1_250_000_000n }),
  member("far-future", { mtime: 15_000_000_000_000_000_000n }),
  member("setuid", { mode: 0o4755, content: Buffer.alloc(513, 7) }),
  {
    ...base,
    type: "file",
    path: Buffer.from([0x62, 0xff, 0xfe, 0x0a, 0x5c, 0x6e]),
    size: 1,
    content: Buffer.from("x"),
  },
  member(deep, { type: "dir", mode: 0o700 }),
  member(`${deep}/${"\u00e9".repeat(100)}`, { content: Buffer.alloc(1024, 3) }),
  member("-rf", { content: Buffer.from("dash") }),
  member("sparse", {
    size: 6 * GIB + 5,
    segments: [
      { offset: 4096, size: 8192 },
      { offset: 5 * GIB, size: 4096 },
    ],
    content: Buffer.concat([Buffer.alloc(8192, 0x61), Buffer.alloc(4096, 0x62)]),
  }),
  member("all-hole", { size: 3 * MIB, segments: [] }),
  member("last", { content: Buffer.from("last") }),
];

test("GNU tar recreates everything", async () => {
  await using scratch = await scratchDirectory();
  await extract(scratch.path, Buffer.concat([...members.flatMap(blocks), TAR_END]));
  for (const wanted of members) {
    if (wanted.type === "hardlink") continue;
    const path = Buffer.concat([Buffer.from(`${scratch.path}/`), wanted.path]);
    const found = await lstat(path, { bigint: true });
    const name = wanted.path.toString();
    assert.equal(found.mtimeNs, wanted.mtime, name);
    assert.equal(Number(found.mode & 0o7777n), wanted.mode, name);
    assert.deepEqual([Number(found.uid), Number(found.gid)], [wanted.uid, wanted.gid], name);
    if (wanted.type === "file") assert.equal(Number(found.size), wanted.size, name);
    if (wanted.content && !wanted.segments) assert.deepEqual(await readFile(path), wanted.content);
  }
  const at = (name: string) => join(scratch.path, name);
  assert.equal((await lstat(at("dir/hard"))).ino, (await lstat(at("dir/file"))).ino);
  assert.equal(await readlink(at("dir/soft")), `../${"t".repeat(200)}`);
  assert.ok((await lstat(at("fifo"))).isFIFO());
  assert.match((await attributes(at("dir/file"))).toString(), /^user\.a\\075b%c=0x00ff0a$/m);
  assert.match((await attributes(at("dir/empty-attribute"))).toString(), /user\.empty/);
  assert.ok((await lstat(at("sparse"))).blocks * 512 < MIB);
  assert.equal((await lstat(at("all-hole"))).blocks, 0);
  const page = await runTool(
    "dd",
    `if=${at("sparse")}`,
    "bs=4096",
    `skip=${(5 * GIB) / 4096}`,
    "count=2",
    "status=none",
  );
  assert.deepEqual(page, Buffer.concat([Buffer.alloc(4096, 0x62), Buffer.alloc(4096)]));
});

test("a file above 8 GiB has a size that tar understands", async () => {
  await using scratch = await scratchDirectory();
  const large = member("large", { size: 9 * GIB });
  const listed = spawn("tar", ["-tvf", "-"], { stdio: ["pipe", "pipe", "inherit"], cwd: scratch.path });
  const output = listed.stdout.setEncoding("utf8").toArray();
  const zeros = Buffer.alloc(4 * MIB);
  await pipeline(
    Readable.from(
      (function* () {
        yield tarHeader(large);
        for (let at = 0; at < large.size; at += zeros.length) yield zeros;
        yield tarPadding(large.size);
        yield* blocks(member("after", { content: Buffer.from("x") }));
        yield TAR_END;
      })(),
    ),
    listed.stdin,
  );
  const lines = (await output).join("");
  assert.match(lines, / 9663676416 .* large\n/);
  assert.match(lines, / 1 .* after\n/);
});

test("names of any bytes and any content arrive", async () => {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 255 })
    .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))))
    .filter((bytes) => !bytes.equals(Buffer.from(".")) && !bytes.equals(Buffer.from("..")));
  const files = fc.uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 2000 })), {
    selector: ([path]) => path.toString("latin1"),
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(files, async (drawn) => {
      await using scratch = await scratchDirectory();
      await mkdir(join(scratch.path, "into"));
      const all = drawn.map(([path, bytes]): Member => {
        return { ...base, ...ME, type: "file", path, size: bytes.length, content: Buffer.from(bytes) };
      });
      await extract(join(scratch.path, "into"), Buffer.concat([...all.flatMap(blocks), TAR_END]));
      for (const { path, content } of all)
        assert.deepEqual(
          await readFile(Buffer.concat([Buffer.from(`${scratch.path}/into/`), path])),
          content,
        );
    }),
    { numRuns: 25 },
  );
});

function member(name: string, more: Partial<Member>): Member {
  return { ...base, type: "file", path: Buffer.from(name), size: more.content?.length ?? 0, ...more };
}

function blocks(wanted: Member): Buffer[] {
  const content = wanted.content ?? Buffer.alloc(0);
  return [tarHeader(wanted, wanted.segments), content, tarPadding(content.length)];
}

async function extract(into: string, tar: Buffer): Promise<void> {
  const words = [
    "-xpf",
    "-",
    "--warning=no-timestamp",
    "--xattrs",
    "--xattrs-include=*",
    "--numeric-owner",
    "-C",
    into,
  ];
  const child = spawn("tar", words, { stdio: ["pipe", "inherit", "pipe"] });
  const said = child.stderr.setEncoding("utf8").toArray();
  child.stdin.end(tar);
  const [exit] = await once(child, "close");
  assert.deepEqual([exit, await said], [0, []]);
}

function attributes(path: string): Promise<Buffer> {
  return runTool("getfattr", "--absolute-names", "-d", "-e", "hex", path);
}
