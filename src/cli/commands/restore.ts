import type { Command } from "commander";
import type { StepId } from "../../guided/run/steps.ts";
import { DropsError } from "../../lib/errors.ts";
import type { RestoreReport } from "../../restore/report.ts";
import {
  addChoiceOptions,
  addHostOptions,
  addReadOptions,
  type ChoiceFlags,
  choiceOf,
  collect,
  explain,
  type HostFlags,
  openGuided,
  openReader,
  type ReadFlags,
  type Shell,
  sayingPlan,
} from "../shell.ts";

interface Flags extends ReadFlags, ChoiceFlags, HostFlags {
  readonly to?: string;
  readonly only?: readonly string[];
  readonly steps?: readonly string[];
  readonly dryRun?: true;
  readonly resume?: string | true;
  readonly finish?: string | true;
  readonly yes?: true;
  readonly fenced?: true;
  readonly bestEffort?: true;
}

export function addRestore(program: Command, shell: Shell): void {
  const command = addHostOptions(addReadOptions(addChoiceOptions(program.command("restore"))))
    .description("restore onto a host, step by step, or with --to into a new directory")
    .option("--to <dir>", "restore into this new or empty directory; changes no service or host")
    .option(
      "--only <source>",
      "restore only this source; may be repeated. bootstrap, with --to: files for a new machine",
      collect,
    )
    .option("--best-effort", "with --to: restore what is whole of a damaged source, and list what is not")
    .option("--steps <ids>", "run only these steps, by name or number: stop,rocksdb or 3,4", collect)
    .option("--dry-run", "show the plan with commands, sizes and expected times; change nothing")
    .option("--resume [run]", "continue an interrupted restore, from any machine")
    .option("--finish [run]", "remove the old data that a restore kept; ends rollback")
    .option("--yes", "do not ask, except whether the old machine is off")
    .option("--fenced", "confirm that the old machine is off, or that its services are disabled")
    .action(async (_flags: object, self: Command) => {
      const flags = self.optsWithGlobals<Flags>();
      refuseMixed(flags);
      if (flags.only?.includes("bootstrap")) return bootstrap(shell, flags);
      if (flags.to !== undefined) return intoDirectory(shell, flags, flags.to);
      return flags.finish === undefined ? ontoHost(shell, flags) : finish(shell, flags, flags.finish);
    });
  explain(command, EXAMPLES, [10, 11, 12, 13, 20, 22], MORE);
}

async function ontoHost(shell: Shell, flags: Flags): Promise<void> {
  const choice = flags.resume === undefined ? choiceOf(flags) : undefined;
  const steps = await parseSteps(flags.steps ?? []);
  await using guided = await openGuided(shell, flags);
  const report = await guided.restore({
    choice,
    only: flags.only ?? [],
    steps,
    dryRun: flags.dryRun === true,
    fenced: flags.fenced === true,
    yes: flags.yes === true,
    resume: flags.resume,
    prompt: shell.prompt,
    onPlanned: sayingPlan(shell),
    signal: shell.signal,
  });
  const { guidedInWords } = await import("../words/guided.ts");
  shell.screen.show(report, guidedInWords);
}

async function finish(shell: Shell, flags: Flags, which: string | true): Promise<void> {
  await using guided = await openGuided(shell, flags);
  const run = which === true ? undefined : which;
  const { signal, prompt } = shell;
  const report = await guided.finish({ run, yes: flags.yes === true, prompt, signal });
  const { finishInWords } = await import("../words/guided.ts");
  shell.screen.show(report, finishInWords);
}

async function bootstrap(shell: Shell, flags: Flags): Promise<void> {
  const { to, only = [] } = flags;
  if (to === undefined || only.length > 1)
    throw new DropsError("usage/invalid", "--only bootstrap needs --to, and no other source", {
      hint: "drops restore --date latest --only bootstrap --to extra/",
    });
  const choice = choiceOf(flags);
  await using guided = await openGuided(shell, flags);
  const report = await guided.bootstrap({ choice, to, signal: shell.signal });
  const { bootstrapInWords } = await import("../words/guided.ts");
  shell.screen.show(report, bootstrapInWords);
}

async function intoDirectory(shell: Shell, flags: Flags, to: string): Promise<void> {
  const choice = choiceOf(flags);
  await using reader = await openReader(shell, flags);
  const bestEffort = flags.bestEffort === true;
  const report = await reader.restore({
    choice,
    only: flags.only ?? [],
    to,
    bestEffort,
    signal: shell.signal,
  });
  const { restoreInWords } = await import("../words/restore.ts");
  shell.screen.show(report, restoreInWords);
  refuseDamaged(report, bestEffort);
}

