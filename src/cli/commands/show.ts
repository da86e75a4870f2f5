import type { Command } from "commander";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";

export function addShow(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("show"))
    .description("show one snapshot, source by source")
    .argument("<snapshot>", "an id, or a date: latest, yesterday, 2026-11-20")
    .action(async (snapshot: string, _flags: object, self: Command) => {
      await using reader = await openReader(shell, self.optsWithGlobals<ReadFlags>());
      const report = await reader.show({ choice: { date: snapshot }, signal: shell.signal });
      const { showInWords } = await import("../words/show.ts");
      shell.screen.show(report, showInWords);
    });
  explain(command, ["drops show latest", "drops show 2026-11-20 --json"], [10, 11, 13, 20]);
}
