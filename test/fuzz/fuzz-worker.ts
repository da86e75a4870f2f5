import { parentPort, workerData } from "node:worker_threads";
import { DropsError, messageOf } from "../../src/lib/errors.ts";
import { type FuzzTarget, mostOf, slowOf } from "./fuzz-target.ts";
import { inputOf } from "./mutate.ts";
import { targetOf } from "./targets.ts";

/** What a thread is asked to do: inputs of each target from a seed on, until there were so many or its time is up. */
export interface FuzzJob {
  readonly targets: readonly string[];
  readonly from: number;
  readonly count: number;
  /** For each target. */
  readonly forMs: number;
  /** [target's place in the list, seed] at work, for whoever watches. */
  readonly progress: SharedArrayBuffer;
}

export interface FuzzFault {
  readonly kind: "crash" | "growth" | "slow" | "hang" | "memory";
  readonly seed: number;
  readonly what: string;
}

export interface FuzzOutcome {
  readonly target: string;
  /** First seed that was not tried. */
  readonly next: number;
  readonly executions: number;
  /** Inputs that were accepted. */
  readonly accepted: number;
  readonly slowest: { readonly ms: number; readonly size: number; readonly seed: number };
  readonly faults: readonly FuzzFault[];
}

/** So many faults of one target are enough to mend first. */
const MOST_FAULTS = 20;

const job = workerData as FuzzJob;
const progress = new Float64Array(job.progress);

for (const [place, name] of job.targets.entries()) {
  progress.fill(-1);
  const target = targetOf(name);
  const seeds = await target.seeds();
  for (const [index, seed] of seeds.entries()) await warmUp(target, seed, index);
  progress.set([place, job.from]);
  parentPort?.postMessage(await work(target, seeds));
}

async function work(target: FuzzTarget, seeds: readonly Buffer[]): Promise<FuzzOutcome> {
  const faults: FuzzFault[] = [];
  const until = performance.now() + job.forMs;
  let slowest = { ms: 0, size: 0, seed: 0 };
  let accepted = 0;
  let seed = job.from;
  for (; seed < job.from + job.count && performance.now() < until && faults.length < MOST_FAULTS; seed++) {
    progress[1] = seed;
    const bytes = inputOf(target, seeds, seed);
    const tried = await attempt(target, bytes);
    const ms = await leastTime(target, bytes, tried.ms);
    if (tried.accepted) accepted++;
    if (ms > slowest.ms) slowest = { ms, size: bytes.length, seed };
    if (tried.fault !== undefined) faults.push({ seed, ...tried.fault });
    else if (ms > slowOf(target, bytes.length))
      faults.push({ seed, kind: "slow", what: `${ms.toFixed(0)} ms for ${bytes.length} bytes` });
  }
  return { target: target.name, next: seed, executions: seed - job.from, accepted, slowest, faults };
}

type Tried = { readonly ms: number; readonly accepted: boolean; readonly fault?: Omit<FuzzFault, "seed"> };

async function attempt(target: FuzzTarget, bytes: Buffer): Promise<Tried> {
  const before = process.threadCpuUsage();
  const elapsed = () => {
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000;
  };
  try {
    const made = await target.run(bytes);
    const ms = elapsed();
    const most = mostOf(target, bytes.length);
    if (made <= most) return { ms, accepted: true };
    const what = `${bytes.length} bytes became ${made}, more than ${most}`;
    return { ms, accepted: true, fault: { kind: "growth", what } };
  } catch (error) {
    const ms = elapsed();
    if (isForeseen(target, error)) return { ms, accepted: false };
    const what = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
    return { ms, accepted: false, fault: { kind: "crash", what } };
  }
}

function isForeseen({ mayThrow, refuses }: FuzzTarget, error: unknown): boolean {
  return error instanceof DropsError ? mayThrow.includes(error.code) : refuses?.(error) === true;
}

/** The least of three where the first was slow: what the collector and other threads take shall not count. */
async function leastTime(target: FuzzTarget, bytes: Buffer, first: number): Promise<number> {
  if (first <= slowOf(target, bytes.length)) return first;
  return Math.min(first, (await attempt(target, bytes)).ms, (await attempt(target, bytes)).ms);
}

/** Modules are loaded and code is compiled before anything is measured. Real inputs are accepted, or nothing is proven. */
async function warmUp(target: FuzzTarget, seed: Buffer, index: number): Promise<void> {
  const { accepted, fault } = await attempt(target, seed);
  if (!accepted)
    throw new Error(`real input ${index} of ${target.name} is refused: ${fault?.what ?? "as malformed"}`);
}
