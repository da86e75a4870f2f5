import { type DropsError, isFailure } from "../lib/errors.ts";

/** While the others go on. The record keeps the reason alone; what to do is said here, where logs and alerts have it. */
export function tellOfFailure(source: string, error: DropsError, say: (line: string) => void): void {
  say(
    `source ${source} ${isFailure(error, "source/incomplete") ? "is incomplete" : "failed"}: ${error.message}`,
  );
  if (error.hint !== undefined) say(`hint: ${error.hint}`);
}
