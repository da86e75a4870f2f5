import type { RunningCommand } from "../host/host.ts";
import { DropsError } from "../lib/errors.ts";
import { releaseAfterRead } from "../lib/release-after-read.ts";
import type { CommandPolicy } from "../policy/schema.ts";
import { type CaptureContext, type FrozenSource, outputHead } from "./source.ts";

/**
 * The standard output of a command, as the entry `output`. Nothing can be frozen: the command runs when it is shipped.
 * A stream that ended is not success: unless the exit status is 0, `ship` throws source/failed and there is no entry.
 */
export async function freezeCommand(source: CommandPolicy, how: CaptureContext): Promise<FrozenSource> {
  const capturedAt = how.now();
  return {
    capturedAt,
    facts: {
      kind: "command",
      argv: source.argv,
      ...(source.run_as === undefined ? {} : { run_as: source.run_as }),
      ...(source.restore_hint === undefined ? {} : { restore_hint: source.restore_hint }),
    },
    ship: async (into, { signal }) => {
      await using command = await how.host.start(source.argv, { as: source.run_as, signal });
      command.stdin.end();
      await into.file(
        outputHead("output", capturedAt),
        untilSuccess(command, `command ${source.argv[0]} of source ${source.name} on ${how.host.label}`),
        { cutting: "content", signal },
      );
      const { stderr } = await command.ended;
      if (stderr !== "") into.note(`${source.argv[0]} said: ${lastLine(stderr)}`);
    },
    async [Symbol.asyncDispose]() {}, // a command that runs is closed by ship
  };
}

async function* untilSuccess(command: RunningCommand, what: string): AsyncGenerator<Uint8Array> {
  yield* releaseAfterRead(command.stdout);
  const ended = await command.ended;
  if (ended.exit === 0) return;
  const status =
    ended.exit === undefined ? `was ended by ${ended.signal ?? "a signal"}` : `failed (exit ${ended.exit})`;
  const said = lastLine(ended.stderr);
  throw new DropsError("source/failed", `${what} ${status}${said === "" ? "" : `: ${said}`}`, {
    hint: ended.exit === 127 ? "install it, or give its whole path in argv of the policy" : undefined,
  });
}

function lastLine(stderr: string): string {
  return (stderr.trimEnd().split("\n").at(-1) ?? "").trim().slice(0, 500);
}
