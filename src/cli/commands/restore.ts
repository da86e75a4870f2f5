import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import {
  addChoiceOptions,
  addReadOptions,
  type ChoiceFlags,
  choiceOf,
  collect,
  explain,
  openReader,
  type ReadFlags,
  type Shell,
} from "../shell.ts";

interface Flags extends ReadFlags, ChoiceFlags {
  readonly to: string;
  readonly only?: readonly string[];
}

export function addRestore(program: Command, shell: Shell): void {
  const command = addReadOptions(addChoiceOptions(program.command("restore")))
    .description("bring a date back into a new directory; touches no service and no host")
    .requiredOption("--to <dir>", "a directory that is empty or does not exist")
    .option("--only <source>", "only this source; may be repeated", collect)
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      const choice = choiceOf(flags);
      await using reader = await openReader(shell, flags);
      const { to, only = [] } = flags;
      const report = await reader.restore({ choice, only, to, signal: shell.signal });
      const { restoreInWords } = await import("../words/restore.ts");
      shell.screen.show(report, restoreInWords);
      const failed = report.sources.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
      if (failed.length > 0) {
        throw new DropsError("data/damaged", `${failed.join(", ")} could not be restored`, {
          hint: "drops verify --read-data, then another date",
        });
      }
    });
  explain(
    command,
    [
      "drops restore --date 2026-11-20 --to /restore",
      "drops restore --date latest --only bridge-db --to /tmp/bridge",
      "drops restore --date latest --to /restore --store /mnt/backups --identity recovery-identity.txt --trusted-signer signer.pub",
    ],
    [10, 11, 13, 20, 22],
  );
}
