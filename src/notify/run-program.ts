import { startProcess } from "../host/start-process.ts";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";

export interface Program {
  /** For sentences. */
  readonly what: string;
  readonly argv: readonly string[];
  readonly input: string;
  /** What it gets beside the environment of every process that drops starts. */
  readonly env: Readonly<Record<string, string>>;
  /** Exit statuses that mean "later". */
  readonly later?: readonly number[];
}

/**
 * Run a program of this machine, without a shell, in its own process group, which is ended with it when the signal is
 * aborted. What it prints is not kept: it may be anything.
 */
export async function runProgram(program: Program, { signal }: Cancel): Promise<void> {
  signal.throwIfAborted();
  const [file = ""] = program.argv;
  const child = startProcess(program.argv, { output: "ignore", env: program.env });
  const stop = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // gone already
    }
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    child.stdin.on("error", () => {}); // it left without reading all: its status tells whether that was well
    child.stdin.end(program.input);
    const [exit, killer] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (...how) => resolve(how));
    });
    signal.throwIfAborted();
    if (exit === 0) return;
    const code = exit !== null && program.later?.includes(exit) ? "notify/unreachable" : "notify/refused";
    const how = exit === null ? `was ended by ${killer ?? "a signal"}` : `ended with exit status ${exit}`;
    throw new DropsError(code, `${program.what} ${how}`, { hint: `run it by hand: ${file}` });
  } catch (error) {
    if (error instanceof DropsError) throw error;
    signal.throwIfAborted();
    const why = error instanceof Error && "code" in error ? String(error.code) : "failed";
    throw new DropsError("notify/refused", `cannot start ${file}: ${why}`, {
      hint: "check notify in the policy, and that the program is installed",
    });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
