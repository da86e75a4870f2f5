import { mkdir, readdir, rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, refused } from "../lib/errors.ts";
import { ownDirectory } from "../lib/own-directory.ts";
import { syncDirectory } from "../lib/write-whole.ts";
import { BackgroundSync } from "./background-sync.ts";

const HINT = "--to with a directory that is empty or does not exist";
const OWN = "--to with a directory in which no other user can write, such as /root/restored";
const PARTIAL = /^\.drops-partial-(\d+)$/;

/**
 * A new or empty directory that is being filled. Everything is made in `partial` and moved to its name only when it is
 * whole and on disk, so that what has a name is whole. Closing it removes what is not.
 */
export class Destination implements AsyncDisposable {
  readonly path: string;
  /** `.drops-partial-PID`, this user's alone. */
  readonly partial: string;
  readonly #host: Host;
  readonly #sync: BackgroundSync;

  private constructor(path: string, partial: string, host: Host) {
    this.path = path;
    this.partial = partial;
    this.#host = host;
    this.#sync = new BackgroundSync(host, partial);
  }

  /**
   * Leftovers of a restore that was broken off are removed.
   *
   * @param host this machine
   * @throws DropsError as `ownDirectory`; safety/refused when the directory holds something else, or another restore is at work in it
   */
  static async prepare(to: string, host: Host, say: (line: string) => void): Promise<Destination> {
    const path = await ownDirectory(to, { make: 0o700, instead: OWN });
    const names = await readdir(path);
    const strange = names.filter((name) => !PARTIAL.test(name));
    if (strange.length > 0) throw notEmpty(path, strange);
    const partial = join(path, `.drops-partial-${process.pid}`);
    const destination = new Destination(path, partial, host);
    for (const name of names) {
      refuseIfAtWork(path, name);
      say(`removing what a broken restore left: ${join(path, name)}`);
      await destination.#remove(join(path, name));
    }
    await mkdir(partial, { mode: 0o700 });
    return destination;
  }

  /** Throws space/low when the file system has not this many bytes left for us. */
  async requireSpace(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.path);
    if (bavail * bsize >= bytes) return;
    throw new DropsError(
      "space/low",
      `${this.path} has ${bavail * bsize} bytes free, and the restore needs ${bytes}`,
      { hint: "use --to on a larger file system, or --only SOURCE" },
    );
  }

  /** A new directory in `partial`. */
  async makeDirectory(name: string): Promise<string> {
    const path = join(this.partial, name);
    await mkdir(path, { mode: 0o700 });
    return path;
  }

  /** A new file in `partial`. */
  async makeFile(name: string, text: string): Promise<void> {
    await writeFile(join(this.partial, name), text, { mode: 0o600, flag: "wx" });
  }

  /** So many bytes more were written: the disk begins with them while the next ones are on their way. */
  wrote(bytes: number, how: Cancel): void {
    this.#sync.wrote(bytes, how);
  }

  /** Give them their names, in this order, once all of it is on disk. */
  async publish(names: readonly string[], how: Cancel): Promise<void> {
    await this.#sync.settled();
    await this.#host.run(["sync", "-f", "--", this.partial], how);
    for (const name of names) await rename(join(this.partial, name), join(this.path, name));
    await syncDirectory(this.path);
  }

  /** Remove something from `partial`, however far it got. */
  async discard(name: string): Promise<void> {
    await this.#remove(join(this.partial, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sync.settled();
    await this.#remove(this.partial);
    await syncDirectory(this.path);
  }

  /** Restored directories may forbid their own owner to empty them. */
  async #remove(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true }).catch(async () => {
      const how = { signal: new AbortController().signal }; // cleaning up is not broken off
      await this.#host.run(["chmod", "-R", "u+rwX", "--", path], { ...how, okExits: [0, 1] });
      await rm(path, { recursive: true, force: true });
    });
  }
}

function notEmpty(path: string, names: readonly string[]): DropsError {
  const some = names.slice(0, 3).map((name) => JSON.stringify(name));
  const more = names.length > 3 ? " and more" : "";
  return refused(`${path} is not empty: it has ${some.join(", ")}${more}`, HINT);
}

function refuseIfAtWork(path: string, name: string): void {
  const pid = Number(PARTIAL.exec(name)?.[1]);
  if (pid !== process.pid && !isAlive(pid)) return;
  throw refused(
    `process ${pid} is restoring into ${path}`,
    `wait for it; if it is not drops, rm -rf ${join(path, name)}`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
