import type { CommandResult } from "../../../host/host.ts";
import { DropsError } from "../../../lib/errors.ts";
import { toolFailure, warningsIn } from "../failure.ts";
import { isFull } from "./admin.ts";
import { cleanLine, type EntryFailure, type Failures } from "./entry-failures.ts";

const MOST_SHOWN = 20;

/** A line for each entry of a dump that is not there. */
export function inWords(why: string, entries: readonly EntryFailure[]): readonly string[] {
  const lines = entries
    .slice(0, MOST_SHOWN)
    .map(
      ({ id, what, error }) =>
        `${why}: ${what.trim()}${error === "" ? "" : ` (${error})`}, entry ${id} of the dump`,
    );
  const more = entries.length - lines.length;
  return more > 0 ? [...lines, `${why}: ${more} more`] : lines;
}

/** What pg_restore warned of, in what it said with --verbose. */
export function warningsOf(said: string): readonly string[] {
  return warningsIn(linesOf(said, /^pg_restore: warning: /));
}

/** What of a failure can be mended on the server that is restored onto, so that the same again may do. */
const OF_THE_SERVER = /could not create locale|could not open extension control file|could not access file/;
const WHOLE = /^pg_restore: warning: errors ignored on restore: \d+$/m;

/** Why a dump is not loaded after all; undefined when all of its rows are. Statements are quoted nowhere: they may hold passwords. */
export function loadFailure(
  database: string,
  {
    ended,
    said,
    failures,
  }: { readonly ended: CommandResult; readonly said: string; readonly failures: Failures },
): DropsError | undefined {
  const { fatal, other } = failures;
  const [first] = fatal;
  if (first === undefined && other.length === 0 && WHOLE.test(said)) return undefined;
  if (isFull(other.join("\n"))) {
    return new DropsError("space/low", `the server's disk became full while loading ${database}`, {
      hint: "make room on the host, then drops restore --resume",
    });
  }
  if (first === undefined || other.length > 0) {
    const stderr = linesOf(said, /^pg_restore: error: /) || ended.stderr;
    return toolFailure("pg_restore", `loading the dump of ${database}`, { ...ended, stderr });
  }
  const more = fatal.length > 1 ? `; and ${fatal.length - 1} more` : "";
  const message = `the dump of ${database} cannot be loaded: ${first.what.trim()}: ${first.error}${more}`;
  if (OF_THE_SERVER.test(first.error)) {
    return new DropsError("source/failed", message, { hint: "install the missing package on the host" });
  }
  return new DropsError("format/unsupported", message, {
    hint: 'trying again does not help: load it by hand (docs/postgres.md, "What a restore leaves out"), and restore the other sources with --only',
  });
}

function linesOf(said: string, wanted: RegExp): string {
  const lines = said.split("\n").filter((line) => wanted.test(line));
  return lines.slice(-MOST_SHOWN).map(cleanLine).join("\n");
}
