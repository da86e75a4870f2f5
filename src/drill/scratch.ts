import { chmod, chown, link, mkdir, mkdtemp, readdir, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import { ownDirectory } from "../lib/own-directory.ts";

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
   * @throws DropsError usage/invalid when nothing can be made there; safety/refused when another user could swap it
   */
  static async make(
    host: Host,
    owner: { readonly uid: number; readonly gid: number },
    how: { readonly work?: string | undefined; readonly keep: boolean; readonly say: (line: string) => void },
  ): Promise<Scratch> {
    const instead = "--work DIRECTORY, with room for everything that is restored";
    const work = await ownDirectory(how.work ?? tmpdir(), { instead });
    await tellLeftovers(work, how.say);
    const path = await mkdtemp(join(work, PREFIX)).catch((cause: unknown) => {
      throw new DropsError("usage/invalid", `cannot make a directory in ${work}`, { hint: instead, cause });
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
      `${this.path} has ${bavail * bsize} bytes free, and the drill needs about ${bytes}`,
      { hint: "use --work on a larger file system, or --only SOURCE" },
    );
  }

  /** A new directory that belongs to the sandbox, 0700. */
  async makeFor(name: string): Promise<string> {
    const path = join(this.path, name);
    await mkdir(path, { mode: 0o700 });
    await this.#give(path);
    return path;
  }

  /** A new directory of the sandbox, 0700, with one file in it: another name of this restored one, which is the sandbox's then. */
  async lend(name: string, file: string): Promise<string> {
    const directory = join(this.path, name);
    await mkdir(directory, { mode: 0o700 });
    const path = join(directory, basename(file));
    await link(file, path);
    await this.#give(path); // before the sandbox can enter the directory
    await this.#give(directory);
    return directory;
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

  /**
   * Give a restored tree to the sandbox, and then the way to it, so that nothing of the sandbox can swap what is in it
   * meanwhile. What was restored is not as it was afterwards.
   */
  async handOver(parent: string, tree: string, how: Cancel): Promise<void> {
    const { uid, gid } = this.#owner;
    await this.#host.run(["chmod", "-R", "u+rwX", "--", tree], how);
    if (this.#host.user.uid !== 0) return;
    await this.#host.run(["chown", "-R", "-h", `${uid}:${gid}`, "--", tree], how);
    await this.#openTo(parent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#elsewhere) await this.#remove(path);
    if (!this.#keep) await this.#remove(this.path);
  }

  /** By rm, which goes through directory handles: a process of the sandbox that is left could swap names under Node's. */
  async #remove(path: string): Promise<void> {
    const how = { signal: new AbortController().signal }; // cleaning up is not broken off
    const removed = await this.#host.run(["rm", "-rf", "--", path], { ...how, okExits: [0, 1] });
    if (removed.exit === 0) return;
    // restored directories may forbid their own owner to empty them; root needs no permission
    if (this.#host.user.uid !== 0)
      await this.#host.run(["chmod", "-R", "u+rwX", "--", path], { ...how, okExits: [0, 1] });
    await this.#host.run(["rm", "-rf", "--", path], how);
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
