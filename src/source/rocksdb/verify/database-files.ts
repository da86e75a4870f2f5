import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expectSuccess } from "../../../host/expect-success.ts";
import type { Host } from "../../../host/host.ts";
import { readingPlain } from "../../../host/plain-file.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";

/** A database directory to read single files from, wherever it lies. */
export interface DatabaseFiles {
  /** Regular files by name, with their size in bytes. */
  list(how: Cancel): Promise<ReadonlyMap<string, number>>;
  /** A file from its beginning to its end. `name` is one of those listed. */
  read(name: string, how: Cancel): AsyncIterable<Uint8Array>;
}

const MAX_LISTING = 64 * 1024 * 1024;
const PIECE = 1024 * 1024;

/** On this machine. */
export function localDatabase(directory: string): DatabaseFiles {
  return {
    async list() {
      const sizes = new Map<string, number>();
      for (const item of await readdir(directory, { withFileTypes: true })) {
        if (item.isFile()) sizes.set(item.name, (await stat(join(directory, item.name))).size);
      }
      return sizes;
    },
    read: (name, { signal }) => createReadStream(join(directory, name), { highWaterMark: PIECE, signal }),
  };
}

/** On a host, where nothing but find and dd is needed. */
export function hostDatabase(host: Host, directory: string): DatabaseFiles {
  return {
    async list(how) {
      const argv = ["find", "-H", directory, "-mindepth", "1", "-maxdepth", "1"];
      const print = ["-type", "f", "-printf", "%s %f\\0"];
      const { stdout } = await host.run([...argv, ...print], { ...how, maxStdout: MAX_LISTING });
      const items = stdout.toString("latin1").split("\0").slice(0, -1);
      return new Map(items.map((item) => sizeOf(item, host)));
    },
    async *read(name, how) {
      await using command = await host.start(readingPlain(join(directory, name)), how);
      yield* command.stdout as AsyncIterable<Uint8Array>;
      await expectSuccess(command, `reading ${name} on ${host.label}`);
    },
  };
}

function sizeOf(item: string, host: Host): readonly [name: string, size: number] {
  const [, size, name] = /^(\d{1,15}) ([\s\S]+)$/.exec(item) ?? [];
  if (name !== undefined) return [name, Number(size)];
  throw new DropsError(
    "host/command-failed",
    `find on ${host.label} printed something that is not a listing`,
  );
}

/** A whole file in memory. Throws data/damaged when it has more than `max` bytes. */
export async function readSmallFile(
  files: DatabaseFiles,
  name: string,
  max: number,
  how: Cancel,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of files.read(name, how)) {
    size += piece.length;
    if (size > max) throw new DropsError("data/damaged", `${name} has more than ${max} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}
