import { Worker } from "node:worker_threads";
import { messageOf } from "../../src/lib/errors.ts";
import type { FuzzFault, FuzzJob, FuzzOutcome } from "./fuzz-worker.ts";

/** An input that takes longer than this by the clock hangs, however busy the machine is. */
const HANG_MS = 60_000;
const LOOK_MS = 50;
/** Beyond what the process had before. Bytes. */
const MOST_MEMORY = 1536 * 1024 * 1024;

/**
 * Give inputs to parsers, one after the other, in a thread of their own, and watch it: what hangs or takes all memory is
 * ended and counts as a fault of its input; then it goes on with the next one. Throws when a parser cannot even begin.
 */
export async function fuzzParsers(how: Omit<FuzzJob, "progress">): Promise<FuzzOutcome[]> {
  const done: FuzzOutcome[] = [];
  let left = { ...how };
  while (left.targets.length > 0 && left.count > 0 && left.forMs > 0) {
    const began = performance.now();
    const stopped = await oneThread(left, done);
    if (stopped === undefined) break;
    done.push(stopped);
    const targets = how.targets.slice(how.targets.indexOf(stopped.target));
    const [count, forMs] = [left.count - stopped.executions, left.forMs - (performance.now() - began)];
    left = { targets, from: stopped.next, count, forMs };
  }
  return done;
}

/** What came of the target at which the thread was ended by force. */
async function oneThread(
  how: Omit<FuzzJob, "progress">,
  done: FuzzOutcome[],
): Promise<FuzzOutcome | undefined> {
  const workerData: FuzzJob = { ...how, progress: new SharedArrayBuffer(16) };
  const worker = new Worker(new URL("./fuzz-worker.ts", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 768 },
  });
  const at = new Float64Array(workerData.progress).fill(-1);
  let watch: NodeJS.Timeout | undefined;
  worker.on("message", (outcome: FuzzOutcome) => done.push(outcome));
  const ended = new Promise<void>((resolve, reject) => {
    worker.on("exit", () => resolve());
    worker.on("error", reject);
    watch = watched(at, reject);
  });
  try {
    await ended;
    return undefined;
  } catch (error) {
    const [place, seed] = at as unknown as readonly [number, number];
    const target = how.targets[place];
    if (target === undefined) throw error;
    const slowest = { ms: 0, size: 0, seed: 0 };
    const counts = { next: seed + 1, executions: seed + 1 - how.from, accepted: 0, slowest };
    return { target, ...counts, faults: [{ seed, ...faultOf(error) }] };
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}

class Stopped extends Error {
  readonly kind: FuzzFault["kind"];

  constructor(kind: FuzzFault["kind"], what: string) {
    super(what);
    this.kind = kind;
  }
}

function faultOf(error: unknown): Omit<FuzzFault, "seed"> {
  if (error instanceof Stopped) return { kind: error.kind, what: error.message };
  const isMemory = error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
  return { kind: isMemory ? "memory" : "crash", what: messageOf(error) };
}

function watched(at: Float64Array, stop: (why: Stopped) => void): NodeJS.Timeout {
  const before = process.memoryUsage.rss();
  let [last, since] = ["", performance.now()];
  return setInterval(() => {
    const now = performance.now();
    if (at.join() !== last) [last, since] = [at.join(), now];
    if (now - since > HANG_MS) stop(new Stopped("hang", `no answer within ${HANG_MS / 1000} s`));
    if (process.memoryUsage.rss() - before > MOST_MEMORY)
      stop(new Stopped("memory", `more than ${MOST_MEMORY} bytes of memory`));
  }, LOOK_MS);
}

/** Two turns of the same target as one. */
export function joined(one: FuzzOutcome, other: FuzzOutcome): FuzzOutcome {
  return {
    target: one.target,
    next: other.next,
    executions: one.executions + other.executions,
    accepted: one.accepted + other.accepted,
    slowest: one.slowest.ms >= other.slowest.ms ? one.slowest : other.slowest,
    faults: [...one.faults, ...other.faults],
  };
}
