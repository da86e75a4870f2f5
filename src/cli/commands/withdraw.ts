import type { Command } from "commander";
import { explain, type GlobalFlags, openRetention, type Shell } from "../shell.ts";

interface Flags extends GlobalFlags {
  readonly why: string;
}

export function addWithdraw(program: Command, shell: Shell): void {
  const command = program
    .command("withdraw <snapshot>")
    .description("mark a snapshot as bad: restores warn, and no rule counts it")
    .requiredOption("--why <words>", "what is wrong with it; snapshots and restore show this")
    .action(async (snapshot: string, _flags: object, self: Command) => {
      const { why, ...flags } = self.optsWithGlobals<Flags>();
      await using retention = await openRetention(shell, flags);
      const report = await retention.withdraw({ snapshot, why, signal: shell.signal });
      const { noteInWords } = await import("../words/note.ts");
      shell.screen.show(report, noteInWords);
    });
  const examples = ['drops withdraw 2026-11-20 --why "the bridge wrote to the wrong database that night"'];
  explain(command, examples, [10, 11, 13, 22]);
}
