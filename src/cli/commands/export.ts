import type { Command } from "commander";
import {
  addChoiceOptions,
  addReadOptions,
  type ChoiceFlags,
  choiceOf,
  explain,
  openReader,
  type ReadFlags,
  type Shell,
} from "../shell.ts";

export function addExport(program: Command, shell: Shell): void {
  const command = addReadOptions(addChoiceOptions(program.command("export")))
    .description("write one source, or one file of it, to standard output")
    .argument("<source>", "name of the source in the policy")
    .argument("[path]", "a file or directory of the source, as printed by drops ls")
    .action(async (source: string, path: string | undefined, _flags: object, self: Command) => {
      const flags = self.optsWithGlobals<ReadFlags & ChoiceFlags>();
      const choice = choiceOf(flags);
      const into = shell.screen.bytes();
      await using reader = await openReader(shell, flags);
      const report = await reader.export({ source, path, choice, into, signal: shell.signal });
      const { exportInWords } = await import("../words/export.ts");
      shell.screen.say(exportInWords(report));
    });
  explain(
    command,
    [
      "drops export forgejo data/app.ini --date yesterday",
      "drops export bridge-db database.dump --date latest | pg_restore --list",
      "drops export media --snapshot 5f1e0c3ab2d49788 > media.tar",
    ],
    [10, 11, 13, 20],
    "\nA file is written as it is. A directory, or a source of several files, is written as a tar.\n",
  );
}
