import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { link, mkdir, open, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isFailure } from "../../src/lib/errors.ts";
import { TAR_END, type TarHead, tarHeader, tarPadding } from "../../src/restore/tar-writer.ts";
import { MIN_HOLE } from "../../src/snapshot/holes.ts";
import { headerSum } from "../../src/source/files/tar-header.ts";
import { formatPax, parsePax } from "../../src/source/files/tar-pax.ts";
import type { DataSegment } from "../../src/source/files/tar-sparse.ts";
import { readTar, type TarEntry } from "../../src/source/files/tar-stream.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";

const MIB = 1024 * 1024;
const hugeAttributes = formatPax(
  new Map(Array.from({ length: 40 }, (_, at) => [`SCHILY.xattr.user.${at}`, Buffer.alloc(65_000, at)])),
);
const GIB = 1024 * MIB;

describe("tar streams that GNU tar writes", () => {
  for (const format of ["posix", "gnu"]) {
    test(`${format}: names of any bytes, links, empty files, long paths`, async () => {
      await using scratch = await scratchDirectory();
      const root = Buffer.from(`${scratch.path}/`);
      const deep = `${"d".repeat(120)}/${"e".repeat(120)}/${"f".repeat(120)}`;
      await mkdir(join(scratch.path, deep), { recursive: true });
      const names = [
        Buffer.from([0x62, 0xff, 0xfe, 0x0a, 0x5c, 0x6e]),
        Buffer.from("new\nline"),
        Buffer.from(`${deep}/${"g".repeat(200)}`),
      ];
      for (const name of names) await writeFile(Buffer.concat([root, name]), name);
      await writeFile(join(scratch.path, "empty"), "");
      await link(join(scratch.path, "empty"), join(scratch.path, "zlink"));
      await symlink(`../${"t".repeat(150)}`, join(scratch.path, "pointer"));
      const tar = await runTool(
        "tar",
        "-cf",
        "-",
        `--format=${format}`,
        "--sort=name",
        "-C",
        scratch.path,
        ".",
      );
      const entries = await collect(tar);
      for (const name of names) assert.deepEqual(find(entries, name).bytes, name);
      assert.equal(find(entries, Buffer.from("empty")).bytes.length, 0);
      assert.equal(find(entries, Buffer.from("zlink")).type, "hardlink");
      assert.equal(find(entries, Buffer.from("zlink")).target?.toString(), "./empty");
      assert.equal(find(entries, Buffer.from("pointer")).target?.toString(), `../${"t".repeat(150)}`);
      assert.equal(find(entries, Buffer.from(`${"d".repeat(120)}/`)).type, "dir");
    });
  }

  test("a name whose first 100 bytes end in a slash is still a file, with its content", async () => {
    await using scratch = await scratchDirectory();
    const folder = `${"a".repeat(48)}/${"b".repeat(48)}`; // with `./` and the slash: 100 bytes
    await mkdir(join(scratch.path, folder), { recursive: true });
    const name = `${folder}/${"\u00e9".repeat(90)}`;
    await writeFile(join(scratch.path, name), "content");
    const tar = await runTool("tar", "-cf", "-", "--format=posix", "-C", scratch.path, ".");
    const file = find(await collect(tar), Buffer.from(name));
    assert.deepEqual([file.type, file.bytes.toString()], ["file", "content"]);
  });

  test("nanoseconds, before 1970 too, and extended attributes with awkward names", async () => {
    await using scratch = await scratchDirectory();
    const file = join(scratch.path, "file");
    await writeFile(file, "x");
    await runTool("setfattr", "-n", "user.a=b%c", "-v", "0x00ff0a3d", file);
    await runTool("touch", "-d", "@-1.25", file);
    const tar = await runTool(...tarWords(scratch.path), "--xattrs", "--xattrs-include=*", "file");
    const [entry] = await collect(tar);
    assert.equal(entry?.mtime, -1_250_000_000n);
    assert.deepEqual(entry.xattrs, { "user.a=b%c": Buffer.from([0, 0xff, 0x0a, 0x3d]) });
  });

  test("a sparse file of 5 GiB: data where it is, zeros elsewhere", async () => {
    await using scratch = await scratchDirectory();
    const file = join(scratch.path, "sparse");
    const places = [0, 3 * GIB + 4096, 5 * GIB - 4096];
    await writeFile(file, "");
    await using handle = await open(file, "r+");
    await handle.truncate(5 * GIB);
    for (const at of places) await handle.write(Buffer.alloc(4096, 0x61 + places.indexOf(at)), 0, 4096, at);
    await handle.sync();
    const tar = await runTool(...tarWords(scratch.path), "--sparse", "sparse");
    assert.ok(tar.length < MIB, "tar did not see the holes");
    for await (const entry of readTar(pieces(tar, 777))) {
      assert.deepEqual([entry.path.toString(), entry.sparse, entry.size], ["sparse", true, 5 * GIB]);
      const { length, found } = await survey(entry.data);
      assert.equal(length, 3 * 4096);
      assert.deepEqual(
        found,
        places.map((_, index) => [index * 4096, 0x61 + index]),
      );
      assert.deepEqual(
        entry.holes,
        [0, 1].map((index) => {
          const offset = (places[index] ?? 0) + 4096;
          return { offset, size: (places[index + 1] ?? 0) - offset };
        }),
      );
    }
  });

  test("sizes and owners that octal cannot hold, as GNU's base-256", async () => {
    await using scratch = await scratchDirectory();
    const file = join(scratch.path, "large");
    await writeFile(file, "");
    await truncate(file, 9 * GIB);
    const tar = spawn("tar", [
      "-cf",
      "-",
      "--format=gnu",
      "--owner=x:3000000000",
      "-C",
      scratch.path,
      "large",
    ]);
    const ended = once(tar, "close");
    for await (const entry of readTar(tar.stdout)) {
      assert.deepEqual([entry.size, entry.uid], [9 * GIB, 3_000_000_000]);
      break; // closes the stream, which ends tar
    }
    await ended;
  });

  test("a time of file system precision arrives from both formats", async () => {
    await using scratch = await scratchDirectory();
    const file = join(scratch.path, "file");
    await writeFile(file, "");
    await utimes(file, 1_700_000_000, 1_700_000_000);
    for (const format of ["posix", "gnu", "ustar"]) {
      const tar = await runTool("tar", "-cf", "-", `--format=${format}`, "-C", scratch.path, "file");
      assert.equal((await collect(tar))[0]?.mtime, 1_700_000_000_000_000_000n, format);
    }
  });
});

