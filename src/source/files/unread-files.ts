import { DropsError } from "../../lib/errors.ts";
import { shortPath } from "./few.ts";
import type { Unread } from "./stderr-lines.ts";

export const UNREAD_HINT =
  "let the user who logs in read them, or name them under `exclude`; after an I/O error look at the disk; for a SQLite database see docs/files.md";

/** So many are named. */
const NAMED = 10;

/** What of a source is there and could not be read. */
export class UnreadFiles {
  readonly #starts: ReadonlySet<string>;
  /** Sentences by path, for the first few. */
  readonly #named = new Map<string, string>();
  readonly #strange: string[] = [];
  #isStartUnread = false;
  count = 0;

  /** @param starts absolute paths that the policy names, and what they lead to */
  constructor(starts: readonly string[] = []) {
    this.#starts = new Set(starts.map((path) => Buffer.from(path.slice(1)).toString("latin1")));
  }

  /** Told of a path again, nothing changes as long as it is among the first few. */
  add({ path, why }: Pick<Unread, "path" | "why">): void {
    const key = path?.toString("latin1") ?? why;
    if (this.#named.has(key)) return;
    this.count++;
    if (path && this.#starts.has(key)) this.#isStartUnread = true;
    if (this.#named.size < NAMED) this.#named.set(key, path ? `${shortPath(path)}: ${why}` : why);
  }

  /** Words of a program that do not say what was not read. */
  addStrange(words: readonly string[]): void {
    this.#strange.push(...words);
  }

  /** What there is to say, each of a file or of the whole. */
  get sentences(): readonly string[] {
    const more = this.count - this.#named.size;
    return [...this.#named.values(), ...(more > 0 ? [`and ${more} more`] : []), ...this.#strange];
  }

  /**
   * Undefined when everything was read. source/incomplete: all but some files, which the message names. source/failed: it is not
   * known what is missing, or it is what the policy names.
   */
  failure(source: string): DropsError | undefined {
    if (this.sentences.length === 0) return undefined;
    const isKnown = this.#strange.length === 0 && !this.#isStartUnread;
    const files = this.count === 1 ? "1 file of" : `${this.count} files of`;
    const what = this.count === 0 ? "" : `${files} `;
    return new DropsError(
      isKnown ? "source/incomplete" : "source/failed",
      `${what}source ${source} could not be read: ${this.sentences.join("; ")}`,
      { hint: UNREAD_HINT },
    );
  }
}
