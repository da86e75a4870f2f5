import { commandFailed } from "../../host/expect-success.ts";
import type { CommandExit, Host, RunningCommand } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError, isFailure } from "../../lib/errors.ts";
import { releaseAfterRead } from "../../lib/release-after-read.ts";
import { within } from "../../lib/waiting.ts";
import { PLAIN } from "./gnu-tools.ts";
import { judged, judgedExit, type StderrLines, sortedStderr } from "./stderr-lines.ts";
import { readTar, type TarEntry } from "./tar-stream.ts";

/**
 * Names come from standard input as they are asked for. `--hard-dereference`: the listing knows what is linked, and
 * asks for one name of each inode alone.
 */
const TAR = [
  "tar",
  "--create",
  "--file=-",
  "--format=posix",
  "--sparse",
  "--xattrs",
  "--xattrs-include=*",
  "--hard-dereference",
  "--no-recursion",
  "--directory=/",
  "--blocking-factor=20",
  "--null",
  "--verbatim-files-from",
  "--files-from=-",
];
/** A record is 20 blocks, and no entry is shorter than one: so many entries push out whatever stood before them. */
const PUSHERS = 20;
/** How long a tar whose output ended may take to say why. */
const PATIENCE_MS = 2000;
const SLASH = 0x2f;

/** One running tar: ask for files, then open them in the same order. */
export class TarSession implements AsyncDisposable {
  readonly #command: RunningCommand;
  readonly #entries: AsyncGenerator<TarEntry>;
  readonly #what: string;
  #asked: Buffer[] = [];
  #waiting: TarEntry | undefined;
  /** How many files were asked for, opened, and came out or were passed over for certain. */
  #sent = 0;
  #opened = 0;
  #answered = 0;
  /** For each push that tar has not come to: how many files were asked for before it. */
  readonly #pushes: number[] = [];
  #pushers = 0;
  #over = false;

  private constructor(command: RunningCommand, what: string) {
    this.#command = command;
    this.#what = what;
    this.#entries = readTar(releaseAfterRead(command.stdout));
  }

  static async start(host: Host, source: string, how: Cancel): Promise<TarSession> {
    const command = await host.start(judged(TAR), { ...how, env: PLAIN });
    return new TarSession(command, `reading the files of ${source} on ${host.label}`);
  }

  /** Ask for a file by its path relative to `/`. It need not come before `push` or `end`. */
  ask(path: Buffer): void {
    // a name that is `.` to tar would be taken for a pusher; no path of a listing is
    this.#asked.push(Buffer.from(path));
  }

  /** Make tar write out all that was asked for, though it does not know yet what comes next. */
  push(): void {
    if (this.#asked.length === 0) return;
    this.#send();
    this.#pushes.push(this.#sent);
    this.#command.stdin.write(".\0".repeat(PUSHERS));
  }

  /** Nothing more will be asked for. */
  end(): void {
    this.#send();
    this.#command.stdin.end();
  }

  /**
   * The file, or undefined when tar passed it over: files are opened in the order in which they were asked for, each once.
   * Its content must be read before the next call.
   */
  async open(path: Buffer): Promise<TarEntry | undefined> {
    const number = this.#opened++;
    // tar names what it passes over on stderr alone: when it came to a push, nothing that was asked for before is to come
    while (this.#waiting === undefined && this.#answered <= number && !this.#over) await this.#next();
    const entry = this.#waiting;
    if (entry === undefined || !isPath(entry.path, path)) return undefined;
    this.#waiting = undefined;
    return entry;
  }

  /**
   * Wait for its end and hand over what it complained about, without the files that it did not find: those it passed over.
   * `isSmooth` when it says that it read all it was asked for. Throws host/command-failed or source/failed when it broke off.
   */
  async finish(): Promise<StderrLines & { readonly isSmooth: boolean }> {
    this.end();
    while (!this.#over) await this.#next();
    const ended = await this.#ended();
    if (ended.exit === undefined || ended.exit > 2) throw commandFailed(this.#what, ended);
    return { ...sortedStderr(ended.stderr), isSmooth: ended.exit === 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#command[Symbol.asyncDispose]();
  }

  #send(): void {
    const names = this.#asked.flatMap((path) => [path, Buffer.alloc(1)]);
    this.#sent += this.#asked.length;
    this.#asked = [];
    if (names.length > 0) this.#command.stdin.write(Buffer.concat(names));
  }

  /** Take the next entry in: a file that waits to be opened, or one of those that push. */
  async #next(): Promise<void> {
    const next = await this.#pull();
    if (next.done) this.#over = true;
    else if (!isPusher(next.value)) this.#waiting = next.value;
    else if (this.#pushers++ % PUSHERS === 0) this.#answered = this.#pushes.shift() ?? this.#answered;
  }

  /** A tar that broke off says why on stderr, which is worth more than where its output ended. */
  async #pull(): Promise<IteratorResult<TarEntry, unknown>> {
    try {
      return await this.#entries.next();
    } catch (error) {
      await this.explain(error);
      throw error;
    }
  }

  /** When `error` is only that tar's output broke off, throw why it did: host/command-failed or source/failed. */
  async explain(error: unknown): Promise<void> {
    if (!isFailure(error, "data/damaged")) return;
    this.#command.stdin.end();
    const ended = await within(PATIENCE_MS, this.#ended());
    if (ended && ended.exit !== 0) throw commandFailed(this.#what, ended);
    throw new DropsError("source/failed", `${this.#what} ended too early: ${error.message}`, {
      cause: error,
    });
  }

  async #ended(): Promise<CommandExit> {
    return judgedExit(await this.#command.ended);
  }
}

function isPath(found: Buffer, wanted: Buffer): boolean {
  const end = found[found.length - 1] === SLASH ? found.length - 1 : found.length; // tar ends directories so
  return end === wanted.length && found.compare(wanted, 0, wanted.length, 0, end) === 0;
}

function isPusher({ path, type }: TarEntry): boolean {
  return type === "dir" && (path.equals(Buffer.from("./")) || path.equals(Buffer.from(".")));
}
