/** https://sqlite.org/fileformat.html, "Magic Header String". */
const MAGIC = Buffer.from("SQLite format 3\0");

/** Finds out which files are databases of SQLite while they are read as plain files, whatever they are called. */
export class SqliteWatch {
  readonly #found: number[] = [];

  /** Positions of those that were found. */
  get found(): readonly number[] {
    return this.#found;
  }

  /** `data` as it is; its beginning is looked at. */
  async *over(position: number, data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let seen = 0;
    for await (const view of data) {
      if (seen < MAGIC.length) {
        const wanted = MAGIC.subarray(seen, seen + view.length);
        const isLike = wanted.equals(view.subarray(0, wanted.length));
        seen = isLike ? seen + wanted.length : Number.POSITIVE_INFINITY;
        if (seen === MAGIC.length) this.#found.push(position);
      }
      yield view;
    }
  }
}

/** Why the file in the snapshot may not be one state of the database. */
export function tornWords(why: string | undefined): string {
  const copied = why === undefined ? "" : `, and could not be copied as one state: ${why}`;
  return `a SQLite database that was written to while it was read${copied}`;
}

export function damagedWords(said: string): string {
  return `a SQLite database that is damaged on the server: ${said.replaceAll("\n", "; ").slice(0, 500)}`;
}
