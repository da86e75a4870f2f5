import { DropsError } from "../lib/errors.ts";
import type { CommandExit, RunningCommand } from "./host.ts";

const SHOWN = 600;

/**
 * Wait for a command and throw host/command-failed unless it ended with status 0. `what` begins the sentence: `pg_dump of
 * matrix on root@example.org`. A stream that ended is not a command that succeeded: call this after every stream.
 */
export async function expectSuccess(command: RunningCommand, what: string): Promise<void> {
  const ended = await command.ended;
  if (ended.exit !== 0) throw commandFailed(what, ended);
}

/** The failure of a command that ended with a status that is not wanted, with the last lines that it said. */
export function commandFailed(what: string, ended: CommandExit, hint?: string): DropsError {
  const said = lastWords(ended.stderr);
  return new DropsError(
    "host/command-failed",
    `${what} ${howItEnded(ended)}${said === "" ? "" : `: ${said}`}`,
    {
      hint: hint ?? hintFor(ended),
    },
  );
}

/** The same for a command that writes on the host: space/low when its disk is full. */
export function writingFailed(what: string, ended: CommandExit): DropsError {
  if (!/No space left|Disk quota exceeded/i.test(ended.stderr)) return commandFailed(what, ended);
  return new DropsError("space/low", `${what}: no space is left`, { hint: "df -h; df -i" });
}

/** A command in a sentence: its first words, shortened. */
export function nameOf(argv: readonly string[]): string {
  const words = argv.join(" ").replace(/\s+/g, " ");
  return words.length <= 80 ? words : `${words.slice(0, 77)}...`;
}

function howItEnded(ended: CommandExit): string {
  if (ended.exit === undefined) return `was ended by ${ended.signal ?? "a signal"}`;
  if (ended.exit === 127) return "was not found (exit status 127)";
  return `failed with exit status ${ended.exit}`;
}

function hintFor(ended: CommandExit): string | undefined {
  if (!/\bsudo: /.test(ended.stderr)) return undefined;
  return "log in as root, or have sudo allow this user the command with NOPASSWD";
}

function lastWords(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-5).join("; ").slice(-SHOWN);
}
