import type { Command } from "commander";
import { explain, type GlobalFlags, openRetention, type Shell } from "../shell.ts";

interface Flags extends GlobalFlags {
  readonly until?: string;
  readonly why: string;
}

export function addPin(program: Command, shell: Shell): void {
  const command = program
    .command("pin <snapshot>")
    .description("keep a snapshot regardless of the rules")
    .option("--until <date>", "keep it until the end of this day")
    .option("--why <words>", "reason for keeping it", "")
    .action(async (snapshot: string, _flags: object, self: Command) => {
      const { until, why, ...flags } = self.optsWithGlobals<Flags>();
      await using retention = await openRetention(shell, flags);
      const report = await retention.pin({ snapshot, until, why, signal: shell.signal });
      const { noteInWords } = await import("../words/note.ts");
      shell.screen.show(report, noteInWords);
    });
  const examples = [
    'drops pin 2026-11-20 --why "before the migration"',
    "drops pin 5f1e0c3ab2d49788 --until 2027-03-31",
  ];
  explain(command, examples, [10, 11, 13, 22]);
}
