import assert from "node:assert/strict";
import { isSafePath } from "../../../src/snapshot/entry.ts";
import { decodeEntry, encodeEntry } from "../../../src/snapshot/entry-line.ts";
import { whyUnrecordable } from "../../../src/snapshot/recordable.ts";
import { readHead } from "../../../src/source/files/entry-heads.ts";
import { FIND_FORMAT, readFindOutput } from "../../../src/source/files/find-output.ts";
import { FileListing, type ListedFile } from "../../../src/source/files/listing.ts";
import { sortedStderr } from "../../../src/source/files/stderr-lines.ts";
import { BLOCK, headerSum } from "../../../src/source/files/tar-header.ts";
import { formatPax, formatPaxTime, parsePax, paxTime } from "../../../src/source/files/tar-pax.ts";
import { readTar, type TarEntry } from "../../../src/source/files/tar-stream.ts";
import { inPieces } from "../../support/answering-host.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { corpus } from "../inputs.ts";

/** Of one file that is mostly hole: the rest is as easy. */
const ENOUGH = 4 * 1024 * 1024;

const pax = (key: string, value: string) => formatPax(new Map([[key, Buffer.from(value)]]));
const PAX_WORDS: readonly Buffer[] = [
  ...[pax("mtime", "1796033224.3937997"), pax("mtime", "-0.5"), pax("size", "999"), pax("a", "b")],
  ...[pax("GNU.sparse.major", "1"), pax("GNU.sparse.minor", "0"), pax("GNU.sparse.realsize", "9999")],
  ...[pax("SCHILY.xattr.user.a%3D%25", "b"), pax("linkpath", "../../x"), pax("uid", "4294967295")],
];

const TAR: FuzzTarget = {
  name: "tar",
  mayThrow: ["data/damaged"],
  unit: BLOCK,
  seeds: () => [corpus("posix.tar"), corpus("gnu.tar")],
  words: [...PAX_WORDS, "ustar\0", "ustar  \0", "1\n0\n1\n"],
  mend: mendedTar,
  async run(bytes) {
    let made = 0;
    for await (const entry of readTar(inPieces(bytes))) made += await looked(entry);
    return made;
  },
};

async function looked(entry: TarEntry): Promise<number> {
  let read = 0;
  for await (const piece of entry.data) {
    read += piece.length;
    if (read >= ENOUGH) break;
  }
  if (read < ENOUGH) assert.equal(read, dataSize(entry), "an entry's data is as long as it says");
  const { path, target, type } = entry;
  if (isSafePath(path) && type !== "device") checkWritten(entry);
  return path.length + (target?.length ?? 0);
}

function dataSize({ size, holes = [] }: TarEntry): number {
  return holes.reduce((left, hole) => left - hole.size, size);
}

/** What a capture writes of it, the next night and a restore can read. */
function checkWritten(entry: TarEntry): void {
  if (entry.type === "device" || entry.type === "hardlink") return;
  const { path, type } = entry;
  const size = type === "file" ? entry.size : 0;
  const [stored, id] = [type === "file" ? dataSize(entry) : 0, "0".repeat(64)];
  const chunks = stored > 0 ? [{ pack: 0, id, size: stored }] : [];
  if (whyUnrecordable(readHead(entry, path, type, undefined)) !== undefined) return; // it is left out
  const written = { ...readHead(entry, path, type, undefined), size, chunks };
  const line = encodeEntry(written, () => 0);
  const read = decodeEntry(line.slice(0, -1), () => 0, "an entry");
  for (const key of [
    "path",
    "mode",
    "uid",
    "gid",
    "user",
    "group",
    "mtime",
    "target",
    "xattrs",
    "size",
  ] as const)
    assert.deepEqual(read[key], written[key], key);
}

/** Every block that may be a header gets its checksum. */
function mendedTar(bytes: Buffer): Buffer {
  for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    if (block.toString("latin1", 257, 262) === "ustar")
      block.write(`${headerSum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
  return bytes;
}

const PAX: FuzzTarget = {
  name: "pax",
  mayThrow: ["data/damaged"],
  seeds: () => [Buffer.concat([...PAX_WORDS]), pax("mtime", "-1.5")],
  words: PAX_WORDS,
  run(bytes) {
    const records = parsePax(bytes);
    if ([...records.keys()].every((key) => !key.includes("=") && !key.includes("\ufffd")))
      assert.deepEqual(parsePax(formatPax(records)), records);
    const time = paxTime(records, "mtime");
    if (time !== undefined) {
      const again = new Map([["mtime", Buffer.from(formatPaxTime(time))]]);
      assert.equal(paxTime(again, "mtime"), time);
    }
    return [...records].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  },
};

/** Keeps what it was told, to compare with what it holds. */
class Remembering extends FileListing {
  readonly told = new Map<string, readonly [ListedFile, string]>();

  override add(path: Buffer, target: Buffer, file: ListedFile): void {
    super.add(path, target, file);
    const name = path.toString("latin1");
    if (!this.told.has(name)) this.told.set(name, [file, target.toString("latin1")]);
  }
}

const FIND: FuzzTarget = {
  name: "find",
  mayThrow: ["host/command-failed", "source/failed"],
  seeds: () => [corpus("find")],
  words: ["f 644 0 0 5 1796033224.3937997670 -1.5000000000 9985347 65024 3 /a\0\0", FIND_FORMAT],
  async run(bytes) {
    const listing = new Remembering();
    await readFindOutput(inPieces(bytes), listing);
    const names = new Set(listing.told.keys());
    await listing.sort();
    assert.equal(listing.length, names.size);
    for (let at = 0; at < listing.length; at++) {
      const name = listing.path(at).toString("latin1");
      const [file, target] = listing.told.get(name) ?? [];
      const { inode, device, links, ...rest } = file as ListedFile;
      const { mode, uid, gid, size, mtime, ctime, kind } = rest;
      const held = [listing.mode(at), listing.uid(at), listing.gid(at), listing.size(at), listing.links(at)];
      assert.deepEqual(held, [mode, uid, gid, size, links], "numbers are held as they were listed");
      assert.deepEqual(
        [listing.mtime(at), listing.ctime(at), listing.kind(at)],
        [mtime, BigInt.asIntN(64, ctime), kind],
      );
      assert.equal(listing.inode(at), `${device}:${inode}`);
      assert.equal(listing.target(at).toString("latin1"), target);
    }
    return listing.length * 64 + bytes.length;
  },
};

const TOLD: FuzzTarget = {
  name: "stderr",
  mayThrow: [],
  seeds: () => [
    Buffer.from(
      "tar: a: file changed as we read it\ntar: b: Cannot stat: No such file or directory\nfind: 'x': Permission denied\n",
    ),
  ],
  run(bytes) {
    const { gone, changed, unread, strange } = sortedStderr(bytes.toString());
    return [...gone, ...changed, ...unread.map(({ why }) => why), ...strange].join("").length;
  },
};

export const FILES_TARGETS: readonly FuzzTarget[] = [TAR, PAX, FIND, TOLD];
