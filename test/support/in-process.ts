import { PassThrough } from "node:stream";
import * as app from "../../src/app/app.ts";
import { fail } from "../../src/cli/fail.ts";
import { run } from "../../src/cli/program.ts";
import { Screen } from "../../src/cli/screen.ts";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";

export interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The failure's code, also where standard output holds a report. */
  readonly code?: FailureCode;
}

/** The whole command line with the real app, in this process: as src/main.ts does it, but for signals. */
export async function drops(
  args: readonly string[],
  how: { env?: Record<string, string>; now?: () => Date } = {},
): Promise<Outcome> {
  const stdout = Object.assign(new PassThrough({ highWaterMark: 64 * 1024 * 1024 }), { isTTY: false });
  const stderr = Object.assign(new PassThrough({ highWaterMark: 64 * 1024 * 1024 }), { isTTY: false });
  const [json, quiet] = [args.includes("--json"), args.includes("--quiet")];
  const screen = new Screen({ stdout, stderr, json, quiet, color: false, clock: () => performance.now() });
  const { signal } = new AbortController();
  const context = {
    env: { HOME: "/nonexistent", ...how.env },
    now: how.now ?? (() => new Date()),
    version: "test",
    reporter: screen,
  };
  let exit = 0;
  let code: FailureCode | undefined;
  try {
    await run(args, { screen, signal, context, app: async () => app });
  } catch (error) {
    if (isFailure(error)) code = error.code;
    exit = fail(error, screen, signal);
  }
  const read = (stream: PassThrough) => String(stream.read() ?? "");
  return { exit, stdout: read(stdout), stderr: read(stderr), ...(code && { code }) };
}
