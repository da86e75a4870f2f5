import { parentPort } from "node:worker_threads";
import { DropsError } from "../lib/errors.ts";
import { freeMemory } from "../lib/free-memory.ts";
import { type OpenedPack, type OpenJob, runOpen, runSeal, type SealJob } from "./jobs.ts";

/** What crosses back when a job throws: a class does not survive structured cloning. */
export interface WorkerFailure {
  readonly failed: {
    readonly code: DropsError["code"] | undefined;
    readonly message: string;
    readonly hint: string | undefined;
  };
}

const port = parentPort;
port?.on("message", async (job: SealJob | OpenJob) => {
  try {
    if (job.kind === "seal") {
      const sealed = await runSeal(job);
      port.postMessage(sealed, [sealed.memory]);
    } else {
      const { message, transfer } = await answerOf(job);
      port.postMessage(message, transfer);
    }
  } catch (error) {
    const known = error instanceof DropsError ? error : undefined;
    const message = error instanceof Error ? (known ? error.message : String(error.stack)) : String(error);
    port.postMessage({ failed: { code: known?.code, message, hint: known?.hint } } satisfies WorkerFailure);
  }
});

/** In shared memory the tar takes the sealed pack's place; else it is handed over. */
async function answerOf(job: OpenJob): Promise<{ message: OpenedPack; transfer: ArrayBuffer[] }> {
  const { tar, chunks } = await runOpen(job);
  const { buffer } = job.sealed;
  if (buffer instanceof SharedArrayBuffer) {
    const moved = new Uint8Array(buffer, 0, tar.length);
    Buffer.from(tar.buffer, tar.byteOffset, tar.length).copy(moved); // `set` goes byte by byte in shared memory
    freeMemory(tar);
    return { message: { tar: moved, chunks }, transfer: [] };
  }
  freeMemory(job.sealed); // this thread's own: it was handed over or copied
  return { message: { tar, chunks }, transfer: [tar.buffer as ArrayBuffer] };
}
