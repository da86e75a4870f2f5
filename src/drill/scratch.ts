import { chmod, chown, mkdir, mkdtemp, readdir, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";

const PREFIX = "drops-drill-";
/** A socket's path has room for 107 bytes, of which `/.s.PGSQL.5432` takes 14. */
const LONGEST_SOCKET_DIRECTORY = 90;
/** That mkdtemp puts at the end of a name. */
const MKDTEMP_CHARACTERS = 6;

/**
 * The directory that a drill works in: nobody else may list or read it; the sandbox's group may pass through it (0710)
 * to what is handed to it. Closing removes it, unless it is to be kept.
 */
export class Scratch implements AsyncDisposable {
  readonly path: string;
  readonly #host: Host;
  readonly #owner: { readonly uid: number; readonly gid: number };
  readonly #keep: boolean;
  readonly #elsewhere: string[] = [];

  private constructor(path: string, host: Host, owner: { uid: number; gid: number }, keep: boolean) {
    this.path = path;
    this.#host = host;
    this.#owner = owner;
    this.#keep = keep;
  }

  /**
   * @param owner of the sandbox
   * @param work where the directory is made; default: the system's place for temporary files
   */
  static async make(
    host: Host,
    owner: { readonly uid: number; readonly gid: number },
    how: { readonly work?: string | undefined; readonly keep: boolean; readonly say: (line: string) => void },
  ): Promise<Scratch> {
    const work = resolve(how.work ?? tmpdir());
    await tellLeftovers(work, how.say);
    const path = await mkdtemp(join(work, PREFIX)).catch((cause: unknown) => {
      throw new DropsError("usage/invalid", `cannot make a directory in ${work}`, {
        hint: "--work DIRECTORY, with room for everything that is restored",
        cause,
      });
    });
    const scratch = new Scratch(path, host, owner, how.keep);
    await scratch.#openTo(path);
    return scratch;
  }

  /** Throws space/low when the file system has not this many bytes left for us. */
  async requireSpace(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.path);
    if (bavail * bsize >= bytes) return;
    throw new DropsError(
      "space/low",
      `${this.path} has room for ${bavail * bsize} bytes, and the drill needs about ${bytes}`,
      { hint: "--work on a larger file system, or --only SOURCE" },
    );
  }

  /** A new directory that belongs to the sandbox, 0700. */
  async makeFor(name: string): Promise<string> {
    const path = join(this.path, name);
    await mkdir(path, { mode: 0o700 });
    await this.#give(path);
    return path;
  }

  /** A new directory of the sandbox for the sockets of one server: elsewhere when the path here is too long for one. */
  async makeForSockets(): Promise<string> {
    const here = join(this.path, "sockets-");
    const isShort = here.length + MKDTEMP_CHARACTERS <= LONGEST_SOCKET_DIRECTORY;
    const path = await mkdtemp(isShort ? here : join("/tmp", PREFIX));
    if (!isShort) this.#elsewhere.push(path);
    await this.#give(path);
    return path;
  }

  /** Give a restored tree, and the way to it, to the sandbox. What was restored is not as it was afterwards. */
  async handOver(parent: string, tree: string, how: Cancel): Promise<void> {
    const { uid, gid } = this.#owner;
    if (this.#host.user.uid === 0) {
      await this.#openTo(parent);
      await this.#host.run(["chown", "-R", "-h", `${uid}:${gid}`, "--", tree], how);
    }
    await this.#host.run(["chmod", "-R", "u+rwX", "--", tree], how);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#elsewhere) await rm(path, { recursive: true, force: true });
    if (this.#keep) return;
    await rm(this.path, { recursive: true, force: true }).catch(async () => {
      // restored directories may forbid their own owner to empty them; cleaning up is not broken off
      const how = { signal: new AbortController().signal, okExits: [0, 1] };
      await this.#host.run(["chmod", "-R", "u+rwX", "--", this.path], how);
      await rm(this.path, { recursive: true, force: true });
    });
  }

  async #give(path: string): Promise<void> {
    if (this.#host.user.uid === 0) await chown(path, this.#owner.uid, this.#owner.gid);
  }

  async #openTo(path: string): Promise<void> {
    if (this.#host.user.uid !== 0) return;
    await chown(path, 0, this.#owner.gid);
    await chmod(path, 0o710);
  }
}

/** What a drill that was killed left behind holds plain data; whether another drill still works there is not known. */
async function tellLeftovers(work: string, say: (line: string) => void): Promise<void> {
  const names = await readdir(work).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(PREFIX)).slice(0, 5)) {
    say(`${join(work, name)} is another drill's, or was left by one that was killed: then remove it`);
  }
}
