import { type Command, Option } from "commander";
import { openRetention, parseCount } from "../retention-shell.ts";
import { explain, type GlobalFlags, type Shell } from "../shell.ts";

interface Flags extends GlobalFlags {
  readonly at?: string;
  readonly rules?: "sequential" | "independent";
  readonly last?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
}

export function addPlan(program: Command, shell: Shell): void {
  const command = program
    .command("plan")
    .description("what a prune would keep and let go, and why; changes nothing, needs no decryption key")
    .option("--at <date>", "as it will be then, with a backup every night")
    .addOption(
      new Option("--rules <kind>", "try other rules than the policy's").choices([
        "sequential",
        "independent",
      ]),
    )
    .option("--last <n>", "try to keep the newest so many", parseCount)
    .option("--daily <n>", "… so many days", parseCount)
    .option("--weekly <n>", "… so many weeks", parseCount)
    .option("--monthly <n>", "… so many months", parseCount)
    .option("--yearly <n>", "… so many years", parseCount)
    .action(async (_flags: object, self: Command) => {
      const { at, rules, last, daily, weekly, monthly, yearly, ...flags } = self.optsWithGlobals<Flags>();
      await using retention = await openRetention(shell, flags);
      const tried = { rules, last, daily, weekly, monthly, yearly };
      const report = await retention.plan({ at, tried, signal: shell.signal });
      const { planInWords } = await import("../words/plan.ts");
      shell.screen.show(report, planInWords);
    });
  const examples = [
    "drops plan",
    "drops plan --at 2027-06-30",
    "drops plan --rules independent --daily 14 --yearly 3",
    "drops plan --json | jq '.next.remove.bytes'",
  ];
  explain(command, examples, [10, 11, 13, 22], MORE);
}

const MORE = `
sequential: a snapshot that a finer rule keeps takes no slot of a coarser one. independent: one may take a slot of each.
`;
