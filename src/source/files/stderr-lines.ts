import type { CommandExit } from "../../host/host.ts";

/** From here on a command may have said more than was kept of its stderr. */
const KEPT = 8000;

const GONE =
  /: (Cannot stat: |Warning: Cannot stat: )?No such file or directory$|: File removed before we read it$/;
const CHANGED =
  /: (file changed as we read it|file changed size|File shrank by \d+ bytes?; padding with zeros|socket ignored|door ignored)$|: Warning: /;
/** What find says of a file, and tar; names of any characters are quoted, so the last words are the program's own. */
const UNLISTED = /^'\/(.*)': ([A-Z][^:]*)$/;
const LOOP = /^File system loop detected; '\/(.*)' is (part of the same file system loop as .*)$/;
const UNREAD =
  /^(.*): ((?:Cannot (?:open|stat|fstat|read|readlink|readdir|opendir|savedir|seek|close): |Read error at byte \d+, while reading \d+ bytes?: )[A-Z][^:]*)$/;
const EMPTY =
  /^$|: Exiting with failure status due to previous errors$|Error is not recoverable: exiting now$/;
/** Before a line of which the beginning was left out. */
const CUT = "...";

/** Something that is there and could not be read. */
export interface Unread {
  /** Relative to `/`; undefined when it is too long to be told. */
  readonly path: Buffer | undefined;
  readonly why: string;
  /** It was read up to some point, and zeros stand for the rest. */
  readonly torn: boolean;
}

/** The lines that find or tar wrote to stderr, by what they mean, without the program's name. */
export interface StderrLines {
  /** Files that went away meanwhile: to be expected on a machine in use. */
  readonly gone: readonly string[];
  /** Files that changed while they were read. */
  readonly changed: readonly string[];
  readonly unread: readonly Unread[];
  /** Everything else: it is not known what was not read. */
  readonly strange: readonly string[];
}

/** So many lines of one kind are passed on. */
export const PASSED_ON = 10;

/**
 * Only the end of stderr is kept, and thousands of files may vanish, change or be closed to us. So the first few lines of each of these kinds
 * are passed on, the end of each, and all lines of other kinds; the last line says the exit status. sed counts in its hold space, a
 * letter a line.
 */
const SCRIPT = `exec 3>&1; { "$@" 2>&1 >&3 3>&-; echo "exit $?"; } | LC_ALL=C sed -E '
${fewOf("g", ": No such file or directory$|: File removed before we read it$")}
${fewOf("c", ": (file changed .*|File shrank .*|socket ignored|door ignored)$|: Warning: ")}
${fewOf("u", "(: Cannot [a-z]+|^[^ ]*find: .*): [A-Z][^:]*$")}' >&2 3>&-`;

function fewOf(letter: string, lines: string): string {
  return `/${lines}/{
G
/\\n(.*${letter}){${PASSED_ON}}/d
s/\\n.*//
x
s/$/${letter}/
x
s/^.*(.{190})$/${CUT}\\1/
b
}`;
}

/** The command with its stderr bounded; its end is read by `judgedExit`. */
export function judged(argv: readonly string[]): readonly string[] {
  return ["sh", "-c", SCRIPT, "sh", ...argv];
}

/** How a command that was started as `judged` ended; its exit status is undefined when even that was not said. */
export function judgedExit(ended: CommandExit): CommandExit {
  const found = /(?:^|\n)exit (\d+)$/.exec(ended.stderr);
  if (!found) return ended.exit === 0 ? { ...ended, exit: undefined } : ended;
  return { ...ended, exit: Number(found[1]), stderr: ended.stderr.slice(0, found.index) };
}

/** When so much was said that some of it was lost, that is strange: a file may be missing unsaid. */
export function sortedStderr(stderr: string): StderrLines {
  const told = {
    gone: [] as string[],
    changed: [] as string[],
    unread: [] as Unread[],
    strange: [] as string[],
  };
  const lines = stderr.split("\n");
  if (Buffer.byteLength(stderr) >= KEPT) {
    lines.shift(); // its beginning was lost
    told.strange.push("there was more to complain about than could be kept");
  }
  for (const line of lines) {
    if (EMPTY.test(line)) continue;
    const words = line.replace(/^(\S*\/)?(find|tar): /, "");
    const unread = unreadIn(words);
    if (GONE.test(line)) told.gone.push(words);
    else if (CHANGED.test(line)) told.changed.push(words);
    else if (unread) told.unread.push(unread);
    else told.strange.push(words);
  }
  return told;
}

function unreadIn(words: string): Unread | undefined {
  if (words.startsWith(CUT)) return { path: undefined, why: words, torn: false };
  const found = UNLISTED.exec(words) ?? LOOP.exec(words) ?? UNREAD.exec(words);
  if (!found) return undefined;
  const [, name = "", why = ""] = found;
  return { path: unquoted(name), why, torn: why.startsWith("Read error") };
}

/** What stands for a byte in a name that find or tar quote in the locale C. */
function unquoted(name: string): Buffer {
  const plain = name.replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8) & 0xff) : (CONTROL[code] ?? code),
  );
  return Buffer.from(plain, "latin1");
}

const CONTROL: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
};
