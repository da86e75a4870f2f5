import { readFileSync } from "node:fs";
import { writingFailed } from "../../host/expect-success.ts";
import type { CommandResult, Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import { DropsError } from "../../lib/errors.ts";

const SCRIPT = readFileSync(new URL("./journal-host.sh", import.meta.url), "utf8");
const MAX_STDOUT = 32 * 1024 * 1024;

const BROKEN_OFF = 65;
/** Exit statuses of the script that are answers. */
export const SOMETHING_ELSE = 66;
export const NO_SUCH_RUN = 67;

/**
 * Have the host's script do something with journals. `answers` are the exit statuses that the caller judges. Throws
 * host/unreachable when it was broken off, space/low when the host's disk is full, host/command-failed for any other failure; `what` begins the sentence.
 */
export async function journalOnHost(
  host: Host,
  args: readonly string[],
  how: Cancel & { readonly stdin?: string; readonly answers?: readonly number[]; readonly what: string },
): Promise<CommandResult> {
  const ended = await host.run(["sh", "-c", SCRIPT, "drops-journal", ...args], {
    signal: how.signal,
    ...(how.stdin === undefined ? {} : { stdin: how.stdin }),
    maxStdout: MAX_STDOUT,
    okExits: [0, 1, BROKEN_OFF, SOMETHING_ELSE, NO_SUCH_RUN],
  });
  if (ended.exit === 0 || (how.answers ?? []).includes(ended.exit ?? -1)) return ended;
  const what = `${how.what} on ${host.label}`;
  if (ended.exit === BROKEN_OFF) throw new DropsError("host/unreachable", `${what} was interrupted`);
  throw writingFailed(what, ended);
}
