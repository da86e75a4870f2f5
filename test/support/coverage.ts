import { globSync, readFileSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Branch, branchesOf, type ScriptCounts, timesTaken } from "./branches.ts";

/** Figures of one room: branches that ran at least once, and all of them. */
export interface RoomCoverage {
  readonly covered: number;
  readonly total: number;
}
/** A branch that no run has taken. */
export interface Uncovered {
  /** Relative to the project. */
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  /** The line, without white space around it. */
  readonly text: string;
}

interface Counted {
  readonly source: string;
  readonly branches: readonly Branch[];
  readonly times: number[];
}

const root = new URL("../../", import.meta.url);

/** Sums up what many processes and threads did of the code of src/. Each leaves a file when it ends (NODE_V8_COVERAGE). */
export class Coverage {
  readonly #files = new Map<string, Counted>();
  /** One after the other: who takes in a directory twice at once would count it twice. */
  #taking: Promise<void> = Promise.resolve();

  /** @param patterns of files, relative to the project: only they are counted, and all of them, also when nothing loads them. */
  constructor(patterns: string | readonly string[] = "src/**/*.ts") {
    for (const file of globSync(patterns, { cwd: root }).sort()) {
      const source = readFileSync(new URL(file, root), "utf8");
      const branches = branchesOf(source);
      this.#files.set(file, { source, branches, times: branches.map(() => 0) });
    }
  }

  /** Takes in, and removes, the files of a directory that are whole. */
  takeFrom(directory: string): Promise<void> {
    this.#taking = this.#taking.then(() => this.#takeAll(directory));
    return this.#taking;
  }

  async #takeAll(directory: string): Promise<void> {
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      const written = await readFile(path, "utf8")
        .then(JSON.parse)
        .catch(() => undefined); // half written: next time
      if (written === undefined) continue;
      for (const script of written.result) this.#take(script);
      await rm(path);
    }
  }

  #take({ url, ...counts }: ScriptCounts & { readonly url: string }): void {
    if (!url.startsWith(root.href)) return;
    const counted = this.#files.get(relative(fileURLToPath(root), fileURLToPath(url)));
    if (counted === undefined) return;
    for (const [at, times] of timesTaken(counted.branches, counts).entries())
      counted.times[at] = (counted.times[at] ?? 0) + times;
  }

  /** By the first folder below src/; files that lie in none are `src`. */
  byRoom(): ReadonlyMap<string, RoomCoverage> {
    const rooms = new Map<string, RoomCoverage>();
    for (const [file, { times }] of this.#files) {
      const room = /^src\/([^/]+)\//.exec(file)?.[1] ?? "src";
      const { covered, total } = rooms.get(room) ?? { covered: 0, total: 0 };
      const ran = times.filter((count) => count > 0).length;
      rooms.set(room, { covered: covered + ran, total: total + times.length });
    }
    return rooms;
  }

  uncovered(): readonly Uncovered[] {
    return [...this.#files].flatMap(([file, { source, branches, times }]) => {
      const lines = source.split("\n");
      return branches
        .filter((_, at) => times[at] === 0)
        .map(({ line, kind }) => ({ file, line, kind, text: lines[line - 1]?.trim() ?? "" }));
    });
  }
}
