import * as z from "zod";
import { DropsError } from "../lib/errors.ts";
import { checkShape, parseCanonical } from "./canonical-json.ts";
import { type ChunkRef, type Hole, isSafePath, type ManifestEntry } from "./entry.ts";
import { contentSize, piecesOf } from "./holes.ts";

/** A line of a manifest is never longer than this. Bytes. */
export const MAX_LINE = 128 * 1024 * 1024;
export const MAX_SAME = 200;

/** The nanoseconds of the last second that a file system can name, 2^63, have 28 digits. */
const Nanoseconds = z.string().regex(/^-?\d{1,28}$/);
const Digits = z.string().regex(/^-?\d{1,20}$/);
const Base64 = z.base64();
const Chunk = z.tuple([z.int().nonnegative(), z.string().regex(/^[0-9a-f]{64}$/), z.int().positive()]);
/** So many bytes that are in no chunk. */
const Gap = z.tuple([z.int().positive()]);
type Piece = z.infer<typeof Chunk> | z.infer<typeof Gap>;
const Line = z.strictObject({
  path: z.string().optional(),
  path_b64: Base64.optional(),
  type: z.enum(["file", "dir", "symlink", "hardlink", "fifo"]),
  mode: z.string().regex(/^[0-7]{4}$/),
  uid: z.int().nonnegative(),
  gid: z.int().nonnegative(),
  user: z.string().optional(),
  group: z.string().optional(),
  mtime: Nanoseconds,
  size: Digits,
  same: z.string().max(MAX_SAME).optional(),
  sparse: z.literal(true).optional(),
  target: z.string().optional(),
  target_b64: Base64.optional(),
  xattrs: z.record(z.string(), Base64).optional(),
  chunks: z.array(z.union([Chunk, Gap])).optional(),
});

/**
 * One entry as a line of a manifest, newline included. Paths that are not clean UTF-8 stand in base64 beside the name
 * with `_b64`; 64-bit numbers are strings, since jq rounds them. Whoever makes entries asks `requireRecordable` before.
 *
 * @param listIndex from the run's pack number to the index in this manifest's list
 */
export function encodeEntry(entry: ManifestEntry, listIndex: (pack: number) => number): string {
  const line: z.infer<typeof Line> = {
    ...bytesField("path", entry.path),
    type: entry.type,
    mode: entry.mode.toString(8).padStart(4, "0"),
    uid: entry.uid,
    gid: entry.gid,
    ...(entry.user === undefined ? {} : { user: entry.user }),
    ...(entry.group === undefined ? {} : { group: entry.group }),
    mtime: entry.mtime.toString(),
    size: entry.size.toString(),
    ...(entry.same === undefined ? {} : { same: entry.same }),
    ...(entry.sparse ? { sparse: true as const } : {}),
    ...(entry.target === undefined ? {} : bytesField("target", entry.target)),
    ...(entry.xattrs === undefined ? {} : { xattrs: encodeXattrs(entry.xattrs) }),
    ...(entry.type === "file" ? { chunks: encodePieces(entry, listIndex) } : {}),
  };
  return `${JSON.stringify(line)}\n`;
}

/**
 * The entry in a line (without its newline).
 *
 * @param packNumber from the index in the manifest's list to the reader's pack number; undefined when out of range
 * @throws DropsError data/damaged: malformed, unsafe path, chunks that do not add up to the size
 */
export function decodeEntry(
  text: string,
  packNumber: (index: number) => number | undefined,
  what: string,
): ManifestEntry {
  const line = checkShape(parseCanonical(text, 0, what), Line, what);
  const path = bytesOf(line.path, line.path_b64, what);
  if (!path || !isSafePath(path))
    throw new DropsError("data/damaged", `${what} has a path that leaves its directory`);
  const target = bytesOf(line.target, line.target_b64, what);
  const content = decodePieces(line.chunks ?? [], packNumber, what);
  const size = Number(line.size);
  if (contentSize(content) !== (line.type === "file" ? size : 0))
    throw new DropsError("data/damaged", `${what} has chunks that do not add up to its size`);
  if (line.type === "hardlink" && !(target && isSafePath(target)))
    throw new DropsError("data/damaged", `${what} links outside its source`);
  return {
    path,
    type: line.type,
    mode: Number.parseInt(line.mode, 8),
    uid: line.uid,
    gid: line.gid,
    user: line.user,
    group: line.group,
    mtime: BigInt(line.mtime),
    size,
    same: line.same,
    sparse: line.sparse,
    target,
    xattrs: line.xattrs && decodeXattrs(line.xattrs),
    ...content,
  };
}

function encodePieces(entry: ManifestEntry, listIndex: (pack: number) => number): Piece[] {
  const encoded = ({ pack, id, size }: ChunkRef): Piece => [listIndex(pack), id, size];
  if (entry.holes === undefined) return entry.chunks.map(encoded);
  return Array.from(piecesOf(entry), ({ chunk, hole }) => (chunk ? encoded(chunk) : [hole.size]));
}

function decodePieces(
  pieces: readonly Piece[],
  packNumber: (index: number) => number | undefined,
  what: string,
): Pick<ManifestEntry, "chunks" | "holes"> {
  const chunks: ChunkRef[] = [];
  const holes: Hole[] = [];
  let at = 0;
  for (const piece of pieces) {
    const size = piece.length === 1 ? piece[0] : piece[2];
    if (piece.length === 1) {
      holes.push({ offset: at, size });
    } else {
      const pack = packNumber(piece[0]);
      if (pack === undefined)
        throw new DropsError("data/damaged", `${what} names pack ${piece[0]}, which its list does not have`);
      chunks.push({ pack, id: piece[1], size });
    }
    at += size;
  }
  return holes.length === 0 ? { chunks } : { holes, chunks };
}

function bytesField<Name extends string>(
  name: Name,
  bytes: Buffer,
): { [Key in Name | `${Name}_b64`]?: string } {
  const text = bytes.toString();
  const clean = Buffer.from(text).equals(bytes);
  return { [clean ? name : `${name}_b64`]: clean ? text : bytes.toString("base64") } as {
    [Key in Name | `${Name}_b64`]?: string;
  };
}

function bytesOf(text: string | undefined, base64: string | undefined, what: string): Buffer | undefined {
  if (text !== undefined && base64 !== undefined)
    throw new DropsError("data/damaged", `${what} names one thing twice`);
  if (text !== undefined) return Buffer.from(text);
  return base64 === undefined ? undefined : Buffer.from(base64, "base64");
}

function encodeXattrs(xattrs: Readonly<Record<string, Buffer>>): Record<string, string> {
  return Object.fromEntries(Object.entries(xattrs).map(([name, value]) => [name, value.toString("base64")]));
}

function decodeXattrs(xattrs: Readonly<Record<string, string>>): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value, "base64")]),
  );
}
