import type { Command } from "commander";
import { addReadOptions, explain, openReader, type ReadFlags, type Shell } from "../shell.ts";

export function addSnapshots(program: Command, shell: Shell): void {
  const command = addReadOptions(program.command("snapshots"))
    .description("list the snapshots, oldest first; needs no decryption key")
    .action(async (_flags: object, self: Command) => {
      await using reader = await openReader(shell, self.optsWithGlobals<ReadFlags>());
      const report = await reader.snapshots({ signal: shell.signal });
      const { snapshotsInWords } = await import("../words/snapshots.ts");
      shell.screen.show(report, snapshotsInWords);
    });
  const examples = ["drops snapshots", "drops snapshots --store /mnt/backups --json | jq '.snapshots[-1]'"];
  explain(command, examples, [10, 11, 13]);
}
