import type { CommandExit } from "../../host/host.ts";

/** From here on a command may have said more than was kept of its stderr. */
const KEPT = 8000;

const GONE =
  /: (Cannot stat: |Warning: Cannot stat: )?No such file or directory$|: File removed before we read it$/;
const CHANGED =
  /: (file changed as we read it|file changed size|File shrank by \d+ bytes?; padding with zeros|socket ignored|door ignored)$|: Warning: /;
const EMPTY =
  /^$|: Exiting with failure status due to previous errors$|Error is not recoverable: exiting now$/;

/** The lines that find or tar wrote to stderr, by what they mean, without the program's name. */
export interface Told {
  /** Files that went away meanwhile: to be expected on a machine in use. */
  readonly gone: readonly string[];
  /** Files that changed while they were read. */
  readonly changed: readonly string[];
  /** Everything else: something was not read that is there. */
  readonly bad: readonly string[];
}

/** So many lines of one kind are passed on. */
export const PASSED_ON = 10;

/**
 * Only the end of stderr is kept, and thousands of files may vanish or change while a backup runs. So the first few lines of
 * either kind are passed on, of the others those that are neither, and the last line says the exit status. sed counts
 * in its hold space, a letter a line.
 */
const SCRIPT = `exec 3>&1; { "$@" 2>&1 >&3 3>&-; echo "exit $?"; } | sed -e '
/: No such file or directory$/{x;/g\\{${PASSED_ON}\\}/{x;d;};s/^/g/;x;}
/: file changed as we read it$/{G;/\\n.*c\\{${PASSED_ON}\\}/d;s/\\n.*//;x;s/$/c/;x;}' >&2 3>&-`;

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

/** When so much was said that some of it was lost, that is one of the bad: a file may be missing unsaid. */
export function toldOf(stderr: string): Told {
  const told = { gone: [] as string[], changed: [] as string[], bad: [] as string[] };
  const lines = stderr.split("\n");
  if (Buffer.byteLength(stderr) >= KEPT) {
    lines.shift(); // its beginning was lost
    told.bad.push("there was more to complain about than could be kept");
  }
  for (const line of lines) {
    if (EMPTY.test(line)) continue;
    const words = line.replace(/^(\S*\/)?(find|tar): /, "");
    if (GONE.test(line)) told.gone.push(words);
    else if (CHANGED.test(line)) told.changed.push(words);
    else told.bad.push(words);
  }
  return told;
}
