import { DropsError } from "../../lib/errors.ts";

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

/** Throws source/failed when so much was said that some of it was lost, since a file may then be missing unsaid. */
export function toldOf(stderr: string, what: string): Told {
  if (Buffer.byteLength(stderr) >= KEPT) {
    throw new DropsError("source/failed", `${what} had more to complain about than could be kept`, {
      hint: "exclude what changes all the time, or what cannot be read",
      cause: new Error(stderr.slice(-600)),
    });
  }
  const told = { gone: [] as string[], changed: [] as string[], bad: [] as string[] };
  for (const line of stderr.split("\n")) {
    if (EMPTY.test(line)) continue;
    const words = line.replace(/^(\S*\/)?(find|tar): /, "");
    if (GONE.test(line)) told.gone.push(words);
    else if (CHANGED.test(line)) told.changed.push(words);
    else told.bad.push(words);
  }
  return told;
}
