import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import type { KeeperReport } from "../../retention/report.ts";
import { explain, type GlobalFlags, openRetention, type Shell } from "../shell.ts";
import { telling } from "../telling.ts";

interface Flags extends GlobalFlags {
  readonly dryRun?: true;
}

export function addKeeper(program: Command, shell: Shell): void {
  const command = program
    .command("keeper")
    .description(
      "extend Object Lock for everything that kept snapshots need; needs no decryption key, removes nothing",
    )
    .option("--dry-run", "show what would be locked; change nothing")
    .action(async (_flags: object, self: Command) => {
      const { dryRun = false, ...flags } = self.optsWithGlobals<Flags>();
      await telling(shell, { verb: "keeper", flags, isPart: dryRun }, async () => {
        await using retention = await openRetention(shell, flags);
        const report = await retention.keeper({ dryRun, signal: shell.signal });
        const { keeperInWords } = await import("../words/keeper.ts");
        shell.screen.show(report, keeperInWords);
        refuse(report);
      });
    });
  const examples = ["drops keeper --dry-run", "drops keeper", "drops keeper --json | jq '.hidden'"];
  explain(command, examples, [10, 11, 13, 20, 22], MORE);
}

/** The report says what; the exit status, that it was so. Whatever could be locked is. */
function refuse({ problems, missing, hidden, failed }: KeeperReport): void {
  const [problem] = problems;
  if (problem !== undefined) throw new DropsError("data/damaged", problem, { hint: "drops verify" });
  if (missing[0]) {
    const what = `${missing.length} objects that kept snapshots need are gone, such as ${missing[0].key}`;
    throw new DropsError("data/missing", what, { hint: "drops verify  lists the snapshots that need them" });
  }
  if (hidden[0]) {
    const what = `${hidden.length} objects that kept snapshots need are hidden, such as ${hidden[0].key}`;
    throw new DropsError("data/missing", what, {
      hint: "drops restore --hidden  reads them; to make them visible again: docs/stores.md",
    });
  }
  if (failed[0]) {
    const what = `${failed.length} locks were not extended, such as that of ${failed[0].key}: ${failed[0].why}`;
    throw new DropsError("store/refused", what, { hint: "compare the role with: drops iam keeper" });
  }
}

const MORE = `
The policy's object_lock sets mode and times. If a lock ends before the plan removes the object, keeper extends it and reads
it back. It never shortens a lock. If an object was overwritten, keeper locks the first version. Run it more often than the
margin.
`;
