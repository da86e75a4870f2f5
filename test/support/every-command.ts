import { PassThrough } from "node:stream";
import type { Command } from "commander";
import { buildProgram } from "../../src/cli/program.ts";
import { Screen } from "../../src/cli/screen.ts";

export interface KnownCommand {
  /** After `drops`: `["policy", "check"]`. */
  readonly words: readonly string[];
  readonly command: Command;
  /** Left out of help: for programs. */
  readonly hidden: boolean;
  /** Holds commands and does nothing itself: `policy`. */
  readonly isGroup: boolean;
}

/** The whole command line, unable to do anything. */
export function someProgram(): Command {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const screen = new Screen({ stdout, stderr, json: false, quiet: false, color: false, clock: () => 0 });
  return buildProgram({
    screen,
    signal: new AbortController().signal,
    context: { env: {}, now: () => new Date(0), version: "0", reporter: screen },
    app: () => Promise.reject(new Error("nothing is run")),
  });
}

/** Every command, groups before what they hold, in the order of help. */
export function everyCommand(from: Command = someProgram(), words: readonly string[] = []): KnownCommand[] {
  const visible = from.createHelp().visibleCommands(from);
  return from.commands.flatMap((command) => {
    const own = [...words, command.name()];
    const known = {
      words: own,
      command,
      hidden: !visible.includes(command),
      isGroup: command.commands.length > 0,
    };
    return [known, ...everyCommand(command, own)];
  });
}