describe("reading by pull", () => {
  const head = (name: string, size: number): TarHead => ({
    ...{ path: Buffer.from(name), type: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0n, size },
  });
  const two = Buffer.concat([
    ...[tarHeader(head("a", 700)), Buffer.alloc(700, 1), tarPadding(700)],
    ...[tarHeader(head("b", 3)), Buffer.from("bbb"), tarPadding(3), TAR_END],
  ]);

  test("content that nobody reads, or not to its end, is skipped", async () => {
    for (const most of [0, 1, 2]) {
      const seen: string[] = [];
      for await (const entry of readTar(pieces(two, 100))) {
        seen.push(entry.path.toString());
        const data = entry.data[Symbol.asyncIterator]();
        for (let views = 0; views < most; views++) await data.next();
      }
      assert.deepEqual(seen, ["a", "b"], `${most} views`);
    }
  });

  test("nothing is read ahead, and views are of the incoming memory", async () => {
    let pulled = 0;
    const source = (async function* () {
      for await (const piece of pieces(two, 512)) {
        pulled++;
        yield piece;
      }
    })();
    const entries = readTar(source);
    const first = await entries.next();
    assert.equal(pulled, 1);
    assert.ok(!first.done);
    const data = first.value.data[Symbol.asyncIterator]();
    const view = (await data.next()).value;
    assert.equal(pulled, 2);
    assert.equal(view.buffer, two.buffer);
    await entries.return(undefined);
  });

  test("what follows the trailer is read too, so that the writer is not cut off", async () => {
    let ended = false;
    const source = (async function* () {
      yield Buffer.concat([two, Buffer.alloc(8192)]);
      yield Buffer.alloc(10_240);
      ended = true;
    })();
    for await (const _entry of readTar(source)) {
      // every entry is skipped
    }
    assert.ok(ended);
  });
});

