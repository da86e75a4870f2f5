import type { Command } from "commander";
import { explain, type GlobalFlags, openRetention, type Shell } from "../shell.ts";

export function addUnpin(program: Command, shell: Shell): void {
  const command = program
    .command("unpin <snapshot>")
    .description("end the pin of a snapshot: the rules decide again")
    .action(async (snapshot: string, _flags: object, self: Command) => {
      await using retention = await openRetention(shell, self.optsWithGlobals<GlobalFlags>());
      const report = await retention.unpin({ snapshot, signal: shell.signal });
      const { noteInWords } = await import("../words/note.ts");
      shell.screen.show(report, noteInWords);
    });
  explain(command, ["drops unpin 5f1e0c3ab2d49788"], [10, 11, 13]);
}
