import { spawn } from "node:child_process";
import { once } from "node:events";
import type { RequestGate } from "./request-gate.ts";

/** What happens to a process that works on a store behind a gate. */
export interface Fate {
  /** SIGKILL, or SIGSTOP and SIGCONT some time later. */
  readonly kind: "killed" | "stalled";
  /** At one of its requests (from 1), or so many milliseconds after its start. */
  readonly at: { readonly nth: number; readonly when: "before" | "after" } | { readonly afterMs: number };
  /** How long it is stopped. */
  readonly stallMs?: number;
}

export interface Ended {
  /** Undefined: killed. */
  readonly exit: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether its fate met it before its end. */
  readonly struck: boolean;
  readonly requests: number;
  readonly ms: number;
}

/** Run a program to its end, or to the end that `fate` has for it. Its store is behind `gate`, and nobody else's is. */
export async function runStruck(
  [program, ...args]: readonly [string, ...string[]],
  gate: RequestGate,
  env: NodeJS.ProcessEnv,
  fate?: Fate,
): Promise<Ended> {
  const began = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  const said = Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  let struck = false;
  const timers: NodeJS.Timeout[] = [];
  const strike = (): "on" | "gone" => {
    if (child.exitCode !== null || child.signalCode !== null) return "on";
    struck = true;
    if (fate?.kind === "killed") {
      child.kill("SIGKILL");
      return "gone";
    }
    child.kill("SIGSTOP");
    timers.push(setTimeout(() => child.kill("SIGCONT"), fate?.stallMs ?? 0));
    return "on";
  };
  if (fate && "nth" in fate.at) gate.begin({ ...fate.at, act: strike });
  else gate.begin();
  if (fate && "afterMs" in fate.at) timers.push(setTimeout(strike, fate.at.afterMs));
  const [exit] = (await once(child, "close")) as [number | null];
  for (const timer of timers) clearTimeout(timer);
  const [stdout, stderr] = (await said).map((chunks) => Buffer.concat(chunks as Buffer[]).toString());
  return {
    exit: exit ?? undefined,
    stdout: stdout ?? "",
    stderr: stderr ?? "",
    struck,
    requests: gate.count,
    ms: performance.now() - began,
  };
}
