import { DropsError } from "../lib/errors.ts";
import { type EntryHead, isSafePath, MAX_PATH, type ManifestEntry } from "./entry.ts";
import { MAX_SAME } from "./entry-line.ts";
import { contentSize, piecesOf } from "./holes.ts";

/** Chunks and holes: with a MiB of attributes they fit into a line. */
const MAX_PIECES = 1_500_000;
/** More digits than a reader takes. */
const MAX_NANOSECONDS = 10n ** 28n;

/** Throws source/failed when a reader of the manifest would refuse the entry: it must not be written. */
export function requireRecordable(entry: ManifestEntry): void {
  const why = whyUnrecordable(entry) ?? whyContentIsWrong(entry);
  if (why === undefined) return;
  throw new DropsError(
    "source/failed",
    `${JSON.stringify(entry.path.toString())} cannot be recorded: ${why}`,
  );
}

/** Why a reader would refuse this entry, as the end of a sentence about it; undefined when it would not. */
export function whyUnrecordable(entry: EntryHead): string | undefined {
  const { path, type, mtime, same, target, xattrs } = entry;
  if (path.length > MAX_PATH) return `its path is longer than ${MAX_PATH} bytes`;
  if (!isSafePath(path)) return "its path leaves its directory";
  if (!isOwner(entry)) return "its mode or owner is out of range";
  if (mtime >= MAX_NANOSECONDS || mtime <= -MAX_NANOSECONDS) return "its time is out of range";
  if (same !== undefined && same.length > MAX_SAME) return "its identity is too long";
  if (type === "hardlink" && !(target && isSafePath(target))) return "it links outside of its source";
  if (xattrs !== undefined && Object.hasOwn(xattrs, "__proto__")) return "it has an attribute without a name";
  return undefined;
}

function isOwner({ mode, uid, gid }: EntryHead): boolean {
  return [mode, uid, gid].every(isWhole) && mode <= 0o7777;
}

function whyContentIsWrong(entry: ManifestEntry): string | undefined {
  const { type, size, chunks, holes } = entry;
  if (!isWhole(size)) return "its size is out of range";
  if (chunks.length + (holes?.length ?? 0) > MAX_PIECES) return `it has more than ${MAX_PIECES} chunks`;
  const total = type === "file" ? size : 0;
  if (contentSize(entry) !== total) return "its chunks do not add up to its size";
  for (const { at, hole } of holes === undefined ? [] : piecesOf(entry))
    if (hole && (hole.offset !== at || hole.size <= 0)) return "its holes lie in its chunks";
  return undefined;
}

function isWhole(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0;
}
