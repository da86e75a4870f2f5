/** Where commands may be on hosts whose SSH server gives a short PATH, NixOS above all. */
const MORE_PATH =
  "/run/current-system/sw/bin:/run/wrappers/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Not `%` at the beginning, where fish reads `%self`. */
const PLAIN = /^[A-Za-z0-9_@+:,./-][A-Za-z0-9_@%+:,./-]*$/;

/**
 * One word that a POSIX shell or fish reads back as exactly `text`. The only place where shell words are made.
 * Throws a RangeError for a NUL, which no argument can hold.
 */
export function quote(text: string): string {
  if (text.includes("\0")) throw new RangeError("an argument cannot hold a NUL");
  if (PLAIN.test(text)) return text;
  return `'${text.replaceAll(/['\\]/g, "'\\$&'")}'`; // fish reads a backslash within quotes, POSIX shells do not
}

/**
 * A line for the login shell, POSIX or fish, that runs `argv` in `/` with a PATH that is long enough. `sh`
 * first says its process id on stderr (see `PidLine`) and is then replaced, so that this is the command's; a missing program
 * is exit status 127.
 */
export function shellLine(argv: readonly string[]): string {
  return `exec /bin/sh -c '${SCRIPT}' sh ${argv.map(quote).join(" ")}`;
}

/** What signals a command by the id that it said: its process group, which sshd made it the head of. */
export function killArgv(signal: "TERM" | "KILL", pid: number): readonly string[] {
  return ["sh", "-c", 'kill -s "$1" -- "-$2" || kill -s "$1" "$2"', "sh", signal, String(pid)];
}

const PID_WORD = "drops-command-pid";
/** Without quotes and backslashes, as it is quoted for any shell. */
const SCRIPT = `echo "${PID_WORD} $$" >&2; PATH="\${PATH:+$PATH:}${MORE_PATH}"; export PATH; cd / && exec "$@"`;
const PID_LINE = new RegExp(`${PID_WORD} (\\d+)\n`);
const PID_WITHIN = 4096; // a talkative shell start-up file may come first

/** Takes the line with the process id out of a command's stderr. */
export class PidLine {
  #before = "";
  #searching = true;
  pid: number | undefined;

  /** What of these bytes, and of those held back before, is the command's own. */
  rest(bytes: Buffer): Buffer {
    if (!this.#searching) return bytes;
    this.#before += bytes.toString("latin1");
    const found = PID_LINE.exec(this.#before);
    if (found === null && this.#before.length < PID_WITHIN) return Buffer.alloc(0);
    if (found !== null) this.pid = Number(found[1]);
    this.#searching = false;
    return Buffer.from(this.#before.replace(PID_LINE, ""), "latin1");
  }
}
