import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { MOST_TEXT } from "./limits.ts";

/**
 * All of a file, of a device or of a pipe, if that is no more than `most` bytes; undefined when there is more, of which no
 * more is read. What is looked at is what arrives, since a size may be wrong or say nothing.
 *
 * @throws the system's error
 */
export async function readAtMost(from: string | FileHandle, most: number): Promise<Buffer | undefined> {
  if (typeof from === "string") {
    await using handle = await open(from, "r");
    return await readAtMost(handle, most);
  }
  const pieces: Buffer[] = [];
  let length = 0;
  for (;;) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE, most + 1 - length));
    const { bytesRead } = await from.read(piece, 0, piece.length, null);
    if (bytesRead === 0) return Buffer.concat(pieces, length);
    length += bytesRead;
    if (length > most) return undefined;
    pieces.push(piece.subarray(0, bytesRead));
  }
}

const PIECE = 64 * 1024;

/** A text that people keep. Throws the system's error, or one that says that it is too large. */
export async function readText(path: string): Promise<string> {
  const bytes = await readAtMost(path, MOST_TEXT);
  if (bytes === undefined) throw new Error("it is too large");
  return bytes.toString("utf8");
}
