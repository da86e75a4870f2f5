import type { Command } from "commander";
import { DropsError } from "../../lib/errors.ts";
import type { PlanReport, PruneReport } from "../../retention/report.ts";
import { explain, type GlobalFlags, openRetention, parseCount, type Shell } from "../shell.ts";
import { type About, telling } from "../telling.ts";

/** How often an answer that is none is asked for again. */
const TRIES = 3;

interface Flags extends GlobalFlags {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly accept?: number;
}

export function addPrune(program: Command, shell: Shell): void {
  const command = program
    .command("prune")
    .description(
      "remove snapshots that no rule keeps, and data that no snapshot needs; needs no decryption key",
    )
    .option("--dry-run", "show the plan; change nothing")
    .option("--yes", "do not ask: for timers")
    .option("--accept <n>", "accept that n snapshots are removed, or that a source shrank", parseCount)
    .action((_flags: object, self: Command) => prune(shell, self.optsWithGlobals<Flags>()));
  const examples = ["drops prune --dry-run", "drops prune", "drops prune --yes", "drops prune --accept 12"];
  explain(command, examples, [10, 11, 13, 22], MORE);
}

async function prune(shell: Shell, flags: Flags): Promise<void> {
  const { dryRun, yes } = flags;
  if (!dryRun && !yes && !shell.prompt) {
    throw new DropsError("safety/refused", "there is no terminal to ask on", {
      hint: "add --yes to continue without questions, or --dry-run to see the plan",
    });
  }
  const run = { verb: "prune", flags, isPart: dryRun === true || yes !== true } as const; // a person watches otherwise
  await telling(shell, run, (about) => pruneNow(shell, flags, about));
}

async function pruneNow(shell: Shell, flags: Flags, about: About): Promise<void> {
  const { dryRun, yes, accept } = flags;
  await using retention = await openRetention(shell, flags);
  const { signal } = shell;
  if (dryRun) return showPlan(shell, await retention.plan({ accept, signal }));
  const agreed = yes ? undefined : await agreeTo(shell, await retention.plan({ accept, signal }));
  const report = await retention.prune({ accept, agreed, signal });
  const { pruneInWords } = await import("../words/prune.ts");
  shell.screen.show(report, pruneInWords);
  about.summary = `${report.forgotten.length} snapshots forgotten`;
  refuse(report.refused, report.forgotten.length > 0 ? "nothing was removed" : "nothing was done");
}

async function showPlan(shell: Shell, plan: PlanReport): Promise<void> {
  const { planInWords } = await import("../words/plan.ts");
  shell.screen.show(plan, planInWords);
  refuse(plan.refusals, "nothing would be done");
}

/** Show the plan beside the result's stream, and ask. Answers what is agreed to go. Throws interrupted for a no. */
async function agreeTo(shell: Shell, plan: PlanReport): Promise<readonly string[]> {
  const { planInWords } = await import("../words/plan.ts");
  for (const line of planInWords(plan).split("\n")) shell.screen.say(line);
  const forget = plan.snapshots.filter(({ keep }) => !keep).map(({ id }) => id);
  const removed = plan.next?.remove.objects ?? 0;
  const isHarmless = plan.refusals.length > 0 || forget.length + removed === 0; // it does nothing, or marks
  if (!isHarmless) {
    const what = `forget ${forget.length} of ${plan.snapshots.length} snapshots, remove ${removed} objects?`;
    await confirm(shell, what, "the prune");
  }
  return forget;
}

/** The report says why; the exit status, that it was so. */
function refuse(refused: PruneReport["refused"], what: string): void {
  const [first, ...others] = refused;
  if (!first) return;
  const more = others.length > 0 ? `, and ${others.length} more` : "";
  throw new DropsError("safety/refused", `${what}: ${first.why}${more}`, { hint: first.hint });
}

const MORE = `
Prune works in two runs: the first marks unused data, and one at least a day later removes it if it is still unused. If
prune is killed, the next one finishes the work. If it is not safe, prune does nothing, reports why, and exits with 22.
`;

/** Throws interrupted when the person says no. `what` says what is then not done. */
async function confirm(shell: Shell, question: string, what: string): Promise<void> {
  for (let tries = 0; shell.prompt && tries < TRIES; tries++) {
    const said = (await shell.prompt.ask(`${question} [yes/no] `, { signal: shell.signal })).toLowerCase();
    if (said === "yes" || said === "y") return;
    if (said === "no" || said === "n") break;
  }
  throw new DropsError("interrupted", `stopped before ${what}, as you answered: nothing was done`);
}
