import type { Command } from "commander";
import type { GuidedOptions } from "../guided/report.ts";
import type { StepId } from "../guided/run/steps.ts";
import { DropsError } from "../lib/errors.ts";
import type { Guided } from "./app.ts";
import { accessOf, type ReadFlags, type Shell } from "./shell.ts";

export interface HostFlags {
  readonly host?: string;
  readonly sshKey?: string;
  readonly hostKey?: string;
}

/** Options of commands that work on a host. */
export function addHostOptions(command: Command): Command {
  return command
    .option("--host <user@address:port>", "machine to restore onto; default: the policy's host")
    .option("--ssh-key <file>", "SSH private key; default: the policy's, else what ssh would use")
    .option("--host-key <line>", "the machine's SSH host key; default: the policy's, else known_hosts");
}

export async function openGuided(shell: Shell, flags: ReadFlags & HostFlags): Promise<Guided> {
  const { openGuided } = await shell.app();
  const { host, sshKey, hostKey } = flags;
  return openGuided({ ...accessOf(flags), host, sshKey, hostKey }, shell.context);
}

/** What says what a guided restore will do. */
export function sayingPlan({ context }: Shell): NonNullable<GuidedOptions["onPlanned"]> {
  return async (report) => {
    const { planLines } = await import("./words/guided.ts");
    for (const line of planLines(report)) context.reporter.say(line);
  };
}

/** `rocksdb,postgres` or `4,5`, once or several times. Throws usage/invalid naming the steps that there are. */
export async function parseSteps(values: readonly string[]): Promise<readonly StepId[]> {
  if (values.length === 0) return [];
  const { STEPS } = await import("../guided/run/steps.ts");
  const words = values.flatMap((value) => value.split(",")).map((word) => word.trim());
  const steps = words.map((word) => {
    const step = STEPS.find(({ id, number }) => id === word || String(number) === word);
    if (step && step.id !== "bootstrap") return step.id;
    throw new DropsError("usage/invalid", `"${word.slice(0, 40)}" is no step of a restore`, {
      hint: STEPS.slice(1)
        .map(({ id, number }) => `${number} ${id}`)
        .join(", "),
    });
  });
  return [...new Set(steps)];
}
