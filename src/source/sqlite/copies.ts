import { readFileSync } from "node:fs";
import type { Host, RunningCommand } from "../../host/host.ts";
import { readingPlain } from "../../host/plain-file.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";
import { releaseAfterRead } from "../../lib/release-after-read.ts";
import { unlessAborted } from "../../lib/waiting.ts";
import type { FileListing } from "../files/listing.ts";
import { closeScript, FieldReader, garbled, reasonFor } from "../script-channel.ts";
import { candidatesIn, companionsOf } from "./candidates.ts";
import { type CopiedDatabase, readAnswers, type SqliteFacts } from "./facts.ts";

const SCRIPT = readFileSync(new URL("./host-script.sh", import.meta.url), "utf8");
/** Left free on the file system of the copies. Bytes. */
const MIN_FREE = 512 * 1024 * 1024;
/** Each is a line for the host's script. More are read as files, which are looked at again afterwards. */
const MOST = 10_000;
/** Of so many the manifest has the facts: it is read whole. */
const MOST_FACTS = 200;
/** Of what is asked of a copy. Bytes. */
const MOST_ANSWERS = 256 * 1024;
const STAGED = /^\/[^\0]*\/\.drops-staging-sqlite-[A-Za-z0-9]{10}\/\d{1,6}\/copy$/;

/** A database that was in use, as one state. */
export interface DatabaseCopy {
  /** On the host, below the staging directory. */
  readonly path: string;
  readonly size: number;
  readonly facts: SqliteFacts;
}

/** A database that could not be copied as one state, and is read as it lies. */
export interface UncopiedDatabase {
  readonly position: number;
  readonly why: string;
  /** SQLite itself says so. */
  readonly isDamaged: boolean;
}

/** What is beside a database that was read as a file, after it was read. */
export interface LaterLook {
  /** Nanoseconds since 1970; undefined when the file is gone. */
  readonly ctime: bigint | undefined;
  readonly hasLog: boolean;
}

/**
 * Databases of SQLite in a listing of files. One that is in use is copied on its host by SQLite itself, in one read transaction, and
 * checked there, both as the user who owns it; the copies exist as long as this is open. One that nobody uses is a file like any other.
 */
export class SqliteCopies implements AsyncDisposable {
  readonly #host: Host;
  readonly #copies = new Map<number, DatabaseCopy>();
  readonly #companions = new Set<number>();
  readonly #uncopied: UncopiedDatabase[] = [];
  readonly #parents: readonly string[];
  #script: { readonly command: RunningCommand; readonly fields: FieldReader } | undefined;

  private constructor(host: Host, parents: readonly string[]) {
    this.#host = host;
    this.#parents = parents;
  }

