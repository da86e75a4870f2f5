import type { Host, RunningCommand } from "../../../host/host.ts";
import type { Cancel } from "../../../lib/cancel.ts";
import { DropsError } from "../../../lib/errors.ts";
import { releaseAfterRead } from "../../../lib/release-after-read.ts";
import { readTar } from "../../files/tar-stream.ts";
import type { StagedEntry } from "./staged-entries.ts";

type TarFile = ReturnType<typeof readTar> extends AsyncIterable<infer Item> ? Item : never;

/** Files of the staging directory through one tar on the host, in the order they were asked for. */
export class StageStream implements AsyncDisposable {
  readonly #how: Cancel & { readonly host: Host; readonly stage: string };
  #running: { readonly command: RunningCommand; readonly files: AsyncIterator<TarFile> } | undefined;

  constructor(how: Cancel & { readonly host: Host; readonly stage: string }) {
    this.#how = how;
  }

  get isOpen(): boolean {
    return this.#running !== undefined;
  }

  async open(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const from = ["-C", `${this.#how.stage}/s`, "--null", "-T", "-"];
    const argv = ["tar", "--format=posix", "--no-recursion", ...from, "-cf", "-"];
    const command = await this.#how.host.start(argv, { signal: this.#how.signal, env: { LC_ALL: "C" } });
    command.stdin.end(names.map((name) => `${name}\0`).join(""));
    this.#running = { command, files: readTar(releaseAfterRead(command.stdout))[Symbol.asyncIterator]() };
  }

  /** The content of the next file, which must be `wanted` in name and size. Throws source/failed when it is not. */
  async next(wanted: StagedEntry): Promise<AsyncIterable<Uint8Array>> {
    const file = await this.#running?.files.next();
    if (file === undefined || file.done === true) {
      await this.finish();
      throw new DropsError("source/failed", `reading ${wanted.name} from staging: the stream ended early`);
    }
    const { path, size, data } = file.value;
    if (!path.equals(wanted.head.path) || Number(size) !== wanted.size) {
      const got = `${path.toString()} of ${size} bytes`;
      throw new DropsError(
        "source/failed",
        `staging gave ${got} instead of ${wanted.name} of ${wanted.size} bytes`,
      );
    }
    return data;
  }

  /** All has been read: a stream that ended is not a command that succeeded. Throws source/failed when tar did not. */
  async finish(): Promise<void> {
    if (this.#running === undefined) return;
    const { command, files } = this.#running;
    if ((await files.next()).done !== true) {
      throw new DropsError("source/failed", "tar on the host sent more files than asked for");
    }
    const { exit, stderr } = await command.ended;
    if (exit !== 0 && !(exit === 1 && isHarmless(stderr))) {
      throw new DropsError(
        "source/failed",
        `tar on the host failed with exit status ${exit}: ${stderr.slice(-300)}`,
      );
    }
    await this.close();
  }

  async close(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.files.return?.(); // tar shall notice that nobody reads
    await running?.command[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** When the database drops its own name of a table, the link count moves: tar minds, the content is the same. */
function isHarmless(stderr: string): boolean {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.every((line) => line.includes("file changed as we read it"));
}
