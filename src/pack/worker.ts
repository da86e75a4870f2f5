import { parentPort } from "node:worker_threads";
import { DropsError } from "../lib/errors.ts";
import { type OpenJob, runOpen, runSeal, type SealJob } from "./jobs.ts";

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
      port.postMessage(await runOpen(job)); // in shared memory
    }
  } catch (error) {
    const known = error instanceof DropsError ? error : undefined;
    const message = error instanceof Error ? (known ? error.message : String(error.stack)) : String(error);
    port.postMessage({ failed: { code: known?.code, message, hint: known?.hint } } satisfies WorkerFailure);
  }
});