/** The report says what came back; the exit status, that it is not all. Throws data/damaged. */
function refuseDamaged(report: RestoreReport, bestEffort: boolean): void {
  const named = (wanted: string) =>
    report.sources.filter(({ outcome }) => outcome === wanted).map(({ name }) => name);
  const failed = named("failed");
  const damaged = named("damaged");
  const mended = report.sources.filter(({ outcome, damage }) => outcome === "restored" && damage);
  if (failed.length + damaged.length + mended.length === 0) return;
  const said = [
    ...(failed.length > 0 ? [`${failed.join(", ")} could not be restored`] : []),
    ...(damaged.length > 0 ? [`${damaged.join(", ")} was restored in part`] : []),
    ...(mended.length > 0
      ? [`${mended.map(({ name }) => name).join(", ")} was restored completely, from a damaged repository`]
      : []),
  ];
  const canCome = report.sources.some(({ outcome, damage }) => outcome === "failed" && damage?.wholeFiles);
  const hidden = report.store.startsWith("s3://") ? "; in a bucket with versions --hidden" : "";
  const another = `drops verify --read-data, then another date${hidden}`;
  const hint = canCome && !bestEffort ? `${another}; or --best-effort, into another directory` : another;
  throw new DropsError("data/damaged", said.join("; "), { hint });
}

/** What cannot be meant together. Throws usage/invalid. */
function refuseMixed(flags: Flags): void {
  const given = (Object.keys(flags) as (keyof Flags)[]).filter((name) => flags[name] !== undefined);
  const clashes: readonly [keyof Flags, readonly (keyof Flags)[]][] = [
    ["to", ["host", "sshKey", "hostKey", "steps", "dryRun", "resume", "finish", "fenced", "yes"]],
    ["resume", ["date", "snapshot", "only", "finish"]],
    ["finish", ["date", "snapshot", "only", "steps", "dryRun", "fenced"]],
  ];
  if (flags.bestEffort && (flags.to === undefined || flags.only?.includes("bootstrap"))) {
    throw new DropsError(
      "usage/invalid",
      "--best-effort needs --to: drops never restores damaged data onto a machine",
      {
        hint: "drops restore --date latest --best-effort --to DIR, then copy the whole files by hand",
      },
    );
  }
  for (const [one, others] of clashes) {
    const other = given.includes(one) ? others.find((name) => given.includes(name)) : undefined;
    if (other === undefined) continue;
    throw new DropsError("usage/invalid", `${option(one)} cannot be used with ${option(other)}`, {
      hint: "drops restore --help",
    });
  }
}

function option(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

const EXAMPLES = [
  "drops restore --date 2026-11-20 --dry-run",
  "drops restore --date 2026-11-20 --host root@203.0.113.7",
  "drops restore --resume && drops restore --finish",
  "drops restore --date latest --only bootstrap --to extra/",
  "drops restore --date latest --only bridge-db --to /tmp/bridge",
  "drops restore --date latest --to /restore --store /mnt/backups --identity recovery-identity.txt --trusted-signer signer.pub",
];

const MORE = `
Onto a host, drops shows the snapshot and what will be lost. Then it does these steps: fence, preflight, stop, rocksdb,
postgres, files, start, login, messages. It shows each step, asks, carries it out, checks it, and writes a journal on the
host. Old data is kept until --finish; drops rollback returns to it.
`;

/** `rocksdb,postgres` or `4,5`, once or several times. Throws usage/invalid naming the steps that there are. */
async function parseSteps(values: readonly string[]): Promise<readonly StepId[]> {
  if (values.length === 0) return [];
  const { STEPS } = await import("../../guided/run/steps.ts");
  const words = values.flatMap((value) => value.split(",")).map((word) => word.trim());
  const steps = words.map((word) => {
    const step = STEPS.find(({ id, number }) => id === word || String(number) === word);
    if (step && step.id !== "bootstrap") return step.id;
    throw new DropsError("usage/invalid", `"${word.slice(0, 40)}" is not a step of a restore`, {
      hint: STEPS.slice(1)
        .map(({ id, number }) => `${number} ${id}`)
        .join(", "),
    });
  });
  return [...new Set(steps)];
}
