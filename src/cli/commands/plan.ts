import { type Command, Option } from "commander";
import { explain, type GlobalFlags, openRetention, parseCount, type Shell } from "../shell.ts";

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
    .description("show what a prune would keep and remove, and why; changes nothing, needs no decryption key")
    .option("--at <date>", "show the plan for this date, with a backup every night until then")
    .addOption(new Option("--rules <kind>", "try other rules").choices(["sequential", "independent"]))
    .option("--last <n>", "try: keep the newest n snapshots", parseCount)
    .option("--daily <n>", "try: keep n daily snapshots", parseCount)
    .option("--weekly <n>", "try: keep n weekly snapshots", parseCount)
    .option("--monthly <n>", "try: keep n monthly snapshots", parseCount)
    .option("--yearly <n>", "try: keep n yearly snapshots", parseCount)
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
sequential: each snapshot counts for one rule only, the finest that keeps it. independent: it can count for every rule.
`;
