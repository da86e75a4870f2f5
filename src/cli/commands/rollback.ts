import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import { addHostOptions, type HostFlags, openGuided } from "../guided-shell.ts";
import { explain, type GlobalFlags, type Shell } from "../shell.ts";

interface Flags extends GlobalFlags, HostFlags {
  readonly run?: string;
  readonly yes?: true;
}

export function addRollback(program: Command, shell: Shell): void {
  const command = addHostOptions(program.command("rollback"))
    .description("put a host back as it was before a restore: data, databases, and what was running")
    .option("--run <id>", "which restore; default: the one that is open")
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
          hint: "journalctl -u UNIT; these units ran before the restore",
        });
    });
  explain(
    command,
    ["drops rollback", "drops rollback --host root@203.0.113.7 --run 20261124T003638-a1b2c3"],
    [10, 12, 22],
    "\nNeeds no store and no identity. May be called again after any failure. Not possible after restore --finish.\n",
  );
}
