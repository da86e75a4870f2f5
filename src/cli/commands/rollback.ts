import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import {
  addHostOptions,
  explain,
  type GlobalFlags,
  type HostFlags,
  openGuided,
  type Shell,
} from "../shell.ts";

interface Flags extends GlobalFlags, HostFlags {
  readonly run?: string;
  readonly yes?: true;
}

export function addRollback(program: Command, shell: Shell): void {
  const command = addHostOptions(program.command("rollback"))
    .description("undo a restore: return a host to its data, databases and running units from before")
    .option("--run <id>", "id of the restore; default: the unfinished one")
    .option("--yes", "do not ask")
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      await using guided = await openGuided(shell, flags);
      const { signal, prompt } = shell;
      const report = await guided.rollback({ run: flags.run, yes: flags.yes === true, prompt, signal });
      const { rollbackInWords } = await import("../words/guided.ts");
      shell.screen.show(report, rollbackInWords);
      if (report.notReady.length > 0)
        throw new DropsError("source/failed", `the data is back, but ${report.notReady.join("; ")}`, {
          hint: "journalctl -u UNIT  shows why; these units ran before the restore",
        });
    });
  explain(
    command,
    ["drops rollback", "drops rollback --host root@203.0.113.7 --run 20261124T003638-a1b2c3"],
    [10, 12, 22],
    "\nNeeds no store and no identity. You can run it again after a failure. It is not possible after restore --finish.\n",
  );
}
