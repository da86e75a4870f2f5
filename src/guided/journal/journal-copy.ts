import { chmod, mkdir, open, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "../../lib/errors.ts";
import { type JournalLine, type ReadLines, readLines } from "./journal-lines.ts";

/** Where the operator's copy of a run's journal lies; `state` is `$XDG_STATE_HOME/drops`. Throws a RangeError for names that are none. */
export function copyPath(
  state: string,
  { policy, run }: { readonly policy: string; readonly run: string },
): string {
  for (const name of [policy, run])
    if (!/^[A-Za-z0-9][A-Za-z0-9-]*$/.test(name)) throw new RangeError(`no name: ${name}`);
  return join(state, "restore", policy, `${run}.jsonl`);
}

/** The operator's copy of a journal. The host's is the truth: what goes wrong here is a note, never a failure. */
export class JournalCopy {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** What it holds; nothing when it is not there. */
  async read(): Promise<ReadLines> {
    try {
      return readLines(await readFile(this.path, "utf8"), this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { lines: [], notes: [] };
      return { lines: [], notes: [`${this.path} cannot be read: ${messageOf(error)}`] };
    }
  }

  /** Resolves to what went wrong. */
  async append(lines: readonly JournalLine[]): Promise<string | undefined> {
    if (lines.length === 0) return undefined;
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      await using file = await open(this.path, "a+", 0o600);
      await chmod(this.path, 0o600);
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      const start = size > 0 && last[0] !== 0x0a ? "\n" : ""; // one that was broken off gets its end
      await file.appendFile(start + lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      await file.datasync();
      return undefined;
    } catch (error) {
      return `the journal's copy on this machine cannot be written: ${messageOf(error)}`;
    }
  }
}
