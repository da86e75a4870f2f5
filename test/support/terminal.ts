import { spawn } from "node:child_process";
import { once } from "node:events";
import { PATIENCE_MS } from "./until.ts";

/** A program on a pseudo-terminal, and the person before it. */
export interface TerminalSession extends AsyncDisposable {
  /** Everything that was shown so far. */
  shown(): string;
  /** Type these keys; `\t` and `\n` are the keys of that name. */
  type(keys: string): void;
  /** Wait until what was shown after the last match matches, and return that. Throws with all that was shown when it takes too long. */
  until(pattern: RegExp): Promise<string>;
  /** Wait for its end: the exit status, 128 and more for a signal. */
  ended(): Promise<number>;
}

/** `script` (util-linux) lends the terminal. `command` is a line for sh. */
export function openTerminal(
  command: string,
  how: { readonly env: Readonly<Record<string, string | undefined>>; readonly cwd: string },
): TerminalSession {
  const child = spawn("script", ["--quiet", "--return", "--flush", "--command", command, "/dev/null"], {
    env: { PATH: process.env["PATH"], TERM: "xterm", SHELL: "/bin/sh", ...how.env },
    cwd: how.cwd,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const end = once(child, "close").then(([status]) => Number(status ?? 1));
  let [text, seen] = ["", 0];
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
    child.emit("shown");
  });
  child.stdin.on("error", () => {}); // what is typed after its end goes nowhere
  const next = (deadline: AbortSignal) =>
    Promise.race([once(child, "shown", { signal: deadline }), end.then(() => undefined)]);
  return {
    shown: () => text,
    type: (keys) => void child.stdin.write(keys),
    until: async (pattern) => {
      const deadline = AbortSignal.timeout(PATIENCE_MS);
      for (let over = false; ; ) {
        const match = pattern.exec(text.slice(seen));
        if (match) {
          seen += match.index + match[0].length;
          return match[0];
        }
        if (over) throw new Error(`ended before it showed ${pattern}:\n${text}`);
        const event = await next(deadline).catch(() => {
          throw new Error(`did not show ${pattern} in time:\n${text}`);
        });
        over = event === undefined;
      }
    },
    ended: async () => end,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await end;
    },
  };
}
