import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError } from "../lib/errors.ts";
import type { OpenedPack, OpenJob, SealedPack, SealJob } from "./jobs.ts";
import type { WorkerFailure } from "./worker.ts";

interface Waiting {
  readonly job: SealJob | OpenJob;
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** For what reads packs: two threads at most, as each holds up to two packs. */
export function readingPool(): PackPool {
  return new PackPool(Math.min(2, availableParallelism()));
}

/**
 * Threads for sealing and opening packs. Jobs start in the order given; memory is handed over, not copied. Closing ends
 * the threads and rejects what has not finished.
 */
export class PackPool implements AsyncDisposable {
  readonly #size: number;
  readonly #workers: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Waiting>();
  readonly #queue: Waiting[] = [];
  #closed = false;

  /** `size` threads at most, started when they are first needed. */
  constructor(size: number) {
    this.#size = size;
    // Lines and small buffers die at once; left alone, the room for the youngest of them grows to 100 MiB and stays.
    setFlagsFromString("--semi-space-growth-factor=1");
  }

  get size(): number {
    return this.#size;
  }

  seal(job: SealJob, how: Cancel): Promise<SealedPack> {
    return this.#run(job, [job.memory], how);
  }

  /** The tar takes the sealed pack's place in its slot. */
  open(job: OpenJob, how: Cancel): Promise<OpenedPack> {
    return this.#run(job, [], how);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const gone = new DropsError("interrupted", "the worker threads were closed");
    for (const waiting of this.#queue.splice(0)) waiting.reject(gone);
    for (const waiting of this.#running.values()) waiting.reject(gone);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #run<Result>(job: SealJob | OpenJob, transfer: readonly ArrayBuffer[], how: Cancel): Promise<Result> {
    how.signal.throwIfAborted();
    if (this.#closed) throw new DropsError("interrupted", "the worker threads were closed");
    return new Promise<Result>((resolve, reject) => {
      this.#queue.push({ job, transfer, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const worker = this.#idle.pop() ?? (this.#workers.length < this.#size ? this.#spawn() : undefined);
      if (!worker) return;
      const waiting = this.#queue.shift();
      if (!waiting) return;
      this.#running.set(worker, waiting);
      worker.ref();
      worker.postMessage(waiting.job, waiting.transfer);
    }
  }

  #spawn(): Worker {
    // Threads hold large buffers and hardly an object: without room to begin with, every other pack starts a full collection.
    setFlagsFromString("--initial-heap-size=256");
    const file = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";
    const worker = new Worker(new URL(file, import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
      stdout: true, // else Node hands on what a thread writes, past the screen
      stderr: true,
    });
    worker.stdout.resume();
    worker.stderr.resume();
    worker.on("message", (result: SealedPack | OpenedPack | WorkerFailure) => this.#finished(worker, result));
    worker.on("error", (error) => this.#broke(worker, error));
    worker.unref();
    this.#workers.push(worker);
    return worker;
  }

  #finished(worker: Worker, result: SealedPack | OpenedPack | WorkerFailure): void {
    const waiting = this.#running.get(worker);
    this.#running.delete(worker);
    this.#idle.push(worker);
    worker.unref();
    if ("failed" in result) waiting?.reject(asError(result));
    else waiting?.resolve(result as never);
    this.#next();
  }

  #broke(worker: Worker, error: unknown): void {
    const waiting = this.#running.get(worker);
    this.#running.delete(worker);
    this.#workers.splice(this.#workers.indexOf(worker), 1);
    waiting?.reject(error);
    this.#next();
  }
}

function asError({ failed }: WorkerFailure): Error {
  return failed.code
    ? new DropsError(failed.code, failed.message, { hint: failed.hint })
    : new Error(failed.message);
}
