import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { OpsDesk } from "./ops-desk.ts";
import type { OpsMachine } from "./ops-machine.ts";

/** Ways to end a restore. */
export const KILLS = ["SIGKILL", "dropped connections", "a cut network", "a power cut", "a reboot"] as const;
export type Kill = (typeof KILLS)[number];

/** When: some time after the beginning, or as soon as a step is announced. */
export interface Moment {
  readonly afterMs?: number;
  /** Such as `step 5`. */
  readonly atStep?: string;
  /** Undefined: any. */
  readonly kill?: Kill;
}

export interface Killed {
  /** The last step that was announced; empty: none was. */
  readonly step: string;
  readonly ms: number;
  /** When it ended by itself before the kill. */
  readonly exit: number | undefined;
  /** All that it said. */
  readonly said: string;
}

/** A drops that does not notice by then that its host is gone is one that hangs. */
const NOTICE_MS = 150_000;
/** As it is begun: the plan names them without a colon. */
const STEP = /^(step \d+), [^:]+: /;

/** How long a whole restore takes, and the steps that it announces. Throws when it fails. */
export async function usualRestore(
  desk: OpsDesk,
  machine: OpsMachine,
): Promise<{ ms: number; steps: readonly string[] }> {
  const began = performance.now();
  const going = begin(desk, machine, ["restore", "--date", "latest", "--fenced"]);
  const [exit] = await once(going.child, "close");
  if (exit !== 0) throw new Error(`the restore ended with ${exit}: ${going.said()}`);
  const ms = performance.now() - began;
  return { ms, steps: [...going.steps] };
}

/** Run drops and end it, or its host, at a moment; resolves when both are quiet, and the host is up again. */
export async function restoreUntilKilled(
  desk: OpsDesk,
  machine: OpsMachine,
  args: readonly string[],
  moment: Moment,
  kill: Kill,
): Promise<Killed> {
  const began = performance.now();
  const going = begin(desk, machine, args);
  const { child } = going;
  const ended = once(child, "close");
  const due = moment.atStep === undefined ? sleep(moment.afterMs ?? 0) : going.announced(moment.atStep);
  await Promise.race([due, ended]);
  const [exit, step, ms] = [
    child.exitCode ?? undefined,
    [...going.steps].at(-1) ?? "",
    performance.now() - began,
  ];
  if (exit === undefined) await END[kill](machine, child);
  const late = sleep(NOTICE_MS, "late", { ref: false });
  if ((await Promise.race([ended, late])) === "late") {
    child.kill("SIGKILL");
    throw new Error(`drops did not notice ${kill} within ${NOTICE_MS / 1000} s: ${going.said()}`);
  }
  return { step, ms, exit, said: going.said() };
}

const END: Readonly<Record<Kill, (machine: OpsMachine, drops: ChildProcess) => Promise<void>>> = {
  SIGKILL: async (_machine, drops) => {
    drops.kill("SIGKILL");
  },
  "dropped connections": ({ vps }) => vps.dropConnections(),
  // The operator goes home before the network comes back: the host is left with connections that nobody will ever close.
  "a cut network": async ({ vps }, drops) => {
    await vps.cutNetwork();
    await sleep(1000);
    drops.kill("SIGKILL");
    await once(drops, "close");
    await vps.healNetwork();
  },
  "a power cut": async ({ vps }) => {
    await vps.powerCut();
    await vps.boot();
  },
  "a reboot": ({ vps }) => vps.reboot(),
};

interface Going {
  readonly child: ChildProcess;
  /** Announced so far, in order. */
  readonly steps: ReadonlySet<string>;
  announced(step: string): Promise<void>;
  said(): string;
}

function begin(desk: OpsDesk, machine: OpsMachine, args: readonly string[]): Going {
  const isRestore = args.includes("--date") || args.includes("--resume");
  const flags = isRestore ? desk.restoreFlags(machine.vps) : desk.hostFlags(machine.vps);
  const [program, ...rest] = desk.argv(...args, "--yes", ...flags);
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], env: desk.environment });
  const steps = new Set<string>();
  const waiting = new Map<string, () => void>();
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      said += `${line}\n`;
      const step = STEP.exec(line)?.[1];
      if (step === undefined) return;
      steps.add(step);
      waiting.get(step)?.();
    });
  }
  return {
    child,
    steps,
    said: () => said,
    announced: (step) =>
      new Promise((resolve) => {
        waiting.set(step, resolve);
        if (steps.has(step)) resolve();
      }),
  };
}
