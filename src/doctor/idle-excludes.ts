import type { Host } from "../host/host.ts";
import { ANY_EXIT } from "../host/run-to-end.ts";
import type { Cancel } from "../lib/cancel.ts";
import { someOf } from "../lib/words.ts";
import type { FilesPolicy } from "../policy/schema.ts";
import { excludesAsCaptured } from "../source/excludes.ts";
import { type FoundFiles, findPattern } from "../source/files/find.ts";
import { PLAIN } from "../source/files/gnu-tools.ts";
import { tidy } from "../source/scope.ts";
import { type Line, ok, warn } from "./types.ts";

/** Seconds that looking may take; when it takes longer, nothing is said. */
const LOOKING = 60;
/** Numbers of patterns that match, each once, and `end` when find was not broken off. */
const SCRIPT = `
limit=$1
shift
{ timeout "$limit" find "$@" 2>/dev/null; [ "$?" -lt 124 ] && echo end; } | sort -u
`;
const FIX = "correct it, or take it out: what it was to leave out is backed up";

/**
 * Patterns of `exclude` that match nothing of what the source reads: a typo backs a cache up, or a database twice. A path that is
 * not there is a warning. A pattern with `*` or `?` may wait for what comes: it is only named, and not where others match beside it.
 */
export async function idleExcludes(
  host: Host,
  source: FilesPolicy,
  { resolved, leadsTo }: Pick<FoundFiles, "resolved" | "leadsTo">,
  how: Cancel,
): Promise<Line[]> {
  if (source.exclude.length === 0 || resolved.paths.length === 0) return [];
  const paths = source.paths.map(tidy);
  const patterns = source.exclude.map((pattern) => ({
    pattern,
    names: excludesAsCaptured({ paths, exclude: [pattern] }, (path) => leadsTo[path] ?? path),
  }));
  const matched = await matching(host, resolved, patterns, how);
  if (matched === undefined) return [];
  const busy = new Set([...matched].map((at) => directoryOf(source.exclude[at] ?? "")));
  const idle = patterns.filter(
    ({ pattern }, at) =>
      !matched.has(at) && !(pattern.startsWith("/") && isGlob(pattern) && busy.has(directoryOf(pattern))),
  );
  const inWords = (some: typeof idle) =>
    someOf(
      some.map(({ names }) => names.join(", which is ")),
      { between: "; " },
    );
  const [globs, exact] = [
    idle.filter(({ pattern }) => isGlob(pattern)),
    idle.filter(({ pattern }) => !isGlob(pattern)),
  ];
  const said = `${source.name}: in exclude, and matches nothing that is read`;
  return [
    ...(exact.length > 0 ? [warn(`${said}: ${inWords(exact)}`, FIX)] : []),
    ...(globs.length > 0 ? [ok(`${said} today: ${inWords(globs)}`)] : []),
  ];
}

/** Indices of the patterns that match something, as the capture meets it: below what one leaves out, no other is asked. */
async function matching(
  host: Host,
  { paths, one_file_system }: FilesPolicy,
  patterns: readonly { readonly names: readonly string[] }[],
  how: Cancel,
): Promise<ReadonlySet<number> | undefined> {
  const tests = patterns.map(({ names }) =>
    names.flatMap((name) => ["-o", "-path", findPattern(name)]).slice(1),
  );
  const told = tests.flatMap((test, at) => ["(", ...test, ")", "-printf", `${at}\\n`, ","]);
  const any = tests.flatMap((test) => ["-o", ...test]).slice(1);
  const expression = [...(one_file_system ? ["-xdev"] : []), ...told, "(", ...any, ")", "-prune"];
  const argv = ["sh", "-c", SCRIPT, "drops-doctor", String(LOOKING), "-P", ...paths, ...expression];
  const { stdout } = await host.run(argv, { ...how, env: PLAIN, okExits: ANY_EXIT });
  const lines = stdout.toString().split("\n");
  return lines.includes("end") ? new Set(lines.filter((line) => /^\d+$/.test(line)).map(Number)) : undefined;
}

function isGlob(pattern: string): boolean {
  return /[*?]/.test(pattern);
}

/** Up to the last slash before the first wildcard. */
function directoryOf(pattern: string): string {
  return pattern.replace(/[*?].*$/s, "").replace(/[^/]*$/, "");
}