  /**
   * @param parents directories that copies may be made in, the first that serves is taken
   * @throws DropsError host/command-failed, host/unreachable
   */
  static async make(
    host: Host,
    listing: FileListing,
    parents: readonly string[],
    how: Cancel,
  ): Promise<SqliteCopies> {
    const made = new SqliteCopies(host, parents);
    try {
      const candidates = candidatesIn(listing).slice(0, MOST);
      if (candidates.length > 0) await made.#copyAll(listing, candidates, how);
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The copy that is read instead of the file at a position. */
  at(position: number): DatabaseCopy | undefined {
    return this.#copies.get(position);
  }

  /** Whether the file at a position is a part of a database that was copied: the copy holds it. */
  isCompanion(position: number): boolean {
    return this.#companions.has(position);
  }

  get uncopied(): readonly UncopiedDatabase[] {
    return this.#uncopied;
  }

  /** What is known of the copies, for the manifest: of the first 200, and of those whose paths are text. */
  facts(listing: FileListing): readonly CopiedDatabase[] {
    return [...this.#copies].slice(0, MOST_FACTS).flatMap(([position, { size, facts }]) => {
      const path = listing.path(position);
      return Buffer.from(path.toString()).equals(path) ? [{ path: `/${path}`, size, ...facts }] : [];
    });
  }

  /** The bytes of a copy. Throws source/failed, before their end is seen, when they are not all of it. */
  async *read({ path, size }: DatabaseCopy, how: Cancel): AsyncGenerator<Uint8Array> {
    await using command = await this.#host.start(readingPlain(path), how);
    command.stdin.end();
    let read = 0;
    for await (const bytes of releaseAfterRead(command.stdout)) {
      read += bytes.length;
      yield bytes;
    }
    const ended = await command.ended;
    if (ended.exit === 0 && read === size) return;
    throw new DropsError(
      "source/failed",
      `its copy on ${this.#host.label} gave ${read} bytes instead of ${size}`,
    );
  }

  /** Look again at databases that were read as files; answers in their order. */
  async look(paths: readonly Buffer[], how: Cancel): Promise<readonly LaterLook[]> {
    if (paths.length === 0) return [];
    const lines = paths.map((path) => `look ${escapedPath(path)}`);
    return this.#ask(lines.join("\n"), how, async (fields) => {
      const looks: LaterLook[] = [];
      for (const _ of paths) looks.push(await readLook(fields));
      return looks;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const script = this.#script;
    this.#script = undefined;
    if (!script) return;
    if (script.command.stdin.writable) script.command.stdin.write("done\n");
    await closeScript(script.command);
  }

  /** All are asked for at once: a host far away is waited for once. */
  async #copyAll(listing: FileListing, positions: readonly number[], how: Cancel): Promise<void> {
    const lines = positions.map((position) => `copy ${escapedPath(listing.path(position))}`);
    await this.#ask(lines.join("\n"), how, async (fields) => {
      for (const position of positions) {
        const answer = await readCopied(fields);
        if (answer.kind === "failed") this.#uncopied.push({ position, ...answer });
        if (answer.kind !== "copied") continue;
        this.#copies.set(position, answer.copy);
        for (const companion of companionsOf(listing, position)) this.#companions.add(companion);
      }
    });
  }

  async #ask<Answer>(
    lines: string,
    how: Cancel,
    read: (fields: FieldReader) => Promise<Answer>,
  ): Promise<Answer> {
    const { command, fields } = await this.#running();
    try {
      command.stdin.write(`${lines}\n`);
      return await unlessAborted(read(fields), how.signal);
    } catch (error) {
      how.signal.throwIfAborted();
      throw await reasonFor(error, command, `the script for SQLite on ${this.#host.label}`);
    }
  }

  /** Not by a signal: to be aborted is to see its input end, so that it cleans up instead of being killed. */
  async #running() {
    if (this.#script) return this.#script;
    const argv = ["sh", "-c", SCRIPT, "drops-sqlite", String(MIN_FREE), "", ...this.#parents];
    const command = await this.#host.start(argv, { signal: new AbortController().signal });
    this.#script = { command, fields: new FieldReader(command.stdout, MOST_ANSWERS) };
    return this.#script;
  }
}

type Copied =
  | { readonly kind: "copied"; readonly copy: DatabaseCopy }
  | { readonly kind: "failed"; readonly why: string; readonly isDamaged: boolean }
  /** No database, or one that nobody uses. */
  | { readonly kind: "none" };

async function readCopied(fields: FieldReader): Promise<Copied> {
  const word = await fields.expect();
  if (word === "other" || word === "quiet") return { kind: "none" };
  if (word === "failed" || word === "damaged")
    return { kind: "failed", why: printable(await fields.expect()), isDamaged: word === "damaged" };
  if (word !== "copied") throw garbled("its answer is unknown");
  const [how, check, path] = [await fields.expect(), await fields.expect(), await fields.expect()];
  const size = await fields.number();
  const facts = readAnswers(await fields.expect(), { how, check });
  if (!STAGED.test(path) || facts === undefined) throw garbled("a copy is not described as it should be");
  return { kind: "copied", copy: { path, size, facts } };
}

async function readLook(fields: FieldReader): Promise<LaterLook> {
  const [, seconds, nanoseconds] = /^(\d{1,12})\.(\d{9})$/.exec(await fields.expect()) ?? [];
  const hasLog = (await fields.number()) > 0;
  const hasJournal = (await fields.expect()) === "journal";
  const ctime =
    seconds === undefined ? undefined : BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds ?? 0);
  return { ctime, hasLog: hasLog || hasJournal };
}

/** As printf %b of the host's shell reads it, on one line. */
function escapedPath(path: Buffer): string {
  const bytes = [...path].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9/._-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, "0")}`;
  });
  return `/${bytes.join("")}`;
}

function printable(text: string): string {
  return (
    text
      .replaceAll(/[\p{Cc}\p{Cf}]/gu, " ")
      .trim()
      .slice(0, 300) || "no reason was given"
  );
}
