import { type FileHandle, open, unlink } from "node:fs/promises";
import { DropsError } from "../lib/errors.ts";

/**
 * Room on disk for chunks that are needed again later. Its name is removed as soon as it is open, so that nothing is left
 * behind however the process ends; only this user could read it in between.
 */
export class ScratchFile implements AsyncDisposable {
  readonly #file: FileHandle;
  #end = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<ScratchFile> {
    const file = await open(path, "wx+", 0o600);
    await unlink(path);
    return new ScratchFile(file);
  }

  /** Append; answers where the first of them begins, the others follow. Throws space/low when the disk is full. */
  async append(views: readonly Uint8Array[]): Promise<number> {
    const at = this.#end;
    const bytes = views.reduce((sum, view) => sum + view.length, 0);
    this.#end += bytes;
    let written = 0;
    for (let from = 0; from < views.length; from += 512) {
      const some = views.slice(from, from + 512); // the system takes 1024 at once
      const expected = some.reduce((sum, view) => sum + view.length, 0);
      const { bytesWritten } = await this.#file.writev(some, at + written).catch(outOfSpace);
      if (bytesWritten !== expected) throw lowSpace();
      written += bytesWritten;
    }
    return at;
  }

  async read(at: number, size: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(size);
    const { bytesRead } = await this.#file.read(bytes, 0, size, at);
    if (bytesRead !== size) throw new Error(`the scratch file is shorter than what was written to it`);
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

function outOfSpace(error: NodeJS.ErrnoException): never {
  if (error.code === "ENOSPC" || error.code === "EDQUOT") throw lowSpace(error);
  throw error;
}

function lowSpace(cause?: unknown): DropsError {
  return new DropsError("space/low", "the disk is full: no space for chunks that are needed later", {
    hint: "restore to a larger file system",
    cause,
  });
}