describe("damaged tar streams", () => {
  const plain: TarHead = {
    ...{ path: Buffer.from("f"), type: "file", mode: 0o644, uid: 0, gid: 0, mtime: 1n, size: 1000 },
  };
  const whole = Buffer.concat([tarHeader(plain), Buffer.alloc(1000), tarPadding(1000), TAR_END]);
  const withPax = (records: Record<string, string>, stored = 512) => {
    const pax = formatPax(new Map(Object.entries(records).map(([key, value]) => [key, Buffer.from(value)])));
    return Buffer.concat([extended("x", pax), tarHeader({ ...plain, mtime: 0n, size: stored })]);
  };
  const globals = (count: number) => {
    const records = Array.from({ length: count }, (_, at) => [`k${at}`, Buffer.from("v")] as const);
    return Buffer.concat([extended("g", formatPax(new Map(records))), whole]);
  };
  const sparse = (map: string, realSize: string) =>
    Buffer.concat([
      withPax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": realSize }, 1024),
      Buffer.from(map.padEnd(512, "\0")),
      Buffer.alloc(512),
      TAR_END,
    ]);
  const table: readonly { name: string; tar: Buffer }[] = [
    { name: "nothing at all", tar: Buffer.alloc(0) },
    { name: "without its trailer", tar: whole.subarray(0, -1024) },
    { name: "with half a trailer", tar: whole.subarray(0, -512) },
    { name: "a block of zeros in the middle", tar: Buffer.concat([Buffer.alloc(512), whole]) },
    { name: "a flipped bit in a header", tar: flipped(whole, 105) },
    { name: "a flipped bit in a pax header's block", tar: flipped(whole, 3) },
    { name: "garbage", tar: Buffer.alloc(1024, 0x41) },
    { name: "an unknown kind", tar: changed(whole, 1024, (block) => block.write("Q", 156)) },
    { name: "a number that is none", tar: changed(whole, 1024, (block) => block.write("12x4", 124)) },
    { name: "a pax header of 2 MiB", tar: extended("x", Buffer.alloc(2 * MIB, 0x20)) },
    { name: "a pax header of 2 MiB of one key", tar: extended("x", Buffer.alloc(2 * MIB, "9 aaaaaaaa")) },
    {
      name: "a pax header of 2 MiB of a path",
      tar: extended("x", formatPax(new Map([["path", Buffer.alloc(2 * MIB, 0x61)]]))),
    },
    {
      name: "a record past the end of 2 MiB",
      tar: extended("x", Buffer.concat([hugeAttributes, Buffer.from("99 path=a\n")])),
    },
    { name: "a long name of 128 KiB", tar: extended("L", Buffer.alloc(128 * 1024, 0x61)) },
    { name: "a pax record without length", tar: extended("x", Buffer.from("path=a\n")) },
    { name: "a pax record that is longer than the header", tar: extended("x", Buffer.from("99 path=a\n")) },
    { name: "a pax record without equals sign", tar: extended("x", Buffer.from("7 path\n")) },
    { name: "records for all entries without number", tar: globals(101) },
    { name: "a size that is none", tar: withPax({ size: "-5" }) },
    { name: "a time that is none", tar: withPax({ mtime: "yesterday" }) },
    { name: "a user number out of range", tar: withPax({ uid: "99999999999" }) },
    { name: "an unknown version of sparse files", tar: withPax({ "GNU.sparse.major": "2" }) },
    { name: "the old sparse files of pax", tar: withPax({ "GNU.sparse.map": "0,1" }) },
    { name: "a sparse map without an end", tar: sparse("9999\n1\n", "512") },
    { name: "a sparse map that goes back", tar: sparse("2\n100\n256\n0\n256\n", "1000") },
    { name: "a sparse map past the size", tar: sparse("1\n900\n512\n", "1000") },
    { name: "a sparse map of other data", tar: sparse("1\n0\n100\n", "1000") },
    { name: "a sparse map of letters", tar: sparse("one\n", "1000") },
  ];
  test("more attributes than are held cost those of that file alone", async () => {
    const path = new Map([["path", Buffer.from("named in pax")]]);
    const pax = Buffer.concat([
      formatPax(path),
      hugeAttributes,
      formatPax(new Map([["mtime", Buffer.from("7")]])),
    ]);
    const one = tarHeader({ ...plain, mtime: 0n, size: 3 });
    const after = tarHeader({ ...plain, path: Buffer.from("after"), mtime: 0n, size: 0 });
    const tar = [extended("x", pax), one, Buffer.from("abc"), tarPadding(3), after, TAR_END];
    const [cut, good] = await collect(Buffer.concat(tar), 777);
    assert.deepEqual(
      [cut?.path.toString(), cut?.mtime, cut?.bytes.toString(), cut?.xattrs, cut?.lacksXattrs],
      ["named in pax", 7_000_000_000n, "abc", undefined, true],
    );
    assert.deepEqual([good?.path.toString(), good?.lacksXattrs], ["after", false]);
  });

  const unusable: readonly { name: string; map: string; size: string; why: RegExp }[] = [
    { name: "a sparse map of millions", map: "99999999\n", size: "1000", why: /2000000 pieces/ },
    { name: "a sparse file of 8 EiB", map: "1\n0\n512\n", size: "9223372036854775807", why: /8 PiB/ },
  ];
  for (const row of unusable) {
    test(`${row.name} costs that file alone`, async () => {
      const one = sparse(row.map, row.size).subarray(0, -TAR_END.length);
      const after = tarHeader({ ...plain, path: Buffer.from("after"), mtime: 0n, size: 0 });
      const [bad, good] = await collect(Buffer.concat([one, after, TAR_END]));
      assert.match(bad?.unusable ?? "", row.why);
      assert.deepEqual([bad?.bytes.length, good?.path.toString(), good?.unusable], [0, "after", undefined]);
    });
  }
  for (const row of table) {
    test(row.name, async () => {
      await assert.rejects(collect(row.tar), (error) => isFailure(error, "data/damaged"));
    });
  }

  test("cut anywhere", async () => {
    for (let length = 0; length < whole.length; length += 97)
      await assert.rejects(
        collect(whole.subarray(0, length)),
        (error) => isFailure(error, "data/damaged"),
        `${length} bytes`,
      );
  });

  test("random bytes never do anything but fail", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 2048 }), fc.nat(2047), async (noise, at) => {
        const tar = Buffer.from(whole);
        Buffer.from(noise).copy(tar, Math.min(at, tar.length - 1));
        await collect(tar).catch((error: unknown) =>
          assert.ok(isFailure(error, "data/damaged"), String(error)),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe("written and read back", () => {
  const bytes = (maxLength: number) =>
    fc.uint8Array({ minLength: 1, maxLength }).map((array) => Buffer.from(array.map((byte) => byte || 1)));
  const name = fc
    .string({ minLength: 1, maxLength: 40, unit: "binary" })
    .filter((text) => !text.includes("\0"));
  const entry = fc.record({
    path: fc.oneof(bytes(99), bytes(400)),
    type: fc.constantFrom("file", "dir", "symlink", "hardlink", "fifo"),
    mode: fc.nat(0o7777),
    uid: fc.nat(2 ** 32 - 1),
    gid: fc.nat(2 ** 32 - 1),
    user: fc.option(name, { nil: undefined }),
    group: fc.option(name, { nil: undefined }),
    mtime: fc.bigInt(-(10n ** 18n), 10n ** 19n),
    target: bytes(300),
    content: fc.uint8Array({ maxLength: 3000 }),
    xattrs: fc.dictionary(
      fc.stringMatching(/^user\.[a-z=%]{1,9}$/),
      fc.uint8Array({ maxLength: 50 }).map((array) => Buffer.from(array)),
      { maxKeys: 3, noNullPrototype: true },
    ),
  });

  test("every field of every kind of entry", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 5 }),
        fc.integer({ min: 1, max: 2000 }),
        async (all, piece) => {
          const heads = all.map(asHead);
          const tar = heads.flatMap((head) => [
            tarHeader(head),
            head.content,
            tarPadding(head.content.length),
          ]);
          const read = await collect(Buffer.concat([...tar, TAR_END]), piece);
          assert.deepEqual(
            read.map(
              ({ bytes: content, sparse, lacksXattrs, holes, unusable: _none, data: _data, ...rest }) => ({
                ...rest,
                content,
              }),
            ),
            heads,
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test("sparse files", async () => {
    const gaps = fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 3000 })), { maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(gaps, fc.nat(5000), async (shape, tail) => {
        const { segments, logical, stored } = sparseFile(shape, tail);
        const head: TarHead = {
          ...{
            path: Buffer.from("s"),
            type: "file",
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0n,
            size: logical.length,
          },
        };
        const tar = Buffer.concat([tarHeader(head, segments), stored, tarPadding(stored.length), TAR_END]);
        const [read] = await collect(tar, 1000);
        assert.deepEqual([read?.sparse, read?.size, read?.path.toString()], [true, logical.length, "s"]);
        assert.ok(read?.bytes.equals(logical));
      }),
      { numRuns: 100 },
    );
  });

  test("long holes are told and not read, whatever their length", async () => {
    const gap = fc.oneof(fc.nat(MIN_HOLE - 1), fc.integer({ min: MIN_HOLE, max: 2 ** 50 }));
    const gaps = fc.array(fc.tuple(gap, fc.integer({ min: 1, max: 3000 })), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(gaps, gap, async (shape, tail) => {
        const stored = Buffer.concat(shape.map(([, size], index) => Buffer.alloc(size, index + 1)));
        const segments: DataSegment[] = [];
        let size = 0;
        for (const [skipped, length] of shape) {
          segments.push({ offset: size + skipped, size: length });
          size += skipped + length;
        }
        size += tail;
        const head: TarHead = {
          path: Buffer.from("s"),
          type: "file",
          mode: 0,
          uid: 0,
          gid: 0,
          mtime: 0n,
          size,
        };
        const [read] = await collect(
          Buffer.concat([tarHeader(head, segments), stored, tarPadding(stored.length), TAR_END]),
          1000,
        );
        const holes = read?.holes ?? [];
        const short = [...shape.map(([skipped]) => skipped), tail].filter((length) => length < MIN_HOLE);
        assert.deepEqual(
          holes.map((hole) => hole.size),
          [...shape.map(([skipped]) => skipped), tail].filter((length) => length >= MIN_HOLE),
        );
        const inData = stored.length + short.reduce((sum, length) => sum + length, 0);
        assert.equal(read?.bytes.length, inData);
        assert.equal(read.size, size);
        assert.ok(Buffer.from(read.bytes.filter((byte) => byte !== 0)).equals(stored));
      }),
      { numRuns: 100 },
    );
  });

  test("pax records whose length grows by counting itself", () => {
    for (let length = 0; length < 1100; length++) {
      const records = new Map([["k", Buffer.alloc(length, 0x78)]]);
      assert.deepEqual(parsePax(formatPax(records)), records);
    }
  });
});

interface Drawn extends Omit<TarHead, "size" | "target"> {
  readonly target: Buffer;
  readonly content: Uint8Array;
}

/** What is drawn, without the fields that its type does not have. */
function asHead({ content, xattrs = {}, target, ...rest }: Drawn) {
  const bytes = rest.type === "file" ? Buffer.from(content) : Buffer.alloc(0);
  return {
    ...rest,
    size: bytes.length,
    target: rest.type === "symlink" || rest.type === "hardlink" ? target : undefined,
    xattrs: Object.keys(xattrs).length === 0 ? undefined : xattrs,
    content: bytes,
  };
}

/** Where pages of 4096 bytes begin that are not zeros, and their first byte. */
async function survey(
  data: AsyncIterable<Uint8Array>,
): Promise<{ length: number; found: [number, number][] }> {
  const zeros = Buffer.alloc(MIB);
  const found: [number, number][] = [];
  let length = 0;
  for await (const view of data) {
    if (zeros.compare(view, 0, view.length, 0, view.length) !== 0) {
      const from = length + view.findIndex((byte) => byte !== 0);
      if (from >= (found.at(-1)?.[0] ?? -4096) + 4096) found.push([from, view[from - length] ?? 0]);
    }
    length += view.length;
  }
  return { length, found };
}

type Collected = TarEntry & { readonly bytes: Buffer };

async function collect(tar: Buffer, piece = 4096): Promise<Collected[]> {
  const entries: Collected[] = [];
  for await (const entry of readTar(pieces(tar, piece))) {
    const parts: Buffer[] = [];
    for await (const view of entry.data) parts.push(Buffer.from(view));
    const bytes = Buffer.concat(parts);
    const inHoles = (entry.holes ?? []).reduce((sum, { size }) => sum + size, 0);
    assert.equal(bytes.length + inHoles, entry.size);
    entries.push({ ...entry, bytes });
  }
  return entries;
}

function find(entries: readonly Collected[], name: Buffer): Collected {
  const found = entries.find(({ path }) => path.equals(Buffer.concat([Buffer.from("./"), name])));
  assert.ok(found, `no entry ${name.toString()}`);
  return found;
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function tarWords(directory: string): [string, ...string[]] {
  return ["tar", "-cf", "-", "--format=posix", "-C", directory];
}

function flipped(tar: Buffer, at: number): Buffer {
  const copy = Buffer.from(tar);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** Change the header block at `at` and give it the checksum it then has. */
function changed(tar: Buffer, at: number, change: (block: Buffer) => void): Buffer {
  const copy = Buffer.from(tar);
  const block = copy.subarray(at, at + 512);
  change(block);
  block.write(`${headerSum(block).toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return copy;
}

function extended(flag: string, content: Buffer): Buffer {
  const head: TarHead = {
    ...{ path: Buffer.from("x"), type: "file", mode: 0, uid: 0, gid: 0, mtime: 0n, size: content.length },
  };
  const header = changed(tarHeader(head), 0, (block) => block.write(flag, 156));
  return Buffer.concat([header, content, tarPadding(content.length)]);
}

function sparseFile(shape: readonly (readonly [number, number])[], tail: number) {
  const segments: DataSegment[] = [];
  let at = 0;
  for (const [gap, size] of shape) {
    segments.push({ offset: at + gap, size });
    at += gap + size;
  }
  const logical = Buffer.alloc(at + tail);
  for (const [index, { offset, size }] of segments.entries())
    logical.fill(1 + (index % 255), offset, offset + size);
  const stored = Buffer.concat(segments.map(({ offset, size }) => logical.subarray(offset, offset + size)));
  return { segments, logical, stored };
}
