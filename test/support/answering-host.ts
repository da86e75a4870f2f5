import { PassThrough, Readable } from "node:stream";
import type { CommandExit, Host } from "../../src/host/host.ts";

/** The same bytes as a pipe might bring them: the first byte decides in what pieces. */
export async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  const size = [bytes.length + 1, 65_536, 1000, 17][(bytes[0] ?? 0) % 4] as number;
  const least = Math.max(size, Math.ceil(bytes.length / 2000));
  for (let at = 0; at < bytes.length; at += least) yield bytes.subarray(at, at + least);
}

/** A host that answers to every command with these bytes. */
export function answeringHost(stdout: Buffer, how: Partial<CommandExit> = {}): Host {
  const ended: CommandExit = { exit: 0, signal: undefined, stderr: "", ...how };
  return {
    label: "a host",
    user: { name: "root", uid: 0 },
    run: async () => ({ ...ended, stdout }),
    start: async () => ({
      stdin: new PassThrough().resume(),
      stdout: Readable.from(inPieces(stdout)),
      ended: Promise.resolve(ended),
      async [Symbol.asyncDispose]() {},
    }),
    async [Symbol.asyncDispose]() {},
  };
}
