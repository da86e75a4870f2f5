import type { Command } from "commander";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";

export function addLs(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("ls"))
    .description("list the files of a snapshot")
    .argument("<snapshot>", "an id, or a date: latest, yesterday, 2026-11-20")
    .argument("[source]", "only this source")
    .action(async (snapshot: string, source: string | undefined, _flags: object, self: Command) => {
      await using reader = await openReader(shell, self.optsWithGlobals<ReadFlags>());
      const listing = await reader.ls({ choice: { date: snapshot }, source, signal: shell.signal });
      const { entries, ...head } = listing;
      const { entryInWords } = await import("../words/ls.ts");
      await shell.screen.stream(head, "entries", entries, (entry) => entryInWords(entry, head.zone));
    });
  explain(command, ["drops ls latest", "drops ls 2026-11-20 media | grep pdf"], [10, 11, 13, 20]);
}
